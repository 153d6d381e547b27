"""What MLflow should hold of a finished trial, and what it lacks of that."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from optuna.trial import FrozenTrial, TrialState

from optuna_pop.curves import curve_of
from optuna_pop.tracking import mlflow_names as names

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

_LARGEST = 1.7976931348623157e308  # what MLflow keeps of infinity


class Point(NamedTuple):
    """A value of a metric, as MLflow keeps it: at a step, and at a time in ms since 1970."""

    key: str
    value: float
    step: int
    time: int


@dataclass(frozen=True)
class Lack:
    """What a run lacks of its trial.

    Attributes:
        params: Parameters.
        tags: Tags.
        points: Values of metrics.
        ended: Whether it does not have the trial's state.
        contradicted: Whether it has another value of a parameter, which MLflow never changes.
    """

    params: dict[str, str]
    tags: dict[str, str]
    points: list[Point]
    ended: bool
    contradicted: bool

    def __bool__(self) -> bool:
        return bool(self.params or self.tags or self.points or self.ended or self.contradicted)


@dataclass(frozen=True)
class TrialRecord:
    """What MLflow should hold of a finished trial. Names are as MLflow takes them.

    Attributes:
        number: Of the trial.
        status: MLflow's name for how it ended.
        started: In ms since 1970; None if it never began.
        ended: In ms since 1970.
        params: Its parameters.
        tags: Its user attributes in words, and its state.
        curve: What it reached by step.
        final: Its values if it completed, and its user attributes that are numbers.
    """

    number: int
    status: str
    started: int | None
    ended: int
    params: dict[str, str]
    tags: dict[str, str]
    curve: list[tuple[int, dict[str, float]]]
    final: dict[str, float]

    @classmethod
    def of(cls, trial: FrozenTrial, objectives: Sequence[str]) -> TrialRecord:
        """Read a finished trial.

        Args:
            trial: Complete, pruned or failed.
            objectives: Names of its values, see ``mlflow_names.objective_keys``.
        """
        final = names.metrics_of(trial.user_attrs)
        if trial.state == TrialState.COMPLETE:
            final |= dict(zip(objectives, trial.values, strict=True))
        return cls(
            number=trial.number,
            status=names.STATUS[trial.state],
            started=milliseconds(trial.datetime_start),
            ended=milliseconds(trial.datetime_complete) or 0,
            params=names.params_of(trial.params, trial.user_attrs),
            tags=names.tags_of(trial.user_attrs)
            | {names.TRIAL_TAG: str(trial.number), names.STATE_TAG: trial.state.name},
            curve=_curve(trial, objectives),
            final=final,
        )

    def lacking(self, run: Run, history: Callable[[str], Sequence[Metric]]) -> Lack:
        """Say what a run lacks of this.

        Args:
            run: Of the trial.
            history: All values of one of the run's metrics.
        """
        params, tags = run.data.params, run.data.tags
        return Lack(
            {key: value for key, value in self.params.items() if key not in params},
            {key: value for key, value in self.tags.items() if tags.get(key) != value},
            self._points(run, history),
            run.info.status != self.status,
            any(params.get(key, value) != value for key, value in self.params.items()),
        )

    def _points(self, run: Run, history: Callable[[str], Sequence[Metric]]) -> list[Point]:
        """Values that a run lacks; those that the study has no time of get the trial's end."""
        latest = run.data.metrics
        known: dict[str, list[Point]] = {}

        def of(key: str) -> list[Point]:
            if key not in known:
                found = history(key) if key in latest else ()
                known[key] = [Point(key, m.value, m.step, m.timestamp) for m in found]
            return known[key]

        points = []
        last: dict[str, float] = {}  # value that the run will show of a metric
        for step, metrics in self.curve:
            for key, value in metrics.items():
                last[key] = value
                if not any(p.step == step and _same(p.value, value) for p in of(key)):
                    points.append(Point(key, value, step, self.ended))
        unlike = {point.key for point in points}
        for key, value in self.final.items():
            shown = last.get(key) if key in unlike or key not in latest else latest[key]
            if shown is None or not _same(shown, value):
                others = [*of(key), *(point for point in points if point.key == key)]
                step = max((p.step for p in others), default=0)
                # Of values at one step MLflow shows the latest.
                after = max((p.time + 1 for p in others), default=self.ended)
                points.append(Point(key, value, step, max(after, self.ended)))
        return points


def milliseconds(time: datetime | None) -> int | None:
    """A moment as MLflow writes it, in ms since 1970."""
    return None if time is None else int(time.timestamp() * 1000)


def _curve(trial: FrozenTrial, objectives: Sequence[str]) -> list[tuple[int, dict[str, float]]]:
    """What a trial reached by step; a search of this project keeps more than one number a step."""
    history = trial.user_attrs.get(names.EPOCHS_ATTR)
    if history is None:
        return [(step, {objectives[0]: value}) for step, value in sorted(curve_of(trial).items())]
    return [(step, names.epoch_of(metrics, objectives)) for step, metrics in history]


def _same(kept: float, value: float) -> bool:
    clipped = max(-_LARGEST, min(_LARGEST, value))
    return kept in (value, clipped) or (math.isnan(kept) and math.isnan(value))
