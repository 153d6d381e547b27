"""The objective of a study, put together from what the study carries."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from optuna.study import Study

from optuna_pop.errors import OptunaPopError, StudyError
from optuna_pop.experiment import identity
from optuna_pop.experiment.artifacts import write_files
from optuna_pop.experiment.durable import OUTAGE_LIMIT_S
from optuna_pop.experiment.objective import TrainingObjective
from optuna_pop.experiment.trial_pages import TrialPages
from optuna_pop.fingerprint import fingerprint
from optuna_pop.tracking.mirror import StudyMirror
from optuna_pop.tracking.mlflow_runs import StudyRuns
from optuna_pop.trainables.data import DataSet, make_data_set
from optuna_pop.trainables.recipes import TrainingRecipe
from optuna_pop.trainables.weights import Weights, load_weights


def objective_of(
    study: Study, *, outage_limit_s: float = OUTAGE_LIMIT_S
) -> tuple[TrainingObjective, StudyMirror]:
    """Put a study's objective together, and its MLflow runs.

    Args:
        study: That ``optuna-pop search`` began.
        outage_limit_s: How long MLflow may be away at the end, in seconds.

    Raises:
        StudyError: if the study does not hold all of it, or this installation's code or data are
            not those that it was made with. The study is left untouched.
    """
    space = identity.space_of(study)
    if space is None:
        raise StudyError(f"study {study.study_name!r} does not say what it searches")
    settings = identity.settings_of(study)
    mirror = mirror_of(study, outage_limit_s=outage_limit_s)
    tables, data, artifacts = identity.tables_of(study), data_of(study), settings.get("artifacts")
    objective = TrainingObjective(
        space,
        tables,
        data,
        recipe_of(study),
        settings["seed"],
        weights=weights_of(study),
        mirror=mirror,
        checkpoints=Path(settings["checkpoints"]),
        pages=TrialPages(tables, data, None if artifacts is None else Path(artifacts)),
    )
    return objective, mirror


def mirror_of(
    study: Study,
    *,
    outage_limit_s: float = OUTAGE_LIMIT_S,
    tracking_uri: str | None = None,
    experiment: str = "optuna-pop",
) -> StudyMirror:
    """Return the MLflow runs of a study, with what it carries and has found as their artifacts.

    Args:
        study: Any.
        outage_limit_s: How long MLflow may be away at the end, in seconds.
        tracking_uri: As ``StudyRuns`` takes it.
        experiment: Of MLflow.

    Raises:
        TrackingError: if MLflow cannot be reached now.
    """
    runs = StudyRuns(study, tracking_uri=tracking_uri, experiment=experiment)
    return StudyMirror(study, runs, outage_limit_s, files=partial(write_files, study))


def data_of(study: Study) -> DataSet:
    """Return the data set that a study trains on.

    Raises:
        StudyError: if the study does not say, or this machine has it not or otherwise.
    """
    part = identity.part_of(study, "data")
    try:
        data = make_data_set(part["name"], part.get("settings"))
        found = data.fingerprint()
    except OptunaPopError as error:
        raise StudyError(
            f"study {study.study_name!r} trains on data {part['name']!r}, which this machine "
            f"cannot provide: {error}"
        ) from error
    if found != part["fingerprint"]:
        raise StudyError(
            f"study {study.study_name!r} trains on data {part['name']!r} of another content: "
            f"{part['fingerprint']} there, {found} here; bring the same data and the same versions "
            "of optuna-pop and of the libraries that make it"
        )
    return data


def weights_of(study: Study) -> Weights | None:
    """Return the weights that a study's networks begin with; None where they begin from scratch.

    Raises:
        StudyError: if the study does not say, or the file holds others.
        StorageError: if it cannot be read.
    """
    part = identity.part_of(study, "weights")
    if part["path"] is None:
        return None
    found = load_weights(Path(part["path"]))
    if found.digest != part["fingerprint"]:
        raise StudyError(
            f"study {study.study_name!r} begins with weights {part['fingerprint']} but "
            f"{part['path']} holds {found.digest} here: bring the same file"
        )
    return found


def recipe_of(study: Study) -> TrainingRecipe:
    """Return the recipe that a study trains by.

    Raises:
        StudyError: if the study does not say, or another optuna-pop made it.
    """
    part = identity.part_of(study, "recipe")
    spec: dict[str, Any] = {k: v for k, v in part.items() if k not in ("fingerprint", "name")}
    try:
        recipe = TrainingRecipe(**spec)
    except (TypeError, OptunaPopError) as error:
        raise StudyError(
            f"study {study.study_name!r} was made with a recipe that this optuna-pop cannot read "
            f"({error}): install the version that made it"
        ) from error
    if fingerprint(recipe.spec()) != part["fingerprint"]:
        raise StudyError(
            f"study {study.study_name!r} was made with recipe {part['name']!r} of another "
            "optuna-pop: install the version that made it"
        )
    return recipe
