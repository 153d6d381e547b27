"""The MLflow run of a trial that runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from optuna.trial import Trial, TrialState

from optuna_pop.errors import InputError
from optuna_pop.tracking import mlflow_names as names
from optuna_pop.tracking.mlflow_record import Point
from optuna_pop.tracking.mlflow_server import readable

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LARGEST_BATCH = 100  # parameters or tags
_MOST_METRICS = 1000


class TrialRun:
    """The MLflow run of a trial that runs; made by ``StudyRuns.trial``.

    Attributes:
        run_id: Its id in MLflow, also in the trial's user attributes.
    """

    def __init__(self, client: MlflowClient, uri: str, run_id: str, trial: Trial) -> None:
        self.run_id = run_id
        self._client = client
        self._uri = uri
        self._trial = trial
        self._logged_params: set[str] = set()
        self._last: dict[str, tuple[int, float]] = {}  # metric -> step and value

    def log_params(self) -> None:
        """Log the trial's parameters, and its architecture in words, as far as not done yet."""
        found = names.params_of(self._trial.params, self._trial.user_attrs)
        new = {key: text for key, text in found.items() if key not in self._logged_params}
        words = self._trial.user_attrs.get(names.ARCHITECTURE_TAG)
        tags = {names.ARCHITECTURE_TAG: str(words)[: names.LONGEST_TAG]} if words else {}
        if new:
            with readable(self._uri):
                log(self._client, self.run_id, params=new, tags=tags)
            self._logged_params |= new.keys()

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log what an epoch reached, e.g. ``{"accuracy": 71.2, "loss": 0.94}``.

        Args:
            epoch: Step of the metrics.
            metrics: By name, each in the objective's own unit.
        """
        named = names.keys(metrics)
        self._log({named[name]: (epoch, float(value)) for name, value in metrics.items()})

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
        if state not in names.STATUS:
            raise InputError(f"state must be COMPLETE, PRUNED or FAIL but got {state.name}")
        self.log_params()
        final = {}
        named = names.keys(metrics or {})
        for name, value in (metrics or {}).items():
            step, last = self._last.get(named[name], (0, None))
            if value != last:
                final[named[name]] = (step, float(value))
        self._log(final)
        tags = names.tags_of(self._trial.user_attrs) | {names.STATE_TAG: state.name}
        if reason is not None:
            tags[names.REASON_TAG] = reason[: names.LONGEST_TAG]
        with readable(self._uri):
            log(self._client, self.run_id, tags=tags)
            self._client.set_terminated(self.run_id, names.STATUS[state])

    def _log(self, points: Mapping[str, tuple[int, float]]) -> None:
        now = int(time.time() * 1000)
        with readable(self._uri):
            log(
                self._client,
                self.run_id,
                points=[Point(key, value, step, now) for key, (step, value) in points.items()],
            )
        self._last |= points


def log(
    client: MlflowClient,
    run_id: str,
    *,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    points: Iterable[Point] = (),
) -> None:
    """Log to a run, in as many requests as MLflow wants. Keys are as it takes them."""
    from mlflow.entities import Metric, Param, RunTag

    all_params = [Param(key, value) for key, value in (params or {}).items()]
    all_tags = [RunTag(key, value) for key, value in (tags or {}).items()]
    metrics = [Metric(point.key, point.value, point.time, point.step) for point in points]
    for start in range(0, max(len(all_params), len(all_tags)), _LARGEST_BATCH):
        end = start + _LARGEST_BATCH
        client.log_batch(run_id, params=all_params[start:end], tags=all_tags[start:end])
    for start in range(0, len(metrics), _MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + _MOST_METRICS])
