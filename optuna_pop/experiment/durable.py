"""A storage that outlives outages of its database, and in which no running trial is nobody's.

A database that restarts, a network that is gone for a minute or a full disk would end a night's
search. Here each call is repeated with growing pauses until it succeeds or the limit is reached.

What a repeated call does when the first one had succeeded without an answer:

- writing an attribute, a parameter, a heartbeat: the same again;
- finishing a trial: nothing, if it is finished as was asked;
- making a trial, or taking a waiting one: the first one stays behind as running, signed by this
  process, and ``workers.recover`` of this process clears it before its next training.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar, cast

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study import Study, StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from optuna_pop.errors import StorageError
from optuna_pop.experiment.workers import OWNER_ATTR
from optuna_pop.process import this_process

OUTAGE_LIMIT_S = 600.0
"""How long a storage may be away, unless told otherwise."""

_LONGEST_PAUSE_S = 10.0
_GRPC_OUTAGES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
_logger = logging.getLogger(__name__)

T = TypeVar("T")


class DurableStorage(BaseStorage, BaseHeartbeat):
    """Any Optuna storage, made patient; every trial it makes or hands out is signed.

    Args:
        backend: As ``optuna.storages.get_storage`` gives it.
        where: The storage in words, without a password.
        limit_s: After so many seconds without an answer a call fails. Later ones are then tried
            once only, so that the process comes to its end.
        signs: Whether this process runs the trials, and not one that is behind a proxy.

    Every method may raise ``StorageError``: if the storage was away for longer than the limit.
    """

    def __init__(
        self,
        backend: BaseStorage,
        where: str,
        limit_s: float = OUTAGE_LIMIT_S,
        *,
        signs: bool = True,
    ) -> None:
        self.backend = backend
        self.where = where
        self._limit_s = limit_s
        self._signs = signs
        self._given_up = False
        self._away = False
        self._lock = threading.Lock()

    # --- trials that are signed -------------------------------------------------------------

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Make a trial; one that runs at once is signed from the beginning."""
        template = _signed() if template_trial is None and self._signs else template_trial
        return self._call(self.backend.create_new_trial, study_id, template)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Move a trial on; one that begins to run is signed before."""
        if state == TrialState.RUNNING and self._signs:
            # Whoever loses the race for it may sign last; the winner signs once more as it begins.
            try:
                self.set_trial_user_attr(trial_id, OWNER_ATTR, asdict(this_process()))
            except UpdateFinishedTrialError:
                return False
        failed_before = threading.Event()
        try:
            return self._call(
                self.backend.set_trial_state_values,
                trial_id,
                state,
                values,
                on_failure=failed_before.set,
            )
        except UpdateFinishedTrialError:
            if failed_before.is_set() and self._is(trial_id, state, values):
                return True
            raise

    def _is(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> bool:
        """Whether a trial is as an unanswered call should have left it."""
        trial = self.get_trial(trial_id)
        return trial.state == state and (values is None or trial.values == list(values))

    # --- all else is passed on --------------------------------------------------------------

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Make a study."""
        return self._call(self.backend.create_new_study, directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self._call(self.backend.delete_study, study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write a user attribute of a study."""
        self._call(self.backend.set_study_user_attr, study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write a system attribute of a study."""
        self._call(self.backend.set_study_system_attr, study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Find a study."""
        return self._call(self.backend.get_study_id_from_name, study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Name a study."""
        return self._call(self.backend.get_study_name_from_id, study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Read a study's directions."""
        return self._call(self.backend.get_study_directions, study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Read a study's user attributes."""
        return self._call(self.backend.get_study_user_attrs, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Read a study's system attributes."""
        return self._call(self.backend.get_study_system_attrs, study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """Read all studies."""
        return self._call(self.backend.get_all_studies)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Write a parameter of a trial."""
        self._call(
            self.backend.set_trial_param, trial_id, param_name, param_value_internal, distribution
        )

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Write an intermediate value of a trial."""
        self._call(self.backend.set_trial_intermediate_value, trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write a user attribute of a trial."""
        self._call(self.backend.set_trial_user_attr, trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write a system attribute of a trial."""
        self._call(self.backend.set_trial_system_attr, trial_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Read a trial."""
        return self._call(self.backend.get_trial, trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Read the trials of a study."""
        return self._call(self.backend.get_all_trials, study_id, deepcopy, states)

    def remove_session(self) -> None:
        """Let go of the database connection."""
        self.backend.remove_session()

    # --- heartbeat, where the backend has one -----------------------------------------------

    def record_heartbeat(self, trial_id: int) -> None:
        """Write that a trial's worker lives."""
        self._call(self._heart.record_heartbeat, trial_id)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        return self._call(self._heart._get_stale_trial_ids, study_id)

    def get_heartbeat_interval(self) -> int | None:
        """Seconds between heartbeats; None where there are none."""
        if not isinstance(self.backend, BaseHeartbeat):
            return None
        return self.backend.get_heartbeat_interval()

    def get_heartbeat_stale_trial_callback(self) -> Callable[[Study, FrozenTrial], None] | None:
        """What is done with a trial whose heartbeat stopped."""
        return self._heart.get_heartbeat_stale_trial_callback()

    @property
    def _heart(self) -> BaseHeartbeat:
        return cast("BaseHeartbeat", self.backend)

    # --- patience ---------------------------------------------------------------------------

    def _call(
        self,
        method: Callable[..., T],
        *arguments: Any,
        on_failure: Callable[[], None] | None = None,
    ) -> T:
        def failed(state: RetryCallState) -> None:
            if on_failure is not None:
                on_failure()
            if state.outcome is not None:
                self._report(state.outcome.exception())

        patient = Retrying(
            retry=retry_if_exception(is_outage),
            wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_PAUSE_S),
            stop=stop_after_delay(0 if self._given_up else self._limit_s),
            before_sleep=failed,
            reraise=True,
        )
        try:
            result = patient(method, *arguments)
        except Exception as error:
            if not is_outage(error):
                raise
            self._given_up = True
            raise StorageError(
                f"storage {self.where} has not answered for {self._limit_s:.0f} s: "
                f"{first_line(error)}; what it holds is safe: when it is back, the same command "
                "goes on"
            ) from error
        self._given_up = False
        if self._away:
            self._report(None)
        return result

    def _report(self, error: BaseException | None) -> None:
        """Say once that the storage is away, and once that it is back."""
        with self._lock:
            if self._away == (error is not None):
                return
            self._away = error is not None
        if error is None:
            _logger.warning("optuna-pop: storage %s answers again", self.where)
        else:
            _logger.warning(
                "optuna-pop: storage %s is away (%s): trying again for up to %.0f s",
                self.where,
                first_line(error),
                self._limit_s,
            )


def is_outage(error: BaseException) -> bool:
    """Whether a storage's error may pass by itself: no connection, a lock, no room."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (OperationalError, InterfaceError, PoolTimeoutError)):
            return True
        if isinstance(cause, DBAPIError) and cause.connection_invalidated:
            return True
        if _grpc_code(cause) in _GRPC_OUTAGES:
            return True
        cause = cause.__cause__
    return False


def first_line(error: BaseException) -> str:
    """The first line of what a library's error was caused by."""
    cause = error.__cause__ or error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]


def _grpc_code(error: BaseException) -> str:
    """Name of a gRPC error's code, without gRPC being installed."""
    code = getattr(error, "code", None)
    return str(getattr(code(), "name", "")) if callable(code) else ""


def _signed() -> FrozenTrial:
    """A trial that this process runs from now on."""
    return FrozenTrial(
        number=-1,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={OWNER_ATTR: asdict(this_process())},
        system_attrs={},
        intermediate_values={},
        trial_id=-1,
    )
