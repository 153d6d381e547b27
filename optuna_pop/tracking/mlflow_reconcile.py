"""MLflow made to say what a study says, whatever became of the runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_pop.tracking.mlflow_names import PARENT_TAG, TRIAL_TAG, objective_keys
from optuna_pop.tracking.mlflow_record import TrialRecord, milliseconds
from optuna_pop.tracking.mlflow_runs import StudyRuns

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Reconciled:
    """What was done so that MLflow says what a study says; numbers of trials, in sequence.

    Attributes:
        written: Had no run.
        completed: Had a run that lacked something.
        replaced: Had a run that contradicted them.
        right: Had a run that said all; it was left alone.
        removed: How many runs were too many: a second one of a trial, or of the study.
        files: Names of the artifacts that were stored.
    """

    written: tuple[int, ...]
    completed: tuple[int, ...]
    replaced: tuple[int, ...]
    right: tuple[int, ...]
    removed: int
    files: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.written or self.completed or self.replaced or self.removed)


def reconcile(study: Study, runs: StudyRuns) -> Reconciled:
    """Write what MLflow lacks of a study's finished trials; what is right is left alone.

    Trials that still run are left to whoever runs them, as are runs that are none of this study's
    trials, and metrics, parameters and tags that someone added.

    Raises:
        TrackingError: if MLflow cannot be reached; calling it again goes on.
    """
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    parent = runs.find()
    parent_id = None if parent is None else parent.info.run_id
    known = _by_trial(runs.tagged(), trials, parent_id)
    parents = {run.data.tags.get(PARENT_TAG) for several in known.values() for run in several}
    objectives = objective_keys(study)
    done: dict[str, list[int]] = defaultdict(list)
    removed = 0
    for number, trial in trials.items():
        if not trial.state.is_finished():
            continue
        record = TrialRecord.of(trial, objectives)
        found = [(run, runs.lack(record, run)) for run in known.get(number, [])]
        found.sort(key=lambda pair: (pair[0].data.tags.get(PARENT_TAG) != parent_id, bool(pair[1])))
        for run, _ in found[1:]:
            runs.delete(run.info.run_id)
            removed += 1
        what = "written"
        if found:
            run, lack = found[0]
            right = not lack and run.data.tags.get(PARENT_TAG) == parent_id
            what = "right" if right else "replaced" if lack.contradicted else "completed"
        if what != "right":
            runs.write(trial, found[0][0] if found else None)
        done[what].append(number)
    removed += _remove_parents(runs, parents - {None, parent_id})
    changed = removed or done.keys() - {"right"}
    running = any(trial.state == TrialState.RUNNING for trial in trials.values())
    if changed or (parent is not None and parent.info.status == "RUNNING" and not running):
        _ = runs.run_id  # taken up, to be ended
        runs.finish()
    return Reconciled(
        *(tuple(done[name]) for name in ("written", "completed", "replaced", "right")), removed
    )


def _by_trial(
    found: Iterable[Run], trials: dict[int, FrozenTrial], parent: str | None
) -> dict[int, list[Run]]:
    """Runs of each trial.

    Another study may have the same name: a run below another parent is this study's only if its
    trial began at the same millisecond.
    """
    known: dict[int, list[Run]] = defaultdict(list)
    for run in found:
        number = run.data.tags.get(TRIAL_TAG, "")
        trial = trials.get(int(number)) if number.isdigit() else None
        if trial is not None and (
            run.data.tags.get(PARENT_TAG) == parent
            or run.info.start_time == milliseconds(trial.datetime_start)
        ):
            known[trial.number].append(run)
    return known


def _remove_parents(runs: StudyRuns, ids: set[str | None]) -> int:
    """Remove other runs of the study itself, below which nothing is left."""
    left = runs.tagged()
    needed = {run.data.tags.get(PARENT_TAG) for run in left}
    empty = [run for run in left if run.info.run_id in ids - needed]
    for run in empty:
        runs.delete(run.info.run_id)
    return len(empty)
