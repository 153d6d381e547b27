"""Which process runs a trial, and what becomes of the trials of a dead one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_pop.process import Holder, this_process

OWNER_ATTR = "optuna_pop:owner"
RETRY_ATTR = "optuna_pop:retry_of"
INTERRUPTED_ATTR = "optuna_pop:interrupted"


def sign(trial: Trial) -> None:
    """Write into a trial which process runs it."""
    trial.set_user_attr(OWNER_ATTR, asdict(this_process()))


def recover(study: Study) -> list[int]:
    """Fail and enqueue again the running trials whose process on this host is gone.

    Trials on other hosts are left to Optuna's heartbeat, which PostgreSQL and MySQL studies have.

    Returns:
        Numbers of the trials that were recovered.
    """
    found = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not _is_orphan(trial):
            continue
        try:
            study.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, UpdateFinishedTrialError):
            continue  # another worker was faster, and enqueues it
        requeue(study, trial)
        found.append(trial.number)
    return found


def requeue(study: Study, trial: FrozenTrial) -> None:
    """Enqueue an interrupted training again, if it had an architecture yet."""
    if trial.params:
        study.enqueue_trial(trial.params, user_attrs={RETRY_ATTR: trial.number})


def mark_interrupted(trial: Trial) -> None:
    """Write into a trial that Ctrl-C or SIGTERM stopped it, which is no failure of its own."""
    trial.set_user_attr(INTERRUPTED_ATTR, True)


def requeue_interrupted(study: Study) -> None:
    """Enqueue again what Ctrl-C or SIGTERM stopped in this process."""
    me = asdict(this_process())
    retried = {trial.user_attrs.get(RETRY_ATTR) for trial in study.get_trials(deepcopy=False)}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
        mine = trial.user_attrs.get(OWNER_ATTR) == me
        if mine and trial.user_attrs.get(INTERRUPTED_ATTR) and trial.number not in retried:
            requeue(study, trial)


def _is_orphan(trial: FrozenTrial) -> bool:
    owner: dict[str, Any] | None = trial.user_attrs.get(OWNER_ATTR)
    return owner is not None and Holder(**owner).is_gone()
