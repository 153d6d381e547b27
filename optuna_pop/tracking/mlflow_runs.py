"""Each trial as an MLflow run, below the run of its study (extra ``mlflow``).

The study is the truth and MLflow its mirror. Only ``MlflowClient`` is used, none of MLflow's global
state, so threads, processes and a user's own active run do not disturb each other.
"""

from __future__ import annotations

import contextlib
import getpass
import threading
from datetime import datetime
from typing import TYPE_CHECKING

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_pop.tracking.mlflow_server import connect, experiment_id, readable
from optuna_pop.tracking.mlflow_trial import (
    LONGEST_TAG,
    RUN_ATTR,
    STUDY_TAG,
    TRIAL_TAG,
    TrialRun,
)

if TYPE_CHECKING:
    from mlflow.entities import Run

_PARENT_TAG = "mlflow.parentRunId"
_PAGE = 1000  # runs asked for at once


class StudyRuns:
    """MLflow runs of a study: one of its own, which goes on when the study does, and its trials'.

    The study's run is made, or set RUNNING again, at the first trial. Its id is kept in the study;
    a run that was deleted, or that this MLflow does not have, is replaced by a new one.

    Args:
        study: Any study, with any sampler.
        tracking_uri: By default what ``mlflow.set_tracking_uri`` or ``MLFLOW_TRACKING_URI`` says,
            else ``sqlite:///mlflow.db``.
        experiment: Name of the MLflow experiment; made where there is none.

    Raises:
        MissingExtraError: if MLflow is not installed.
        TrackingError: if MLflow cannot be reached; every method may raise it, too.
    """

    def __init__(
        self, study: Study, *, tracking_uri: str | None = None, experiment: str = "optuna-pop"
    ) -> None:
        self._study = study
        self._client, self._uri = connect(tracking_uri)
        self._experiment_id = experiment_id(self._client, experiment, self._uri)
        self._lock = threading.Lock()
        self._current: str | None = None  # the study's run, known to be RUNNING

    @property
    def run_id(self) -> str:
        """The study's run, RUNNING; made where there is none yet."""
        with self._lock, readable(self._uri):
            # Read again each time: of processes that began together the last one's run holds.
            recorded = self._study.user_attrs.get(RUN_ATTR)
            if recorded is None or recorded != self._current:
                if recorded is None or not self._resume(recorded):
                    recorded = self._create()
                self._current = recorded
            return str(recorded)

    def trial(self, trial: Trial | FrozenTrial) -> TrialRun:
        """Return the run of a trial, made where it has none yet.

        Args:
            trial: Running, best after its parameters were suggested, which are logged now; later
                ones are when the run finishes. Or finished, to be written late.
        """
        parent = self.run_id
        with readable(self._uri):
            run = self._run_of(trial)
            if run is None:
                run = self._client.create_run(
                    self._experiment_id,
                    start_time=_milliseconds(trial.datetime_start),
                    run_name=f"trial {trial.number}",
                    tags=self._tags() | {_PARENT_TAG: parent, TRIAL_TAG: str(trial.number)},
                )
                if isinstance(trial, Trial):
                    with contextlib.suppress(UpdateFinishedTrialError):  # then its tag names it
                        trial.set_user_attr(RUN_ATTR, run.info.run_id)
            found = TrialRun(self._client, self._uri, run.info.run_id, trial)
            found.log_params()
            return found

    def unfinished(self) -> list[FrozenTrial]:
        """Finished trials that have no run yet, or one that still counts as running.

        Call it after the study's own stale trials were failed.
        """
        trials = self._study.get_trials(deepcopy=False)
        parent = self._study.user_attrs.get(RUN_ATTR)
        with readable(self._uri):
            known = self._find(str(parent)) if parent is not None else None
            ended = (
                set()
                if known is None
                else {
                    run.data.tags.get(TRIAL_TAG)
                    for run in self._below(known)
                    if run.info.status != "RUNNING"
                }
            )
        return [t for t in trials if t.state.is_finished() and str(t.number) not in ended]

    def finish(self) -> None:
        """End the study's run, unless other processes still run trials of the study."""
        with self._lock, readable(self._uri):
            running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if self._current is not None and not running:
                self._client.set_terminated(self._current, "FINISHED")
            self._current = None

    def _create(self) -> str:
        directions = ", ".join(direction.name.lower() for direction in self._study.directions)
        tags = self._tags() | {"optuna_pop.directions": directions}
        run = self._client.create_run(
            self._experiment_id, run_name=self._study.study_name, tags=tags
        )
        self._study.set_user_attr(RUN_ATTR, run.info.run_id)
        return str(run.info.run_id)

    def _resume(self, run_id: str) -> bool:
        run = self._find(run_id)
        if run is None:
            return False
        self._experiment_id = run.info.experiment_id  # parent and child show only in one
        if run.info.status != "RUNNING":
            self._client.update_run(run_id, status="RUNNING")
        return True

    def _find(self, run_id: str) -> Run | None:
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return run if run.info.lifecycle_stage == "active" else None

    def _below(self, parent: Run) -> list[Run]:
        below = f"tags.`{_PARENT_TAG}` = '{parent.info.run_id}'"
        found: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs(
                [parent.info.experiment_id], below, max_results=_PAGE, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    def _run_of(self, trial: Trial | FrozenTrial) -> Run | None:
        """The run a trial has: as it says itself, or, written late, as the run says."""
        recorded = trial.user_attrs.get(RUN_ATTR)
        # A trial that repeats another has its attributes, too, but needs a run of its own.
        run = self._find(recorded) if recorded else None
        if run is not None and run.data.tags.get(TRIAL_TAG) == str(trial.number):
            return run
        if isinstance(trial, Trial):
            return None
        below = (
            f"tags.`{_PARENT_TAG}` = '{self._current}' and tags.`{TRIAL_TAG}` = '{trial.number}'"
        )
        return next(iter(self._client.search_runs([self._experiment_id], below)), None)

    def _tags(self) -> dict[str, str]:
        return {STUDY_TAG: self._study.study_name[:LONGEST_TAG], "mlflow.user": _user()}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a container
        return "unknown"


def _milliseconds(time_: datetime | None) -> int | None:
    return None if time_ is None else int(time_.timestamp() * 1000)
