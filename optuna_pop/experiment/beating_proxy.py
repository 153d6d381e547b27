"""Optuna's gRPC storage proxy with a heartbeat, which it does not pass on (extra ``grpc``)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import GrpcStorageProxy
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_pop.experiment.workers import OWNER_ATTR

PULSE_ATTR = "optuna_pop:pulse"
"""System attribute of a trial: how many heartbeats its worker has written."""


class BeatingProxy(GrpcStorageProxy, BaseHeartbeat):
    """Writes heartbeats into the trials themselves.

    A trial is stale when this process has seen no heartbeat of it for the grace period, by its own
    clock: the clocks of the machines need not agree.

    Args:
        host: Of the proxy.
        port: Of the proxy.
        interval_s: Between heartbeats.
        grace_s: After so long without one a trial's worker counts as dead.
        on_stale: What is done with such a trial, which has been failed then.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        interval_s: int,
        grace_s: float,
        on_stale: Callable[[Study, FrozenTrial], None],
    ) -> None:
        super().__init__(host=host, port=port)
        self._interval_s = interval_s
        self._grace_s = grace_s
        self._on_stale = on_stale
        self._beats: dict[int, int] = {}  # of trials that this process runs
        self._seen: dict[int, tuple[Any, float]] = {}  # last pulse of a trial, and when it changed

    def record_heartbeat(self, trial_id: int) -> None:
        """Write that a trial's worker lives."""
        beats = self._beats[trial_id] = self._beats.get(trial_id, 0) + 1
        with contextlib.suppress(UpdateFinishedTrialError):
            self.set_trial_system_attr(trial_id, PULSE_ATTR, beats)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        now, before, stale = time.monotonic(), self._seen, []
        self._seen = {}
        for trial in self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,)):
            if OWNER_ATTR not in trial.user_attrs:
                continue  # asked for by somebody who keeps no heartbeat
            pulse = trial.system_attrs.get(PULSE_ATTR)
            known = before.get(trial._trial_id)
            if known is None or known[0] != pulse:
                known = (pulse, now)
            elif now - known[1] > self._grace_s:
                stale.append(trial._trial_id)
            self._seen[trial._trial_id] = known
        return stale

    def get_heartbeat_interval(self) -> int:
        """Seconds between heartbeats."""
        return self._interval_s

    def get_heartbeat_stale_trial_callback(self) -> Callable[[Study, FrozenTrial], None]:
        """What is done with a trial whose heartbeat stopped."""
        return self._on_stale
