"""How a study shows in optuna-dashboard: names of its metrics, a note, the command to open it."""

from __future__ import annotations

import contextlib
import importlib.util
import shlex
import warnings
from collections.abc import Mapping, Sequence

from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from optuna_pop.errors import InputError, needs_extra

METRICS = ("accuracy (%)", "latency (ms)")


def describe_study(
    study: Study,
    *,
    metrics: Sequence[str] = METRICS,
    searched: Mapping[str, str] | None = None,
) -> bool:
    """Name a study's metrics and write its note, the latter where optuna-dashboard is installed.

    Args:
        study: Described again, it is the same.
        metrics: Name and unit of each objective.
        searched: What was searched, on what and how, e.g. ``{"space": "377 DF backbones",
            "device": "...", "data": "..."}``.

    Returns:
        Whether there is a note.

    Raises:
        InputError: if there are not as many names as objectives.
    """
    name_metrics(study, metrics)
    if importlib.util.find_spec("optuna_dashboard") is None:
        return False
    write_note(study, study_note(study, metrics=metrics, searched=searched))
    return True


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


def study_note(
    study: Study, *, metrics: Sequence[str] = METRICS, searched: Mapping[str, str] | None = None
) -> str:
    """Say in Markdown what a study searched and how to read it."""
    lines = [f"# {study.study_name}", ""]
    lines += ["Partial Order Pruning: the best trade-off of " + " against ".join(metrics) + ".", ""]
    if searched:
        lines += ["| | |", "| --- | --- |"]
        lines += [f"| {_cell(name)} | {_cell(words)} |" for name, words in searched.items()]
        lines.append("")
    lines += [
        "**How to read it.** Each trial trained one network; its architecture is in the trial's "
        "user attributes. In the Pareto front the marked trials are the boundary: no other one is "
        "both faster and more accurate. Networks that could not lift it were never trained, so "
        "they are no trials. A failed trial's network may come again as a later trial.",
    ]
    return "\n".join(lines)


def write_note(study: Study, body: str) -> None:
    """Set a study's note in optuna-dashboard; the same note is not written twice.

    Raises:
        MissingExtraError: if optuna-dashboard is not installed.
    """
    with needs_extra("dashboard"):
        from optuna_dashboard import (
            get_note,
            save_note,
        )
    if get_note(study) != body:
        save_note(study, body)


def dashboard_command(storage_url: str) -> str:
    """Return the shell command that opens a storage in the browser, without a password."""
    return f"optuna-dashboard {shlex.quote(without_password(storage_url))}"


def without_password(storage_url: str) -> str:
    """Return the address of a storage as others may read it."""
    with contextlib.suppress(ArgumentError):  # a journal file, say: the dashboard takes its path
        return make_url(storage_url).render_as_string(hide_password=True)
    return storage_url


def _cell(words: str) -> str:
    return " ".join(str(words).replace("|", "\\|").split())
