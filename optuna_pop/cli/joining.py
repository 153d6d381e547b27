"""Joining a search that another process began: the study says what to train, on what and how."""

from __future__ import annotations

from typing import Any

import optuna

from optuna_pop.cli import running
from optuna_pop.errors import StudyError
from optuna_pop.experiment import identity, storage
from optuna_pop.sampler import POPSampler


def join(
    storage_url: str, name: str | None, outage_limit_s: float
) -> tuple[optuna.Study, POPSampler[Any]]:
    """Open a study to work on it.

    Raises:
        StorageError: if the storage cannot be reached.
        StudyError: if there is no such study, or none that ``optuna-pop search`` began.
    """
    study = storage.load_study(storage_url, name, outage_limit_s=outage_limit_s)
    sampler = identity.sampler_of(study)
    if sampler is None:
        raise StudyError(
            f"study {study.study_name!r} does not say what it searches: begin it with "
            "`optuna-pop search`"
        )
    study.sampler = sampler
    study.pruner = running.pruner(prune=identity.settings_of(study)["prune"])
    return study, sampler
