"""Each trial as an MLflow run, below the run of its study (extra ``mlflow``).

The study is the truth and MLflow its mirror. Only ``MlflowClient`` is used, none of MLflow's global
state, so threads, processes and a user's own active run do not disturb each other.
"""

from __future__ import annotations

import contextlib
import getpass
import threading
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_pop.tracking.mlflow_names import (
    LONGEST_TAG,
    PARENT_TAG,
    RUN_ATTR,
    STUDY_TAG,
    TRIAL_TAG,
    objective_keys,
)
from optuna_pop.tracking.mlflow_record import Lack, TrialRecord, milliseconds
from optuna_pop.tracking.mlflow_server import Connection, readable
from optuna_pop.tracking.mlflow_trial import TrialRun, log

if TYPE_CHECKING:
    from mlflow.entities import Run

_PAGE = 1000  # runs asked for at once


class StudyRuns:
    """MLflow runs of a study: one of its own, which goes on when the study does, and its trials'.

    The study's run is made, or set RUNNING again, at the first trial. Its id is kept in the study;
    a run that was deleted, or that this MLflow does not have, is replaced by a new one. Where
    processes that began together made one each, the runs of all trials come below the last.

    Args:
        study: Any study, with any sampler.
        tracking_uri: By default what ``mlflow.set_tracking_uri`` or ``MLFLOW_TRACKING_URI`` says,
            else ``sqlite:///mlflow.db``.
        experiment: Name of the MLflow experiment; made where there is none.
        connection: Used instead of a new one to these.

    Raises:
        MissingExtraError: if MLflow is not installed.
        TrackingError: if MLflow cannot be reached; every method may raise it, too.
    """

    def __init__(
        self,
        study: Study,
        *,
        tracking_uri: str | None = None,
        experiment: str = "optuna-pop",
        connection: Connection | None = None,
    ) -> None:
        self._study = study
        self.connection = connection or Connection.to(tracking_uri, experiment)
        self._client, self._uri = self.connection.client, self.connection.uri
        self._experiment_id = self.connection.experiment_id
        self._lock = threading.RLock()
        self._current: str | None = None  # the study's run, known to be RUNNING

    @property
    def run_id(self) -> str:
        """The study's run, RUNNING; made where there is none yet."""
        with self._lock, readable(self._uri):
            # Read again each time: of processes that began together the last one's run holds.
            recorded = self._study.user_attrs.get(RUN_ATTR)
            if recorded is None or recorded != self._current:
                found = recorded if recorded and self._resume(recorded) else self._create()
                for other in filter(None, {recorded, self._current} - {found}):
                    self._adopt_from(str(other), found)
                self._current = found
                return str(found)
            return str(recorded)

    def find(self) -> Run | None:
        """Return the study's run as it is; None if it has none, or one that was deleted."""
        recorded = self._study.user_attrs.get(RUN_ATTR)
        with readable(self._uri):
            return None if recorded is None else self._find(recorded)

    def trial(self, trial: Trial) -> TrialRun:
        """Return the run of a trial that runs, made where it has none yet.

        Args:
            trial: Best after its parameters were suggested, which are logged now; later ones are
                when the run finishes.
        """
        parent = self.run_id
        with readable(self._uri):
            run = self._recorded(trial)
            run_id = run.info.run_id if run else self._create_below(parent, trial)
            if run is None:
                with contextlib.suppress(UpdateFinishedTrialError):  # then its tag names it
                    trial.set_user_attr(RUN_ATTR, run_id)
            found = TrialRun(self._client, self._uri, run_id, trial)
            found.log_params()
            return found

    def write(self, trial: FrozenTrial, run: Run | None = None) -> None:
        """Write what MLflow lacks of a finished trial. A run that contradicts it is replaced.

        Args:
            trial: Complete, pruned or failed.
            run: Of the trial, if it is known to have one.
        """
        parent = self.run_id
        record = TrialRecord.of(trial, objective_keys(self._study))
        with readable(self._uri):
            run = run or self._recorded(trial) or self._tagged(parent, trial)
            if run is not None and self.lack(record, run).contradicted:
                self._client.delete_run(run.info.run_id)
                run = None
            if run is None:
                run = self._client.get_run(self._create_below(parent, trial))
            if run.data.tags.get(PARENT_TAG) != parent:
                self._client.set_tag(run.info.run_id, PARENT_TAG, parent)
            lack = self.lack(record, run)
            id_ = run.info.run_id
            log(self._client, id_, params=lack.params, tags=lack.tags, points=lack.points)
            if lack.ended:
                self._client.set_terminated(id_, record.status, end_time=record.ended)

    def lack(self, record: TrialRecord, run: Run) -> Lack:
        """Say what a run lacks of its trial."""
        with readable(self._uri):
            return record.lacking(
                run, lambda key: self._client.get_metric_history(run.info.run_id, key)
            )

    def unfinished(self) -> list[FrozenTrial]:
        """Finished trials that have no run yet, or one that still counts as running.

        Call it after the study's own stale trials were failed.
        """
        trials = self._study.get_trials(deepcopy=False)
        parent = self.find()
        with readable(self._uri):
            ended = {
                run.data.tags.get(TRIAL_TAG)
                for run in ([] if parent is None else self._below(parent))
                if run.info.status != "RUNNING"
            }
        return [t for t in trials if t.state.is_finished() and str(t.number) not in ended]

    def tagged(self) -> list[Run]:
        """All runs, wherever they lie in the experiment, that name a study of this name."""
        quote = '"' if "'" in self._study.study_name else "'"
        name = self._study.study_name[:LONGEST_TAG]
        with readable(self._uri):
            parent = self.find()
            experiment = self._experiment_id if parent is None else parent.info.experiment_id
            asked = "" if quote in name else f"tags.`{STUDY_TAG}` = {quote}{name}{quote}"
            found = self._search(experiment, asked)
            return [run for run in found if run.data.tags.get(STUDY_TAG) == name]

    def delete(self, run_id: str) -> None:
        """Put a run into MLflow's bin."""
        with readable(self._uri):
            self._client.delete_run(run_id)

    def store(self, folder: Path) -> None:
        """Keep the files of a folder as artifacts of the study's run, in place of earlier ones."""
        run = self.find()
        run_id = self.run_id if run is None else run.info.run_id
        with readable(self._uri):
            self._client.log_artifacts(run_id, str(folder))

    def stored(self) -> set[str]:
        """Names of the artifacts that the study's run has."""
        run = self.find()
        with readable(self._uri):
            found = [] if run is None else self._client.list_artifacts(run.info.run_id)
            return {artifact.path for artifact in found}

    def finish(self) -> None:
        """End the study's run, unless other processes still run trials of the study."""
        with self._lock, readable(self._uri):
            if self._current is None:
                return
            current = self.run_id
            trials = self._study.get_trials(deepcopy=False)
            if all(trial.state != TrialState.RUNNING for trial in trials):
                ends = [milliseconds(trial.datetime_complete) or 0 for trial in trials]
                end = max(ends, default=0) or None
                self._client.set_terminated(current, "FINISHED", end_time=end)
            self._current = None

    # --- the study's run --------------------------------------------------------------------

    def _create(self) -> str:
        directions = ", ".join(direction.name.lower() for direction in self._study.directions)
        trials = self._study.get_trials(deepcopy=False)
        began = [t for t in (milliseconds(trial.datetime_start) for trial in trials) if t]
        run = self._client.create_run(
            self._experiment_id,
            start_time=min(began, default=None),
            run_name=self._study.study_name,
            tags=self._tags() | {"optuna_pop.directions": directions},
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

    def _adopt_from(self, other: str, parent: str) -> None:
        """Put what is below another run of the study, which may be deleted, below this one."""
        run = self._find(other, ("active", "deleted"))
        if run is None or run.info.experiment_id != self._experiment_id:
            return
        for child in self._below(run):
            self._client.set_tag(child.info.run_id, PARENT_TAG, parent)
        if run.info.lifecycle_stage == "active":
            self._client.delete_run(other)

    # --- finding runs -----------------------------------------------------------------------

    def _find(self, run_id: str, stages: Container[str] = ("active",)) -> Run | None:
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return run if run.info.lifecycle_stage in stages else None

    def _below(self, parent: Run) -> list[Run]:
        asked = f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
        return self._search(parent.info.experiment_id, asked)

    def _search(self, experiment_id: str, asked: str) -> list[Run]:
        found: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs(
                [experiment_id], asked, max_results=_PAGE, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    def _recorded(self, trial: Trial | FrozenTrial) -> Run | None:
        """The run that a trial says it has."""
        recorded = trial.user_attrs.get(RUN_ATTR)
        run = self._find(recorded) if isinstance(recorded, str) else None
        # A trial that repeats another has its attributes, too, but needs a run of its own.
        own = run is not None and run.data.tags.get(TRIAL_TAG) == str(trial.number)
        return run if own and run and run.info.experiment_id == self._experiment_id else None

    def _tagged(self, parent: str, trial: FrozenTrial) -> Run | None:
        """The run that says it is a trial's, which was written late."""
        asked = f"tags.`{PARENT_TAG}` = '{parent}' and tags.`{TRIAL_TAG}` = '{trial.number}'"
        return next(iter(self._search(self._experiment_id, asked)), None)

    def _create_below(self, parent: str, trial: Trial | FrozenTrial) -> str:
        run = self._client.create_run(
            self._experiment_id,
            start_time=milliseconds(trial.datetime_start),
            run_name=f"trial {trial.number}",
            tags=self._tags() | {PARENT_TAG: parent, TRIAL_TAG: str(trial.number)},
        )
        return str(run.info.run_id)

    def _tags(self) -> dict[str, str]:
        return {STUDY_TAG: self._study.study_name[:LONGEST_TAG], "mlflow.user": _user()}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a container
        return "unknown"
