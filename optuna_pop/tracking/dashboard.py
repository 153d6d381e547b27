"""How a study shows in optuna-dashboard: names of its metrics, notes, the command to open it."""

from __future__ import annotations

import contextlib
import importlib.util
import shlex
import warnings
from collections.abc import Mapping, Sequence

from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.findings import Findings
from optuna_pop.tracking.study_note import study_note, with_what_people_wrote

METRICS = ("accuracy (%)", "latency (ms)")


def describe_study(
    study: Study,
    *,
    metrics: Sequence[str] = METRICS,
    searched: Mapping[str, str] | None = None,
) -> bool:
    """Name a study's metrics and write its note, the latter where optuna-dashboard is installed.

    Args:
        study: Described again, its note is what it has found by then.
        metrics: Name and unit of each objective.
        searched: What was searched, on what and how, e.g. ``{"space": "377 DF backbones",
            "device": "...", "data": "..."}``.

    Returns:
        Whether there is a note.

    Raises:
        InputError: if there are not as many names as objectives.
        StudyError: if the study has one objective.
    """
    name_metrics(study, metrics)
    if not is_installed():
        return False
    write_note(study, study_note(Findings.of(study), searched=searched))
    return True


def is_installed() -> bool:
    """Whether optuna-dashboard is there, which notes and figures are written with."""
    return importlib.util.find_spec("optuna_dashboard") is not None


def latency_metrics(devices: Sequence[str], *, accuracy: str = "top-1") -> tuple[str, ...]:
    """Name accuracy and the latency on each device, so that no two names are equal.

    Args:
        devices: Names of devices.
        accuracy: "top-1", which is called accuracy, or "mIoU".
    """
    first = METRICS[0] if accuracy == "top-1" else f"{accuracy} (%)"
    if len(devices) == 1:
        return (first, METRICS[1])
    names = [f"latency on {device} (ms)" for device in devices]
    if len(set(names)) < len(names):
        names = [f"latency {i} on {device} (ms)" for i, device in enumerate(devices, start=1)]
    return (first, *names)


def name_metrics(study: Study, metrics: Sequence[str]) -> None:
    """Give the objectives the names that dashboards and tables show.

    Raises:
        InputError: if there are not as many names as objectives.
    """
    if len(metrics) != len(study.directions):
        raise InputError(
            f"study {study.study_name!r} has {len(study.directions)} objectives but the metric "
            f"names are {list(metrics)}: give one each"
        )
    if study.metric_names == list(metrics):
        return
    with warnings.catch_warnings():  # Optuna calls it experimental; it is what dashboards read
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(list(metrics))


def write_note(study: Study, body: str) -> None:
    """Set a study's note but for what people wrote below it; the same is not written twice.

    Raises:
        MissingExtraError: if optuna-dashboard is not installed.
    """
    with needs_extra("dashboard"):
        from optuna_dashboard import get_note, save_note
    current = get_note(study)
    body = with_what_people_wrote(body, current, study.study_name)
    if current != body:
        save_note(study, body)


def trials_without_note(study: Study) -> list[FrozenTrial]:
    """List the trials that have no note.

    Raises:
        MissingExtraError: if optuna-dashboard is not installed.
    """
    with needs_extra("dashboard"):
        from optuna_dashboard._note import note_ver_key
    noted = study._storage.get_study_system_attrs(study._study_id)
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if note_ver_key(trial._trial_id) not in noted]


def add_trial_note(study: Study, trial: Trial | FrozenTrial, body: str) -> None:
    """Give a trial its first note; ``save_note`` takes none that has ended.

    Raises:
        MissingExtraError: if optuna-dashboard is not installed.
    """
    with needs_extra("dashboard"):
        from optuna_dashboard._note import note_ver_key, split_body
    parts = {**split_body(body, trial._trial_id), note_ver_key(trial._trial_id): 1}
    for name, part in parts.items():
        study._storage.set_study_system_attr(study._study_id, name, part)


def dashboard_command(storage_url: str) -> str:
    """Return the shell command that opens a storage in the browser, without a password."""
    return f"optuna-pop dashboard --storage {shlex.quote(without_password(storage_url))}"


def without_password(storage_url: str) -> str:
    """Return the address of a storage as others may read it."""
    with contextlib.suppress(ArgumentError):  # which is not for the command to say
        return make_url(storage_url).render_as_string(hide_password=True)
    return storage_url
