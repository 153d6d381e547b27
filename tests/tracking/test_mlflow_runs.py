"""Runs of trials in a real MLflow server, and in the database that is the default."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from optuna_pop.errors import InputError
from optuna_pop.tracking.mirror import StudyMirror
from optuna_pop.tracking.mlflow_runs import StudyRuns
from tests.tracking.studies import ask, children, make_study, parent_of


def test_trial_is_a_child_run_with_all_it_did(
    mlflow_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study("complete")
    runs = StudyRuns(study, tracking_uri=mlflow_server)
    trial = ask(study)
    run = runs.trial(trial)
    for epoch, accuracy in enumerate([41.5, 60.25, 58.0], start=1):
        run.log_epoch(epoch, {"accuracy": accuracy, "loss": 2.0 / epoch})
    run.finish(TrialState.COMPLETE, {"accuracy": 58.0, "latency_ms": 0.21, "macs": 1.5e6})
    study.tell(trial, (58.0, 0.21))
    runs.finish()
    assert capsys.readouterr().out == ""  # nothing between a search's progress bars

    client = MlflowClient(mlflow_server)
    parent = client.get_run(parent_of(study))
    assert parent.info.run_name == "complete"
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["optuna_pop.study"] == "complete"
    (child,) = children(client, parent.info.run_id)
    assert child.info.run_id == study.trials[0].user_attrs["mlflow_run_id"] == run.run_id
    assert child.info.status == "FINISHED"
    words = study.trials[0].user_attrs["architecture"]
    expected = {
        "optuna_pop.study": "complete",
        "optuna_pop.trial": "0",
        "optuna_pop.state": "COMPLETE",
        "architecture": words,
        "mlflow.parentRunId": parent.info.run_id,
    }
    assert expected.items() <= child.data.tags.items()
    assert child.data.params["architecture"] == words
    assert child.data.params["depth"] == str(trial.params["depth"])
    # MLflow refuses brackets in names.
    assert child.data.params["width_channels"] == str(trial.params["width (channels)"])
    assert child.data.metrics["latency_ms"] == 0.21
    assert child.data.metrics["accuracy"] == 58.0  # the latest, not the largest
    history = client.get_metric_history(run.run_id, "accuracy")
    assert [(point.step, point.value) for point in history] == [(1, 41.5), (2, 60.25), (3, 58.0)]


def test_final_value_that_differs_from_the_last_epoch_is_the_latest(mlflow_server: str) -> None:
    study = make_study("best")
    run = StudyRuns(study, tracking_uri=mlflow_server).trial(ask(study))
    run.log_epoch(7, {"accuracy": 60.0})
    run.finish(TrialState.COMPLETE, {"accuracy": 59.0 + 2})
    client = MlflowClient(mlflow_server)
    assert client.get_run(run.run_id).data.metrics["accuracy"] == 61.0


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (TrialState.COMPLETE, "FINISHED"),
        (TrialState.PRUNED, "KILLED"),
        (TrialState.FAIL, "FAILED"),
    ],
)
def test_states(mlflow_server: str, state: TrialState, status: str) -> None:
    study = make_study(f"state {state.name}")
    run = StudyRuns(study, tracking_uri=mlflow_server).trial(ask(study))
    run.finish(state, {"accuracy": float("nan")})
    found = MlflowClient(mlflow_server).get_run(run.run_id)
    assert found.info.status == status
    assert found.info.end_time >= found.info.start_time
    assert found.data.tags["optuna_pop.state"] == state.name


def test_a_trial_cannot_finish_as_running(mlflow_server: str) -> None:
    study = make_study("running")
    run = StudyRuns(study, tracking_uri=mlflow_server).trial(ask(study))
    with pytest.raises(InputError, match="COMPLETE, PRUNED or FAIL but got RUNNING"):
        run.finish(TrialState.RUNNING)


def test_parameters_suggested_later_are_logged_at_the_end(mlflow_server: str) -> None:
    study = make_study("late")
    trial = study.ask()
    run = StudyRuns(study, tracking_uri=mlflow_server).trial(trial)
    trial.suggest_int("late", 3, 3)
    run.finish(TrialState.COMPLETE)
    assert MlflowClient(mlflow_server).get_run(run.run_id).data.params == {"late": "3"}


def test_asking_twice_gives_the_same_run(mlflow_server: str) -> None:
    study = make_study("twice")
    runs = StudyRuns(study, tracking_uri=mlflow_server)
    trial = ask(study)
    assert runs.trial(trial).run_id == runs.trial(trial).run_id
    assert len(children(MlflowClient(mlflow_server), parent_of(study))) == 1


def test_a_repeated_trial_has_a_run_of_its_own(mlflow_server: str) -> None:
    study = make_study("repeat")
    runs = StudyRuns(study, tracking_uri=mlflow_server)
    first = ask(study)
    run = runs.trial(first)
    # As Optuna's heartbeat does when it repeats a trial whose worker died.
    study.enqueue_trial(first.params, user_attrs=study.trials[0].user_attrs)
    assert runs.trial(study.ask()).run_id != run.run_id


RESUME = """
import sys, optuna
from optuna.trial import TrialState
from optuna_pop.tracking.mirror import StudyMirror
from optuna_pop.tracking.mlflow_runs import StudyRuns
from tests.tracking.studies import ask
study = optuna.load_study(study_name="s", storage=sys.argv[1])
runs = StudyRuns(study, tracking_uri=sys.argv[2])
print("written", StudyMirror(study, runs).catch_up())
trial = ask(study)
run = runs.trial(trial)
print("status", runs._client.get_run(runs.run_id).info.status)
run.finish(TrialState.COMPLETE)
study.tell(trial, (1.0, 1.0))
runs.finish()
"""


def test_resumed_in_a_new_process_the_same_run_goes_on(mlflow_server: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = make_study(storage=url)
    runs = StudyRuns(study, tracking_uri=mlflow_server)
    first = ask(study)
    runs.trial(first).finish(TrialState.COMPLETE)
    study.tell(first, (1.0, 1.0))
    orphan = ask(study)
    left = runs.trial(orphan)  # its process dies here
    study.tell(orphan, state=TrialState.FAIL)
    runs.finish()
    parent = parent_of(study)

    root = Path(__file__).parents[2]
    resumed = subprocess.run(
        [sys.executable, "-c", RESUME, url, mlflow_server],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.split("\n")[:2] == ["written [1]", "status RUNNING"]
    client = MlflowClient(mlflow_server)
    assert parent_of(study) == parent
    assert client.get_run(parent).info.status == "FINISHED"
    states = [run.info.status for run in children(client, parent)]
    assert states == ["FINISHED", "FAILED", "FINISHED"]
    closed = client.get_run(left.run_id)
    assert closed.data.tags["optuna_pop.state"] == "FAIL"
    ended = study.trials[1].datetime_complete
    assert ended is not None
    assert closed.info.end_time == int(ended.timestamp() * 1000)


def test_only_finished_trials_are_written_late(mlflow_server: str) -> None:
    study = make_study("orphans")
    runs = StudyRuns(study, tracking_uri=mlflow_server)
    mirror = StudyMirror(study, runs)
    assert mirror.catch_up() == []
    alive, dead, done = ask(study), ask(study), ask(study)
    alive_run = runs.trial(alive)
    runs.trial(dead)
    runs.trial(done)
    study.tell(dead, state=TrialState.FAIL)
    study.tell(done, (1.0, 1.0))  # told, but it died before its run was finished
    assert mirror.catch_up() == [1, 2]
    assert mirror.catch_up() == []
    client = MlflowClient(mlflow_server)
    assert client.get_run(alive_run.run_id).info.status == "RUNNING"
    runs.finish()
    # Someone still works on the study.
    assert client.get_run(parent_of(study)).info.status == "RUNNING"


def test_a_deleted_run_is_replaced(mlflow_server: str) -> None:
    study = make_study("deleted")
    runs = StudyRuns(study, tracking_uri=mlflow_server)
    first = runs.run_id
    MlflowClient(mlflow_server).delete_run(first)
    again = StudyRuns(study, tracking_uri=mlflow_server)
    assert again.run_id != first
    assert parent_of(study) == again.run_id


def test_threads_share_one_parent(mlflow_server: str) -> None:
    study = make_study("threads")
    runs = StudyRuns(study, tracking_uri=mlflow_server)

    def work(number: int) -> None:
        trial = ask(study)
        run = runs.trial(trial)
        run.log_epoch(1, {"accuracy": float(number)})
        run.finish(TrialState.COMPLETE)
        study.tell(trial, (1.0, 1.0))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(12)))
    runs.finish()
    found = children(MlflowClient(mlflow_server), parent_of(study))
    assert sorted(int(run.data.tags["optuna_pop.trial"]) for run in found) == list(range(12))
    assert {run.data.metrics["accuracy"] for run in found} == set(map(float, range(12)))
    assert MlflowClient(mlflow_server).get_run(parent_of(study)).info.status == "FINISHED"
