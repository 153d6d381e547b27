"""``optuna-pop register``: networks of a boundary, ready for use, in MLflow's registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optuna_pop.cli import running
from optuna_pop.cli.options import (
    DEFAULT_STORAGE,
    DataRootOption,
    ProcessesOption,
    SettingOption,
    StorageOption,
    pairs,
    use_data_root,
)
from optuna_pop.cli.profile import SecondsOption
from optuna_pop.experiment.storage import load_study

EXAMPLE = (
    "**Example:** optuna-pop register --storage sqlite:///study.db --study demo --all-boundary "
    "--name Digits"
)


def command(
    name: Annotated[str, typer.Option(help="Of the registered model, e.g. DF-Seg.")],
    storage_url: StorageOption = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option(help="Name of the study; may be left out if it is the only one.")
    ] = None,
    trial: Annotated[int | None, typer.Option(min=0, help="Register this trial's network.")] = None,
    budget: Annotated[
        list[float] | None,
        typer.Option(
            "--budget-ms",
            help="Register the most accurate network within this latency; with several costs give "
            "one for each, in their sequence.",
        ),
    ] = None,
    all_boundary: Annotated[
        bool, typer.Option("--all-boundary", help="Register every network of the boundary.")
    ] = False,
    alias: Annotated[
        list[str] | None, typer.Option(help="A further alias of the network, e.g. champion.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights of the network, if it is trained already; else it is trained."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Of the final training; the study's by default.")
    ] = None,
    setting: SettingOption = None,
    data_root: DataRootOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for trained weights; STUDY.networks by default.")
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(help="Of MLflow; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default."),
    ] = None,
    seconds: SecondsOption = 5.0,
    processes: ProcessesOption = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of torch on the CPU.")] = 1,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Register a network that is slower than its latency says, and move aliases from "
            "versions that are better.",
        ),
    ] = False,
) -> None:
    """Train networks of a study to the end, check and measure them, and register them in MLflow.

    What is registered already stays as it is; the same command takes up what was interrupted.
    """
    from optuna_pop.cli.registration import How, register
    from optuna_pop.experiment.registering import Which

    running.prepare()
    use_data_root(data_root)
    found = load_study(storage_url, study)
    register(
        found,
        name,
        wanted=Which(trial, tuple(budget or ()), all_boundary, tuple(alias or ())),
        how=How(
            weights=weights,
            recipe=recipe,
            changes=pairs(setting, "--set"),
            folder=out or Path(f"{found.study_name}.networks"),
            seconds=seconds,
            processes=processes,
            threads=threads,
        ),
        tracking_uri=tracking_uri,
        force=force,
    )
