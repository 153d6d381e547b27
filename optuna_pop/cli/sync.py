"""``optuna-pop sync``: make MLflow say what a study says."""

from __future__ import annotations

from typing import Annotated

import typer

from optuna_pop.cli import running
from optuna_pop.cli.options import DEFAULT_STORAGE, StorageOption, console
from optuna_pop.experiment.assembly import mirror_of
from optuna_pop.experiment.storage import load_study
from optuna_pop.tracking.mlflow_server import shown

EXAMPLE = "**Example:** optuna-pop sync --storage sqlite:///study.db --study demo"


def command(
    storage_url: StorageOption = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option(help="Name of the study; may be left out if it is the only one.")
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_TRACKING_URI",
            help="MLflow's server or database; sqlite:///mlflow.db by default.",
        ),
    ] = None,
    experiment: Annotated[
        str, typer.Option(help="MLflow experiment, where the study has no run yet.")
    ] = "optuna-pop",
) -> None:
    """Rebuild MLflow from a study: any Optuna study, whoever made it and whatever MLflow holds.

    Missing and half-written runs are written, deleted ones replaced; what is right is left alone,
    and so are trials that still run. Run again, it changes nothing.
    """
    running.prepare()
    opened = load_study(storage_url, study)
    mirror = mirror_of(opened, tracking_uri=tracking_uri, experiment=experiment)
    done = mirror.sync()
    said = [
        f"{words} {_numbers(trials)}"
        for words, trials in (
            ("written", done.written),
            ("completed", done.completed),
            ("replaced", done.replaced),
        )
        if trials
    ]
    if done.removed:
        said.append(f"{done.removed} runs too many removed")
    if done.files:
        said.append(f"files stored: {', '.join(done.files)}")
    where = shown(mirror.runs.connection.uri)
    console().print(
        f"MLflow at {where}, study {opened.study_name!r}: {'; '.join(said) or 'nothing to do'}; "
        f"{len(done.right)} runs were right.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _numbers(trials: tuple[int, ...]) -> str:
    """Name trials, runs of numbers short: ``trials 0-3, 7``."""
    ranges: list[list[int]] = []
    for number in sorted(trials):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    words = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
    return f"{'trial' if len(trials) == 1 else 'trials'} {words}"
