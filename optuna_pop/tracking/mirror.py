"""MLflow as a patient mirror of a study: trainings go on while it is away.

Whatever could not be logged is logged later by the same process, and what a process could not log
before its end is written by ``StudyMirror.catch_up`` from the study, which holds all of it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from optuna_pop.curves import curve_of
from optuna_pop.errors import TrackingError
from optuna_pop.pruner import REASON_ATTR
from optuna_pop.tracking.mlflow_runs import StudyRuns
from optuna_pop.tracking.mlflow_trial import TrialRun

EPOCHS_ATTR = "optuna_pop:epochs"
"""User attribute of a trial: what each epoch reached, as a list of [epoch, {name: value}]."""
_SHARE = 20  # an outage may cost one part in so many of a training's time
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 600.0
T = TypeVar("T")
_logger = logging.getLogger(__name__)


class StudyMirror:
    """The MLflow runs of a study's trials, written when MLflow can be reached.

    Args:
        runs: Of the study.
        limit_s: How long ``finish`` waits for an MLflow that is away, in seconds.
    """

    def __init__(self, study: Study, runs: StudyRuns, limit_s: float = 600.0) -> None:
        self._study = study
        self._runs = runs
        self._limit_s = limit_s
        self._open: list[TrialMirror] = []  # with something that is not written yet
        self._next_try = 0.0

    def trial(self, trial: Trial) -> TrialMirror:
        """Return the mirror of a trial that begins."""
        found = TrialMirror(self, self._runs, trial)
        self._open.append(found)
        self.write()
        return found

    def write(self) -> None:
        """Write what is not written yet, unless MLflow was away a short while ago."""
        if time.monotonic() < self._next_try:
            return
        began = time.monotonic()
        try:
            self._write()
        except TrackingError as error:
            spent = time.monotonic() - began
            pause = min(max(_SHARE * spent, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
            if not self._next_try:
                _logger.warning("optuna-pop: %s; the search goes on, and writes it later", error)
            self._next_try = time.monotonic() + pause
        else:
            if self._next_try:
                _logger.warning("optuna-pop: MLflow answers again")
            self._next_try = 0.0

    def _write(self) -> None:
        for trial in list(self._open):
            trial.flush()
            if trial.is_done:
                self._open.remove(trial)

    def finish(self, *, patient: bool = True) -> None:
        """Write all, and end the study's run unless other processes still work on it.

        Args:
            patient: Whether to wait for an MLflow that is away.

        Raises:
            TrackingError: if it is still away after the limit. What is missing can be written later
                from the study.
        """
        try:
            self._patiently(self._finish, self._limit_s if patient else 0.0)
        except TrackingError as error:
            raise TrackingError(
                f"{error}; the study holds all results: when MLflow is back, the same command "
                "writes what is missing there"
            ) from error

    def catch_up(self) -> list[int]:
        """Write finished trials that MLflow lacks, or has as running, from the study.

        Returns:
            Their numbers.

        Raises:
            TrackingError: if MLflow is away for longer than the limit.
        """
        return self._patiently(self._catch_up, self._limit_s)

    def _finish(self) -> None:
        self._write()
        self._runs.finish()

    def _catch_up(self) -> list[int]:
        missing = self._runs.unfinished()
        for trial in missing:
            write_trial(self._runs, trial)
        return [trial.number for trial in missing]

    @staticmethod
    def _patiently(action: Callable[[], T], limit_s: float) -> T:
        patient = Retrying(
            retry=retry_if_exception_type(TrackingError),
            wait=wait_random_exponential(multiplier=0.5, max=10.0),
            stop=stop_after_delay(limit_s),
            reraise=True,
        )
        return patient(action)


class TrialMirror:
    """What a trial did, on its way to MLflow; made by ``StudyMirror.trial``."""

    def __init__(self, mirror: StudyMirror, runs: StudyRuns, trial: Trial) -> None:
        self._mirror = mirror
        self._runs = runs
        self._trial = trial
        self._run: TrialRun | None = None
        self._history: list[list[Any]] = []  # [epoch, metrics], also kept in the trial
        self._written = 0  # epochs of it
        self._end: tuple[TrialState, dict[str, float], str | None] | None = None
        self.is_done = False

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Keep what an epoch reached in the trial, then log it."""
        # JSON has no NaN.
        finite = {name: v if math.isfinite(v) else None for name, v in metrics.items()}
        self._history.append([epoch, finite])
        self._trial.set_user_attr(EPOCHS_ATTR, self._history)
        self._mirror.write()

    def finish(self, state: TrialState, metrics: Mapping[str, float], reason: str | None) -> None:
        """End the run; see ``TrialRun.finish``."""
        self._end = (state, dict(metrics), reason)
        self._mirror.write()

    def flush(self) -> None:
        """Write what is not written yet.

        Raises:
            TrackingError: if MLflow is away.
        """
        if self._run is None:
            self._run = self._runs.trial(self._trial)
        for epoch, metrics in self._history[self._written :]:
            self._run.log_epoch(epoch, _numbers(metrics))
            self._written += 1
        if self._end is not None and not self.is_done:
            state, metrics, reason = self._end
            self._run.finish(state, metrics, reason=reason)
            self.is_done = True


def write_trial(runs: StudyRuns, trial: FrozenTrial) -> None:
    """Write a finished trial to MLflow from what the study holds of it.

    Raises:
        TrackingError: if MLflow is away.
    """
    run = runs.trial(trial)
    history = trial.user_attrs.get(EPOCHS_ATTR)
    if history is None:
        history = [[step, {"accuracy": value}] for step, value in sorted(curve_of(trial).items())]
    for epoch, metrics in history:
        run.log_epoch(epoch, _numbers(metrics))
    final = {name: value for name, value in trial.user_attrs.items() if _is_metric(name, value)}
    if trial.state == TrialState.COMPLETE:
        final["accuracy"] = trial.values[0]
    run.finish(trial.state, final, reason=trial.user_attrs.get(REASON_ATTR))


def _numbers(metrics: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def _is_metric(name: str, value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and not name.startswith("optuna_pop:")
