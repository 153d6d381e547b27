"""``optuna-pop report``: what a study has found, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optuna_pop.cli.options import DEFAULT_STORAGE, StorageOption, console
from optuna_pop.errors import InputError
from optuna_pop.experiment import identity
from optuna_pop.experiment.storage import load_study

EXAMPLE = (
    "**Example:** optuna-pop report --storage sqlite:///study.db --study demo --out report.html"
)


def command(
    storage_url: StorageOption = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option(help="Name of the study; may be left out if it is the only one.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("report.html"),
    budget: Annotated[
        list[float] | None,
        typer.Option(
            "--budget-ms",
            help="Name the most accurate network within this latency, too; may be repeated.",
        ),
    ] = None,
) -> None:
    """Write figures, tables and how they came about as one page that opens offline."""
    from optuna_pop.tracking.report import write_report

    if out.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"--out {out} must end in .html")
    opened = load_study(storage_url, study)
    write_report(
        identity.findings_of(opened),
        out,
        made=identity.parts_of(opened),
        storage_url=storage_url,
        budgets=budget or (),
    )
    console().print(f"Wrote {out} ({out.stat().st_size / 2**20:.1f} MiB): open it in any browser.")
