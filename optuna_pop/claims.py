"""Reservation of architectures among workers, kept in the study's own trials.

A worker writes its claim into its trial and reads all trials again. Of two workers that claim the
same architecture at the same moment each sees the other's claim, because each wrote before it
looked, whatever the storage. The higher trial number gives way at once; the lower one waits for
that, and gives way itself if the higher one was already sure, having looked before the lower wrote.

A claim says which process holds it. Of a process that died on this host the claim is void at once;
of one on another host when the storage's heartbeat has failed its trial.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import astuple
from typing import TypeVar, cast

from optuna.exceptions import ExperimentalWarning
from optuna.storages import fail_stale_trials
from optuna.storages._heartbeat import BaseHeartbeat, is_heartbeat_enabled
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_pop.ledger import CLAIM_ATTR, Ledger
from optuna_pop.process import this_process

A = TypeVar("A")

_PATIENCE_S = 10.0  # how long an undecided claim of another worker is waited for
_POLL_S = 0.01


def all_trials(study: Study) -> list[FrozenTrial]:
    """Read the trials of a study afresh from its storage."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def reserve(
    study: Study,
    trial: FrozenTrial,
    ledger: Ledger[A],
    row: int,
    *,
    yields: Callable[[FrozenTrial], bool] = lambda _: False,
) -> bool:
    """Claim a row for a trial; whether the claim held.

    Args:
        study: Of the trial.
        trial: That is running.
        ledger: Reads who holds what.
        row: The architecture's.
        yields: Which other trials are known to give way by themselves.
    """
    write_claim(study, trial, row, sure=False)
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        rivals = ledger.rivals(all_trials(study), row, but=trial.number)
        rivals = [rival for rival in rivals if not yields(rival)]
        if not rivals:
            write_claim(study, trial, row, sure=True)
            return True
        if any(rival.number < trial.number or _is_sure(rival) for rival in rivals):
            return False
        if time.monotonic() > deadline:
            return False  # A worker died between claim and certainty; leave it the row.
        time.sleep(_POLL_S)


def write_claim(study: Study, trial: FrozenTrial, row: int | None, *, sure: bool) -> None:
    """Write a claim into a trial; None takes an earlier one back."""
    claim = [row, sure, *astuple(this_process())]
    study._storage.set_trial_system_attr(trial._trial_id, CLAIM_ATTR, claim)


class StaleTrials:
    """Fails trials whose heartbeat stopped, as ``Study.optimize`` does, for ask and tell too."""

    def __init__(self) -> None:
        self._next = 0.0

    def fail(self, study: Study) -> None:
        """Look at most once per heartbeat interval; without a heartbeat there is nothing to do."""
        storage = study._storage
        if time.monotonic() < self._next or not is_heartbeat_enabled(storage):
            return
        interval = cast("BaseHeartbeat", storage).get_heartbeat_interval()
        self._next = time.monotonic() + float(interval or 0)
        with warnings.catch_warnings():  # of Optuna, that it is experimental
            warnings.simplefilter("ignore", ExperimentalWarning)
            fail_stale_trials(study)


def _is_sure(rival: FrozenTrial) -> bool:
    if rival.state != TrialState.RUNNING:
        return True  # trained already, or enqueued
    claim = rival.system_attrs.get(CLAIM_ATTR)
    return claim is None or bool(claim[1])
