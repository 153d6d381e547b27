"""``optuna-pop search``: train what Partial Order Pruning chooses, until the boundary stands."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import optuna
import typer

from optuna_pop.cli import boundary, profile, ray_tasks, running
from optuna_pop.cli.helpers import Helpers
from optuna_pop.cli.networks import Networks, What, space_for
from optuna_pop.cli.options import (
    DEFAULT_ENGINE,
    DEFAULT_OUTAGE_LIMIT,
    DEFAULT_STORAGE,
    BackboneOption,
    DataOption,
    DataRootOption,
    DataSettingOption,
    OutageOption,
    ProcessesOption,
    RecipeOption,
    SeedOption,
    SettingOption,
    StorageOption,
    console,
    data_set_of,
    pairs,
)
from optuna_pop.errors import CostError, InputError, TableError
from optuna_pop.experiment import identity, storage
from optuna_pop.experiment.study_page import StudyPage
from optuna_pop.experiment.workers import RETRIES
from optuna_pop.fingerprint import fingerprint
from optuna_pop.profiling import LatencyTable
from optuna_pop.sampler import POPSampler
from optuna_pop.tracking.dashboard import dashboard_command, latency_metrics, name_metrics
from optuna_pop.tracking.mlflow_server import shared_tracking_uri

EXAMPLE = (
    "**Example:** optuna-pop search --space demo --data digits --table latency.json "
    "--trials 20 --storage sqlite:///study.db --study demo"
)


class Selection(StrEnum):
    """How the next architecture is chosen."""

    gain = "gain"
    uniform = "uniform"


def command(
    what: Annotated[
        What | None,
        typer.Argument(
            help="backbone: the paper's backbones for the data; decoder: widths of DF-Seg's "
            "controllers on a --backbone. Left out, --space says it."
        ),
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="demo, df, df1-seg, df2-seg, or FILE.json; demo by default.")
    ] = None,
    data: DataOption = "digits",
    data_setting: DataSettingOption = None,
    data_root: DataRootOption = None,
    backbone: BackboneOption = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights that backbones begin with, of `optuna-pop train`. How far they change "
            "says --set backbone_lr=...: 0 freezes them, 1 trains them like the rest."
        ),
    ] = None,
    table: Annotated[
        list[Path] | None,
        typer.Option(
            help="Latency table; measured first, and written, if absent. Several times for "
            "several devices at once."
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Engine that measures a table that is not there yet.")
    ] = DEFAULT_ENGINE,
    precision: profile.PrecisionOption = profile.Precision.float32,
    trials: Annotated[
        int, typer.Option(min=1, help="Trainings the study shall hold in the end.")
    ] = 20,
    storage_url: StorageOption = DEFAULT_STORAGE,
    study: Annotated[str, typer.Option(help="Name of the study; resumed if it exists.")] = "pop",
    recipe: RecipeOption = "digits-demo",
    setting: SettingOption = None,
    cost_range: Annotated[
        list[str] | None,
        typer.Option(
            help="T_min:T_max in milliseconds, e.g. 1:5; either may be empty. One for each table."
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Points by which noise may contradict the order; else estimated."),
    ] = None,
    selection: Annotated[
        Selection, typer.Option(help="Train by expected gain, or uniformly as in the paper.")
    ] = Selection.gain,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many trainings without a change.")
    ] = None,
    prune: Annotated[
        bool, typer.Option(help="Stop trainings that cannot reach the boundary any more.")
    ] = True,
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="Folder for trainings in progress; STUDY.checkpoints by default."),
    ] = None,
    artifacts: Annotated[
        Path | None,
        typer.Option(
            help="Folder for what the dashboard shows of trials: drawings, and of each network "
            "that reaches the boundary its weights, an ONNX model and, for segmentation, a "
            "picture. Remembered by the study; nothing is kept without."
        ),
    ] = None,
    stop_gain: Annotated[
        float | None,
        typer.Option(help="Stop when the best candidate is expected to add less, in points."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes on this machine that train at the same time.")
    ] = 1,
    processes_per_trial: ProcessesOption = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Train as tasks of a Ray cluster: its address, or `auto` for the one that this "
            "machine belongs to."
        ),
    ] = None,
    gpus_per_trial: Annotated[
        float, typer.Option(min=0, help="GPUs that Ray sets aside for one training; 0.5 shares.")
    ] = 0.0,
    retries: Annotated[
        int, typer.Option(min=0, help="How often a training begins again after its worker died.")
    ] = RETRIES,
    outage_limit: OutageOption = DEFAULT_OUTAGE_LIMIT,
    seed: SeedOption = 0,
) -> None:
    """Search a space: choose, train and track architectures, and keep the boundary.

    The study resumes when it exists. It is refused when space, table or data are not its own.
    """
    from optuna_pop.experiment.assembly import mirror_of
    from optuna_pop.trainables import recipes
    from optuna_pop.trainables.tasks import TASKS
    from optuna_pop.trainables.weights import load_weights

    running.prepare()
    if ray is not None and workers > 1:
        raise InputError("give --ray or --workers: a Ray cluster decides itself how many train")
    if gpus_per_trial and ray is None:
        raise InputError("--gpus-per-trial is for Ray: give --ray auto, too")
    settings = pairs(data_setting, "--data-set")
    images = data_set_of(data, settings, data_root)
    found = space_for(what, space, backbone, images)
    begun = None if weights is None else load_weights(weights)
    how = recipes.recipe(recipe).with_values(pairs(setting, "--set"))
    bounds = [_bounds(text) for text in cost_range] if cost_range else None
    paths = table or [Path(f"{study}.latency.json")]
    latencies = [
        _table(path, found, engine, precision, seed, alone=len(paths) == 1) for path in paths
    ]
    sampler: POPSampler[Any] = POPSampler(
        found,
        cost=latencies,
        cost_range=bounds,
        tolerance=tolerance,
        selection=selection.value,
        seed=seed,
    )
    opened = storage.open_study(
        storage_url,
        study,
        sampler,
        running.pruner(prune=prune),
        costs=len(latencies),
        outage_limit_s=outage_limit,
    )
    identity.bind(
        opened,
        space=identity.describe_space(found),
        table=identity.describe_tables(latencies),
        data={
            "fingerprint": images.fingerprint(),
            "name": data,
            **images.spec(),
            "settings": settings,
        },
        recipe=_described(recipe, how.spec()),
        weights={
            "fingerprint": "none" if begun is None else begun.digest,
            "path": None if weights is None else str(weights.absolute()),
        },
    )
    identity.remember_settings(
        opened,
        cost_range=bounds,
        tolerance=tolerance,
        selection=selection.value,
        prune=prune,
        seed=seed,
        trials=trials,
        patience=patience,
        stop_gain=stop_gain,
        retries=retries,
        checkpoints=str((checkpoints or Path(f"{study}.checkpoints")).absolute()),
        artifacts=_artifacts(opened, artifacts),
    )
    name_metrics(
        opened,
        latency_metrics(
            [table.conditions.device_name for table in latencies],
            accuracy=TASKS[images.task].accuracy,
        ),
    )
    page = StudyPage(opened)
    page.write()
    if ray is not None:
        processes = max(processes_per_trial, int(gpus_per_trial))
        where = storage.shared_url(storage_url), shared_tracking_uri()
        task = ray_tasks.Task(where[0], study, where[1], outage_limit, processes)
        ray_tasks.search(task, ray, gpus_per_trial, trials)
        mirror = mirror_of(opened, outage_limit_s=outage_limit)
        mirror.catch_up()
        mirror.finish()
    else:
        _train(opened, sampler, storage_url, workers, processes_per_trial, outage_limit)
    page.complete()
    running.say_what_others_do(opened, trials)
    boundary.report(identity.findings_of(opened))
    named = f"--study {shlex.quote(study)}"
    console().print(f"Next: {dashboard_command(storage_url)} {named}  (in the browser)")


def _train(
    study: optuna.Study,
    sampler: POPSampler[Any],
    storage_url: str,
    workers: int,
    processes: int,
    outage_limit: float,
) -> None:
    """Train on this machine; what a worker leaves that dies at the very end is done here, too."""
    with Helpers(storage_url, study.study_name, workers - 1, processes, outage_limit):
        running.run(study, sampler, outage_limit_s=outage_limit, leads=True, processes=processes)
    while workers > 1 and running.recover(study).again:
        running.run(study, sampler, outage_limit_s=outage_limit, leads=True, processes=processes)


def _artifacts(study: optuna.Study, given: Path | None) -> str | None:
    """Return the folder of a study's artifacts: what is given, else what it had before."""
    if given is None:
        before: dict[str, Any] = study.user_attrs.get(identity.SETTINGS_ATTR, {})
        return before.get("artifacts")
    storage.require_space(given.absolute())
    return str(given.absolute())


def _bounds(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        found = (float(low or "0"), float(high or "inf"))
    except ValueError:
        colon = ""
    if not colon:
        raise CostError(f"--cost-range {text!r} must be T_min:T_max in milliseconds, e.g. 1:5")
    return found


def _table(
    path: Path, space: Networks, engine: str, precision: str, seed: int, *, alone: bool
) -> LatencyTable:
    storage.require_space(path.absolute().parent)
    if path.exists():
        table = LatencyTable.load(path)
        table.require(space.block_configs())
        return table
    if not alone:
        raise TableError(
            f"there is no latency table {path}: with several tables each must be measured on its "
            "own device first; run `optuna-pop profile` there, with the --data, --data-set and "
            "--backbone, or the --space, of this search"
        )
    console().print(f"No latency table {path} yet: measuring this device with {engine}.")
    plan = profile.plan_of(engine, precision, 20.0, seed, path)
    table = profile.measure(space, plan)
    table.save(path)
    profile.forget(plan)
    profile.report(table, path)
    return table


def _described(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"fingerprint": fingerprint(spec), "name": name, **spec}
