"""The Typer application that holds the subcommands."""

from __future__ import annotations

import typer

from optuna_pop.cli import (
    boundary,
    compare,
    dashboard,
    export,
    profile,
    profile_export,
    profile_show,
    profile_verify,
    proxy,
    register,
    report,
    search,
    sync,
    train,
    worker,
)

app = typer.Typer(
    help="The best speed/accuracy boundary of a network family, on your own device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
profiling = typer.Typer(rich_markup_mode="markdown", add_completion=False)
profiling.callback(invoke_without_command=True, epilog=profile.EXAMPLE)(profile.command)
profiling.command("verify", epilog=profile_verify.EXAMPLE)(profile_verify.command)
profiling.command("export", epilog=profile_export.EXPORT_EXAMPLE)(profile_export.export)
profiling.command("import", epilog=profile_export.IMPORT_EXAMPLE)(profile_export.import_)
profiling.command("show", epilog=profile_show.EXAMPLE)(profile_show.command)
app.add_typer(profiling, name="profile")
app.command("search", epilog=search.EXAMPLE)(search.command)
app.command("worker", epilog=worker.EXAMPLE)(worker.command)
app.command("proxy", epilog=proxy.EXAMPLE)(proxy.command)
app.command("train", epilog=train.EXAMPLE)(train.command)
app.command("export", epilog=export.EXAMPLE)(export.command)
app.command("compare", epilog=compare.EXAMPLE)(compare.command)
app.command("boundary", epilog=boundary.EXAMPLE)(boundary.command)
app.command("sync", epilog=sync.EXAMPLE)(sync.command)
app.command("register", epilog=register.EXAMPLE)(register.command)
app.command("report", epilog=report.EXAMPLE)(report.command)
app.command("dashboard", epilog=dashboard.EXAMPLE)(dashboard.command)
