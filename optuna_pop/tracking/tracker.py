"""MLflow runs for any Optuna study: a callback (extra ``mlflow``)."""

from __future__ import annotations

import logging
import threading
import weakref
from types import TracebackType
from typing import Self

from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_pop.errors import TrackingError
from optuna_pop.tracking.mirror import StudyMirror
from optuna_pop.tracking.mlflow_reconcile import Reconciled
from optuna_pop.tracking.mlflow_runs import StudyRuns
from optuna_pop.tracking.mlflow_server import Connection

_logger = logging.getLogger(__name__)


class MLflowTracker:
    """Keeps MLflow runs of a study, whatever its sampler; a callback of ``study.optimize``.

    The study becomes a run and each of its trials a run below it, FINISHED, KILLED if pruned, or
    FAILED: with parameters, one metric for each objective, the curve of what the trial reported
    (``trial.report``, or ``CurveTrial.report`` where there are several objectives) and its user
    attributes, numbers as metrics and all else as tags. Any number of threads and processes may
    work on the study, each with a tracker of its own.

    While MLflow is away trials go on; what could not be written is written after a later trial or
    at the end. What is missing even then ``sync`` writes, from any process.

    Args:
        tracking_uri: By default what ``mlflow.set_tracking_uri`` or ``MLFLOW_TRACKING_URI`` says,
            else ``sqlite:///mlflow.db``. User and password of a server are read from
            ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``.
        experiment: Name of the MLflow experiment; made where there is none.
        outage_limit_s: How long ``close`` waits for an MLflow that is away, in seconds.

    Raises:
        MissingExtraError: if MLflow is not installed.
        TrackingError: if MLflow cannot be reached now: its address may be wrong.

    Example:
        >>> import optuna
        >>> from optuna_pop import MLflowTracker
        >>> study = optuna.create_study(directions=["maximize", "minimize"])
        >>> def objective(trial):
        ...     x = trial.suggest_float("x", 0, 1)
        ...     return x, x**2
        >>> study.optimize(objective, n_trials=3, callbacks=[MLflowTracker()])
    """

    def __init__(
        self,
        *,
        tracking_uri: str | None = None,
        experiment: str = "optuna-pop",
        outage_limit_s: float = 600.0,
    ) -> None:
        self._connection = Connection.to(tracking_uri, experiment)
        self._limit_s = outage_limit_s
        self._lock = threading.Lock()
        self._mirrors: dict[int, tuple[Study, StudyMirror]] = {}
        # The runs of studies end when nobody can log to them any more.
        self._finalizer = weakref.finalize(self, _end, self._mirrors)

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Write a trial that has finished. An MLflow that is away raises nothing."""
        self._mirror(study).finished(trial)

    def sync(self, study: Study) -> Reconciled:
        """Write all that MLflow lacks of a study's finished trials; what is right is left alone.

        For trials of ``ask`` and ``tell``, after an outage or a crash, or for a study that was
        never tracked.

        Raises:
            TrackingError: if MLflow cannot be reached; calling it again goes on.
        """
        return self._mirror(study).sync()

    def close(self) -> None:
        """Write what is not written yet, and end the runs of studies that nobody works on.

        It is done, without waiting, when the tracker is no longer used or the process ends.

        Raises:
            TrackingError: if MLflow is away for longer than the limit.
        """
        for key, (_, mirror) in list(self._mirrors.items()):
            mirror.finish()
            del self._mirrors[key]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            _end(self._mirrors)

    def _mirror(self, study: Study) -> StudyMirror:
        with self._lock:
            if id(study) not in self._mirrors:
                runs = StudyRuns(study, connection=self._connection)
                self._mirrors[id(study)] = study, StudyMirror(study, runs, self._limit_s)
            return self._mirrors[id(study)][1]


def _end(mirrors: dict[int, tuple[Study, StudyMirror]]) -> None:
    """End the runs of studies without waiting for MLflow."""
    while mirrors:
        _, (_, mirror) = mirrors.popitem()
        try:
            mirror.finish(patient=False)
        except TrackingError as error:
            _logger.warning("optuna-pop: %s", error)
