"""Which process runs a trial, and what becomes of the trials of a dead one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_pop.claims import reserve
from optuna_pop.experiment import identity
from optuna_pop.ledger import REPRODUCIBLE_ATTR, Ledger
from optuna_pop.process import Holder, this_process

OWNER_ATTR = "optuna_pop:owner"
RETRY_ATTR = "optuna_pop:retry_of"
DEATHS_ATTR = "optuna_pop:deaths"
INTERRUPTED_ATTR = "optuna_pop:interrupted"

RETRIES = 2
"""How often a training is begun again after its worker died, unless the study says otherwise."""


@dataclass(frozen=True)
class Recovered:
    """Numbers of the trials whose worker had died.

    Attributes:
        again: Enqueued again.
        given_up: Failed, as their workers died too often.
    """

    again: tuple[int, ...]
    given_up: tuple[int, ...]


class SupersededError(RuntimeError):
    """A trial that begins a training again which another trial has begun, too."""


def begin(trial: Trial) -> None:
    """Write into a trial which process runs it, and let it go if another one does its work.

    A training of a dead worker may be enqueued twice, by workers that find it at the same moment,
    and the sampler may have chosen it anew meanwhile: only one of them trains.

    Raises:
        SupersededError: if another does.
    """
    trial.set_user_attr(OWNER_ATTR, asdict(this_process()))
    space = identity.space_of(trial.study) if RETRY_ATTR in trial.user_attrs else None
    if space is None:
        return
    frozen = trial.storage.get_trial(trial._trial_id)
    row = space.row(space.from_params(frozen.system_attrs["fixed_params"]))

    def yields(rival: FrozenTrial) -> bool:
        # A later one sees this one, which was there before it, as it begins.
        later = rival.number > trial.number and not rival.state.is_finished()
        return later and RETRY_ATTR in rival.user_attrs

    if not reserve(trial.study, frozen, Ledger(space), row, yields=yields):
        raise SupersededError(
            f"another trial trains what trial {trial.user_attrs[RETRY_ATTR]} began"
        )


def recover(study: Study) -> Recovered:
    """Fail the running trials whose process on this host is gone, and enqueue them again.

    To be called while this process trains nothing: what then still runs in its name was left
    behind by an outage of the storage. Trials on other hosts are left to the heartbeat, which
    PostgreSQL and MySQL studies have.
    """
    me = asdict(this_process())
    again, given_up = [], []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        owner: dict[str, Any] | None = trial.user_attrs.get(OWNER_ATTR)
        if owner is None or not (owner == me or Holder(**owner).is_gone()):
            continue
        mine = owner == me
        hopeless = not mine and _is_hopeless(study, trial)
        # Enqueued first: whoever is killed in between leaves it twice, which ``begin`` sees, and
        # not lost. What is one's own still counts as running, so that this would be superseded.
        enqueued = not hopeless and not mine and _enqueue(study, trial, died=True)
        try:
            if hopeless:
                words = f"its worker died, as {_deaths(trial)} before it"
                study._storage.set_trial_user_attr(trial._trial_id, identity.ERROR_ATTR, words)
                study._storage.set_trial_user_attr(trial._trial_id, REPRODUCIBLE_ATTR, True)
            study.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, UpdateFinishedTrialError):
            continue  # another worker was faster, and has enqueued it, too
        if hopeless:
            given_up.append(trial.number)
        elif enqueued or (mine and _enqueue(study, trial, died=False)):
            again.append(trial.number)
    return Recovered(tuple(again), tuple(given_up))


def retry_stale(study: Study, trial: FrozenTrial) -> None:
    """Enqueue a trial again that the storage's heartbeat has failed, unless it died too often."""
    if not _is_hopeless(study, trial):
        _enqueue(study, trial, died=True)


def mark_interrupted(trial: Trial) -> None:
    """Write into a trial that it was stopped from outside, which is no failure of its own."""
    trial.set_user_attr(INTERRUPTED_ATTR, True)


def requeue_interrupted(study: Study) -> None:
    """Enqueue again what was stopped from outside in this process."""
    me = asdict(this_process())
    trials = study.get_trials(deepcopy=False)
    retried = _retried(trials)
    for trial in trials:
        mine = trial.state == TrialState.FAIL and trial.user_attrs.get(OWNER_ATTR) == me
        if mine and trial.user_attrs.get(INTERRUPTED_ATTR) and trial.number not in retried:
            _enqueue(study, trial, died=False)


def _enqueue(study: Study, trial: FrozenTrial, *, died: bool) -> bool:
    """Enqueue a trial again; False if it ended before it was known what it would train."""
    params = _params(study, trial)
    if params:
        attrs = {RETRY_ATTR: trial.number, DEATHS_ATTR: _deaths(trial) + died}
        study.enqueue_trial(params, user_attrs=attrs)
    return bool(params)


def _params(study: Study, trial: FrozenTrial) -> dict[str, Any]:
    """What a trial trains, also where it ended as it was chosen or taken from the queue."""
    space = identity.space_of(study)
    if space is None:
        return trial.params
    architecture = Ledger(space).architecture(trial)
    return {} if architecture is None else dict(space.params(architecture))


def _is_hopeless(study: Study, trial: FrozenTrial) -> bool:
    settings = study.user_attrs.get(identity.SETTINGS_ATTR, {})
    return _deaths(trial) >= int(settings.get("retries", RETRIES))


def _deaths(trial: FrozenTrial) -> int:
    return int(trial.user_attrs.get(DEATHS_ATTR, 0))


def _retried(trials: Iterable[FrozenTrial]) -> set[int | None]:
    return {trial.user_attrs.get(RETRY_ATTR) for trial in trials}
