"""The MLflow run of one trial, and the names under which a study and its runs know each other."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_pop.errors import InputError
from optuna_pop.spaces.base import ARCHITECTURE_ATTR
from optuna_pop.tracking.mlflow_server import readable

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_ATTR = "mlflow_run_id"
"""User attribute of a study and of a trial that names its MLflow run."""

STUDY_TAG, TRIAL_TAG, STATE_TAG = "optuna_pop.study", "optuna_pop.trial", "optuna_pop.state"
ARCHITECTURE_TAG = "architecture"
REASON_TAG = "optuna_pop.reason"
LONGEST_TAG = 5000
STATUS = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAIL: "FAILED",
}
"""MLflow's name for how a trial ended."""

_LARGEST_BATCH = 100


class TrialRun:
    """The MLflow run of one trial; made by ``StudyRuns.trial``.

    Attributes:
        run_id: Its id in MLflow, also in the trial's user attributes.
    """

    def __init__(
        self, client: MlflowClient, uri: str, run_id: str, trial: Trial | FrozenTrial
    ) -> None:
        self.run_id = run_id
        self._client = client
        self._uri = uri
        self._trial = trial
        self._logged_params: set[str] = set()
        self._last: dict[str, tuple[int, float]] = {}  # metric -> step and value

    def log_params(self) -> None:
        """Log the trial's parameters, and its architecture in words, as far as not done yet."""
        from mlflow.entities import Param, RunTag

        values: dict[str, Any] = dict(self._trial.params)
        words = self._trial.user_attrs.get(ARCHITECTURE_ATTR)
        tags = []
        if words is not None:
            values.setdefault(ARCHITECTURE_TAG, words)
            tags = [RunTag(ARCHITECTURE_TAG, str(words)[:LONGEST_TAG])]
        new = {_key(name): str(v) for name, v in values.items()}
        params = [Param(name, v) for name, v in new.items() if name not in self._logged_params]
        if not params:
            return
        with readable(self._uri):
            for start in range(0, len(params), _LARGEST_BATCH):
                batch = params[start : start + _LARGEST_BATCH]
                self._client.log_batch(self.run_id, params=batch, tags=tags)
        self._logged_params |= new.keys()

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log what an epoch reached, e.g. ``{"accuracy": 71.2, "loss": 0.94}``.

        Args:
            epoch: Step of the metrics.
            metrics: By name, each in the objective's own unit.
        """
        self._log({_key(name): (epoch, float(value)) for name, value in metrics.items()})

    def finish(
        self,
        state: TrialState,
        metrics: Mapping[str, float] | None = None,
        *,
        reason: str | None = None,
    ) -> None:
        """Log final metrics and end the run: FINISHED, KILLED if pruned, else FAILED.

        Args:
            state: The trial's.
            metrics: E.g. ``{"accuracy": 73.0, "latency_ms": 0.21, "macs": 1.2e6}``. One that was
                logged by epoch is logged at its last epoch, so that MLflow shows it as the latest.
            reason: Why it ended so, kept as a tag.

        Raises:
            InputError: if the state is not a finished one.
        """
        if state not in STATUS:
            raise InputError(f"state must be COMPLETE, PRUNED or FAIL but got {state.name}")
        self.log_params()
        final = {}
        for name, value in (metrics or {}).items():
            step, last = self._last.get(_key(name), (0, None))
            if value != last:
                final[_key(name)] = (step, float(value))
        self._log(final)
        with readable(self._uri):
            self._client.set_tag(self.run_id, STATE_TAG, state.name)
            if reason is not None:
                self._client.set_tag(self.run_id, REASON_TAG, reason[:LONGEST_TAG])
            self._client.set_terminated(self.run_id, STATUS[state], end_time=self._ended())

    def _ended(self) -> int | None:
        """When a trial that is written late ended, in ms since 1970; None for one that ends now."""
        if isinstance(self._trial, Trial) or self._trial.datetime_complete is None:
            return None
        return int(self._trial.datetime_complete.timestamp() * 1000)

    def _log(self, points: Mapping[str, tuple[int, float]]) -> None:
        from mlflow.entities import Metric

        if not points:
            return
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, (step, value) in points.items()]
        with readable(self._uri):
            self._client.log_batch(self.run_id, metrics=metrics)
        self._last |= points


def _key(name: str) -> str:
    """Keep to the characters that MLflow allows in names."""
    return re.sub(r"[^\w\-./: ]", "_", name)
