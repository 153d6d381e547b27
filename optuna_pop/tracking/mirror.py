"""MLflow as a patient mirror of a study: trainings go on while it is away.

Whatever could not be logged is logged later by the same process, and what a process could not log
before its end is written by ``StudyMirror.catch_up`` from the study, which holds all of it.
"""

from __future__ import annotations

import logging
import math
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from optuna_pop.errors import OptunaPopError, TrackingError
from optuna_pop.tracking.mlflow_names import EPOCHS_ATTR, epoch_of, objective_keys
from optuna_pop.tracking.mlflow_reconcile import Reconciled, reconcile
from optuna_pop.tracking.mlflow_runs import StudyRuns
from optuna_pop.tracking.mlflow_trial import TrialRun

_SHARE = 20  # an outage may cost one part in so many of a training's time
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 600.0
T = TypeVar("T")
_logger = logging.getLogger(__name__)

WriteFiles = Callable[[Path], object]
"""Writes the files that a study's run is to keep into a folder."""


class StudyMirror:
    """The MLflow runs of a study's trials, written when MLflow can be reached.

    Threads may share it. ``runs`` are the runs it writes to.

    Args:
        study: Whose trials they are.
        runs: Of the study.
        limit_s: How long ``finish`` waits for an MLflow that is away, in seconds.
        files: Writes the files that the study's run keeps as artifacts, when it finishes.
    """

    def __init__(
        self,
        study: Study,
        runs: StudyRuns,
        limit_s: float = 600.0,
        *,
        files: WriteFiles | None = None,
    ) -> None:
        self._study = study
        self.runs = runs
        self._limit_s = limit_s
        self._files = files
        self._open: list[_Pending] = []  # with something that is not written yet
        self._next_try = 0.0
        self._lock = threading.RLock()

    def trial(self, trial: Trial) -> TrialMirror:
        """Return the mirror of a trial that begins."""
        found = TrialMirror(self, self.runs, trial)
        self._take(found)
        return found

    def finished(self, trial: FrozenTrial) -> None:
        """Write a trial that has finished, unless MLflow is away."""
        self._take(_Finished(self.runs, trial))

    def _take(self, pending: _Pending) -> None:
        with self._lock:
            self._open.append(pending)
        self.write()

    def write(self) -> None:
        """Write what is not written yet, unless MLflow was away a short while ago."""
        with self._lock:
            if time.monotonic() >= self._next_try:
                self._try()

    def _try(self) -> None:
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
        with self._lock:
            for trial in list(self._open):
                trial.flush()
                if trial.is_done:
                    self._open.remove(trial)

    def finish(self, *, patient: bool = True, files: bool = True) -> None:
        """Write all, and end the study's run unless other processes still work on it.

        Args:
            patient: Whether to wait for an MLflow that is away.
            files: Whether to store artifacts, too; that this fails is only said.

        Raises:
            TrackingError: if it is still away after the limit. What is missing can be written later
                from the study.
        """
        try:
            self._patiently(self._finish, self._limit_s if patient else 0.0)
        except TrackingError as error:
            raise TrackingError(
                f"{error}; the study holds all results: when MLflow is back, `optuna-pop sync` "
                "writes what is missing there"
            ) from error
        if files and patient:
            self._store()

    def sync(self) -> Reconciled:
        """Make MLflow say what the study says, see ``reconcile``, and store files it lacks.

        Raises:
            TrackingError: if MLflow cannot be reached; calling it again goes on.
        """
        done = reconcile(self._study, self.runs)
        return replace(done, files=self._store(missing=not done.changed))

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
        self.runs.finish()

    def _catch_up(self) -> list[int]:
        missing = self.runs.unfinished()
        for trial in missing:
            self.runs.write(trial)
        return [trial.number for trial in missing]

    def _store(self, *, missing: bool = False) -> tuple[str, ...]:
        """Store artifacts, or only where some are missing; return the names of what was stored.

        Trainings are worth more: whatever goes wrong is only said.
        """
        if self._files is None or self.runs.find() is None:
            return ()
        try:
            with tempfile.TemporaryDirectory() as folder:
                self._files(Path(folder))
                names = sorted(path.name for path in Path(folder).iterdir())
                if missing and self.runs.stored() >= set(names):
                    return ()
                self._patiently(lambda: self.runs.store(Path(folder)), self._limit_s, self._is_away)
                return tuple(names)
        except (OptunaPopError, OSError) as error:
            _logger.warning(
                "optuna-pop: the study's files could not be stored in MLflow: %s; "
                "`optuna-pop sync` stores them later",
                error,
            )
            return ()

    def _is_away(self, _: TrackingError) -> bool:
        """Whether MLflow is away; one that answers would refuse again what it refused."""
        try:
            self.runs.connection.ask()
        except TrackingError:
            return True
        return False

    @staticmethod
    def _patiently(
        action: Callable[[], T],
        limit_s: float,
        may_pass: Callable[[TrackingError], bool] = lambda _: True,
    ) -> T:
        patient = Retrying(
            retry=retry_if_exception(lambda e: isinstance(e, TrackingError) and may_pass(e)),
            wait=wait_random_exponential(multiplier=0.5, max=10.0),
            stop=stop_after_delay(limit_s),
            reraise=True,
        )
        return patient(action)


class _Pending(Protocol):
    """Something of a trial that is not written yet."""

    is_done: bool

    def flush(self) -> None:
        """Write what is not written yet, else raise TrackingError."""


class _Finished:
    """A trial that has finished, on its way to MLflow."""

    def __init__(self, runs: StudyRuns, trial: FrozenTrial) -> None:
        self._runs = runs
        self._trial = trial
        self.is_done = False

    def flush(self) -> None:
        """Write it.

        Raises:
            TrackingError: if MLflow is away.
        """
        self._runs.connection.ask()  # sooner than MLflow's client would give up
        self._runs.write(self._trial)
        self.is_done = True


class TrialMirror:
    """What a trial did, on its way to MLflow; made by ``StudyMirror.trial``."""

    def __init__(self, mirror: StudyMirror, runs: StudyRuns, trial: Trial) -> None:
        self._mirror = mirror
        self._runs = runs
        self._trial = trial
        self._objectives = objective_keys(trial.study)
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
            self._run.log_epoch(epoch, epoch_of(metrics, self._objectives))
            self._written += 1
        if self._end is not None and not self.is_done:
            state, metrics, reason = self._end
            self._run.finish(state, metrics, reason=reason)
            self.is_done = True
