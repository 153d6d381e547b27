"""Names under which a study and its MLflow runs know each other, as MLflow allows them."""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from optuna_pop.fingerprint import fingerprint
from optuna_pop.pruner import REASON_ATTR

RUN_ATTR = "mlflow_run_id"
"""User attribute of a study and of a trial that names its MLflow run."""
EPOCHS_ATTR = "optuna_pop:epochs"
"""User attribute of a trial: what each epoch reached, as a list of [epoch, {name: value}]."""

PARENT_TAG = "mlflow.parentRunId"
STUDY_TAG, TRIAL_TAG, STATE_TAG = "optuna_pop.study", "optuna_pop.trial", "optuna_pop.state"
ARCHITECTURE_TAG = "architecture"
REASON_TAG = "optuna_pop.reason"
LONGEST_TAG, LONGEST_PARAM = 5000, 6000  # characters
STATUS = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAIL: "FAILED",
}
"""MLflow's name for how a trial ended."""

_LONGEST_KEY = 250
_FORBIDDEN = re.compile(r"\s*[^\w\-./: ]+\s*")
_RESERVED = ("mlflow.", "optuna_pop.")  # beginnings of tags that have a meaning
_OWN = "optuna_pop:"  # beginning of user attributes that are the search's own


def objective_keys(study: Study) -> tuple[str, ...]:
    """Name the metrics of a study's objectives: by its metric names, else ``value``.

    Several without names are ``value_0``, ``value_1`` and so on. Of a unit in brackets MLflow
    takes the letters: ``latency (ms)`` becomes ``latency_ms``, ``accuracy (%)`` ``accuracy``.
    """
    count = len(study.directions)
    names = study.metric_names
    if names is None:
        return ("value",) if count == 1 else tuple(f"value_{i}" for i in range(count))
    if len(set(names)) < count:
        names = [f"{name}_{i}" for i, name in enumerate(names)]
    return tuple(keys(names).values())


def keys(names: Iterable[str]) -> dict[str, str]:
    """Turn names of parameters, metrics or tags into ones that MLflow takes, no two alike."""
    found = {name: _key(name) for name in names}
    often = Counter(found.values())
    for name, key in found.items():
        if often[key] > 1 and key != name:
            found[name] = f"{key[: _LONGEST_KEY - 9]}_{fingerprint(name)[:8]}"
    return found


def epoch_of(metrics: Mapping[str, float | None], objectives: Sequence[str]) -> dict[str, float]:
    """Name what an epoch reached: its ``accuracy`` is the study's first objective.

    Args:
        metrics: As they are kept in a trial, with None for NaN.
        objectives: As ``objective_keys`` names them.
    """
    named = keys(metrics) | {"accuracy": objectives[0]}
    return {named[k]: math.nan if v is None else float(v) for k, v in metrics.items()}


def tags_of(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Tags that a trial's user attributes become: all in words, and why it was pruned."""
    words = {
        name: value
        for name, value in attributes.items()
        if not _is_number(value) and not name.startswith(_OWN) and name != RUN_ATTR
    }
    named = keys(words)
    tags = {
        f"user.{key}" if (key := named[name]).startswith(_RESERVED) else key: _text(value)
        for name, value in words.items()
    }
    if REASON_ATTR in attributes:
        tags[REASON_TAG] = _text(attributes[REASON_ATTR])
    return tags


def metrics_of(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Metrics that a trial's user attributes become: all that are numbers."""
    numbers = {
        name: float(value)
        for name, value in attributes.items()
        if _is_number(value) and not name.startswith(_OWN)
    }
    named = keys(numbers)
    return {named[name]: value for name, value in numbers.items()}


def params_of(params: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, str]:
    """MLflow parameters of a trial: its own, and its architecture in words."""
    values = dict(params)
    if ARCHITECTURE_TAG in attributes:
        values.setdefault(ARCHITECTURE_TAG, attributes[ARCHITECTURE_TAG])
    named = keys(values)
    return {named[name]: str(value)[:LONGEST_PARAM] for name, value in values.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    text = json.dumps(value, default=str) if isinstance(value, (dict, list)) else str(value)
    return text[:LONGEST_TAG]


def _key(name: str) -> str:
    key = name if not _FORBIDDEN.search(name) else _FORBIDDEN.sub("_", name).strip("_")
    key = key[:_LONGEST_KEY]
    if key.startswith(("/", "..")) or posixpath.normpath(key) != key or key == ".":
        key = key.replace("/", "_").lstrip(".")  # MLflow might take it for a file elsewhere
    return key or "_"
