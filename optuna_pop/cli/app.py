"""The Typer application that holds the subcommands."""

from __future__ import annotations

import typer

from optuna_pop.cli import boundary, profile, proxy, search, worker

app = typer.Typer(
    help="The best speed/accuracy boundary of a network family, on your own device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("profile", epilog=profile.EXAMPLE)(profile.command)
app.command("search", epilog=search.EXAMPLE)(search.command)
app.command("worker", epilog=worker.EXAMPLE)(worker.command)
app.command("proxy", epilog=proxy.EXAMPLE)(proxy.command)
app.command("boundary", epilog=boundary.EXAMPLE)(boundary.command)
