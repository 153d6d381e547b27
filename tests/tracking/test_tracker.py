"""MLflowTracker: any sampler, several objectives, several workers, pruned and failed trials."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils import validation
from optuna.trial import Trial, TrialState, create_trial

import optuna_pop
from optuna_pop import CurveTrial, MLflowTracker
from optuna_pop.errors import TrackingError
from optuna_pop.tracking.dashboard import name_metrics
from optuna_pop.tracking.mlflow_names import PARENT_TAG, STUDY_TAG, TRIAL_TAG, keys
from optuna_pop.tracking.mlflow_runs import StudyRuns
from tests.tracking.conftest import Serve, free_port
from tests.tracking.studies import children, parent_of


class Unlucky(RuntimeError):
    pass


def two_objectives(trial: Trial) -> tuple[float, float]:
    """Trial 2 is bad enough for a median pruner, trial 4 fails."""
    trial = CurveTrial(trial)
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    depth = trial.suggest_int("depth", 1, 4)
    kind = trial.suggest_categorical("kind", ["plain", None, True])
    trial.set_user_attr("parameters", 1000 * depth)
    trial.set_user_attr("blocks", {"kind": [kind]})
    if trial.number == 4:
        raise Unlucky("out of luck")
    for step in range(1, 4):
        trial.report(step * 10.0 if trial.number != 2 else 0.0, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return 31.0, rate * depth


def run_of(runs: list[Run], number: int) -> Run:
    (found,) = [run for run in runs if run.data.tags[TRIAL_TAG] == str(number)]
    return found


def test_several_objectives_with_pruned_and_failed_trials(mlflow_server: str) -> None:
    study = optuna.create_study(
        study_name="two",
        directions=["maximize", "minimize"],
        sampler=optuna.samplers.NSGAIISampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1),
    )
    name_metrics(study, ["accuracy (%)", "latency (ms)"])
    began = datetime.now().timestamp() * 1000 - 1
    tracker = MLflowTracker(tracking_uri=mlflow_server, experiment="two")
    study.optimize(two_objectives, n_trials=6, callbacks=[tracker], catch=Unlucky)
    client = MlflowClient(mlflow_server)
    parent = client.get_run(parent_of(study))
    assert parent.info.status == "RUNNING", "the same tracker may go on"
    tracker.close()
    parent = client.get_run(parent_of(study))
    assert (parent.info.run_name, parent.info.status) == ("two", "FINISHED")
    assert parent.data.tags["optuna_pop.directions"] == "maximize, minimize"

    runs = children(client, parent.info.run_id)
    states = [run_of(runs, n).info.status for n in range(6)]
    assert states == ["FINISHED", "FINISHED", "KILLED", "FINISHED", "FAILED", "FINISHED"]
    for trial in study.trials:
        run = run_of(runs, trial.number)
        assert run.data.params == {name: str(value) for name, value in trial.params.items()}
        assert run.data.metrics["parameters"] == trial.user_attrs["parameters"]
        assert run.data.tags["blocks"].startswith('{"kind": [')
        assert trial.datetime_start is not None
        assert trial.datetime_complete is not None
        assert run.info.start_time == int(trial.datetime_start.timestamp() * 1000) > began
        assert run.info.end_time == int(trial.datetime_complete.timestamp() * 1000)
        if trial.state == TrialState.COMPLETE:
            assert run.data.metrics["accuracy"] == trial.values[0] == 31.0
            assert run.data.metrics["latency_ms"] == trial.values[1]
    curve = client.get_metric_history(run_of(runs, 0).info.run_id, "accuracy")
    # The end differs from the last step, where MLflow shows it.
    assert [(p.step, p.value) for p in curve] == [(1, 10.0), (2, 20.0), (3, 30.0), (3, 31.0)]
    pruned = client.get_metric_history(run_of(runs, 2).info.run_id, "accuracy")
    assert [(p.step, p.value) for p in pruned] == [(1, 0.0)]


def one_objective(trial: Trial) -> float:
    x = trial.suggest_float("x", -1, 1)
    for step in range(3):
        value = x * x + 2 - step
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def test_one_objective_from_threads(mlflow_server: str) -> None:
    study = optuna.create_study(
        study_name="threads and one", pruner=optuna.pruners.MedianPruner(n_startup_trials=2)
    )
    study.optimize(
        one_objective,
        n_trials=16,
        n_jobs=4,
        callbacks=[MLflowTracker(tracking_uri=mlflow_server)],
    )
    client = MlflowClient(mlflow_server)
    # Nobody holds the tracker any more.
    assert client.get_run(parent_of(study)).info.status == "FINISHED"
    runs = children(client, parent_of(study))
    assert sorted(int(run.data.tags[TRIAL_TAG]) for run in runs) == list(range(16))
    for trial in study.trials:
        run = run_of(runs, trial.number)
        curve = client.get_metric_history(run.info.run_id, "value")
        assert {p.step: p.value for p in curve} == trial.intermediate_values
        if trial.state == TrialState.COMPLETE:
            assert run.data.metrics["value"] == trial.value


def test_ask_and_tell(mlflow_server: str) -> None:
    study = optuna.create_study(study_name="asked", directions=["minimize", "minimize"])
    with MLflowTracker(tracking_uri=mlflow_server) as tracker:
        for number in range(4):
            trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
            if number < 3:
                study.tell(trial, (trial.params["x"], 1.0))
        done = tracker.sync(study)
        assert done.written == (0, 1, 2)
        assert not done.completed + done.replaced + done.right
        study.tell(3, state=TrialState.FAIL)
        done = tracker.sync(study)
        assert (done.written, done.right) == ((3,), (0, 1, 2))
        assert not tracker.sync(study).changed
    client = MlflowClient(mlflow_server)
    runs = children(client, parent_of(study))
    assert run_of(runs, 1).data.metrics["value_0"] == study.trials[1].values[0]
    assert run_of(runs, 3).info.status == "FAILED"
    assert client.get_run(parent_of(study)).info.status == "FINISHED"


WORKER = """
import sys, time, optuna
from optuna_pop import MLflowTracker
storage, mlflow, begin = sys.argv[1], sys.argv[2], float(sys.argv[3])
study = optuna.load_study(study_name="shared", storage=storage)
tracker = MLflowTracker(tracking_uri=mlflow, experiment="shared")
def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    if trial.number % 4 == 3:
        raise optuna.TrialPruned
    return x, 1 - x
time.sleep(max(0.0, begin - time.time()))  # all at once
study.optimize(objective, n_trials=6, callbacks=[tracker])
"""


def test_processes_share_one_parent(mlflow_server: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(
        study_name="shared", storage=url, directions=["maximize", "minimize"]
    )
    begin = str(time.time() + 12)
    words = [sys.executable, "-c", WORKER, url, mlflow_server, begin]
    workers = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for worker in workers:
        _, err = worker.communicate()
        assert worker.returncode == 0, err
    client = MlflowClient(mlflow_server)
    experiment = client.get_experiment_by_name("shared")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    parents = [run for run in runs if PARENT_TAG not in run.data.tags]
    assert [run.info.run_id for run in parents] == [parent_of(study)]
    assert parents[0].info.status == "FINISHED"
    below = [run for run in runs if run.data.tags.get(PARENT_TAG) == parent_of(study)]
    assert sorted(int(run.data.tags[TRIAL_TAG]) for run in below) == list(range(18))
    assert len(runs) == 19
    assert [run_of(below, n).info.status for n in (2, 3)] == ["FINISHED", "KILLED"]


def test_processes_that_began_together_agree_on_a_parent(mlflow_server: str) -> None:
    study = optuna.create_study(study_name="raced")
    first, second = (StudyRuns(study, tracking_uri=mlflow_server) for _ in range(2))
    study.optimize(one_objective, n_trials=2)
    first.write(study.trials[0])
    # The other one had seen no run yet, and made its own.
    lost, kept = first.run_id, second._create()
    second.write(study.trials[1])
    first.finish()
    client = MlflowClient(mlflow_server)
    assert first.run_id == second.run_id == kept == parent_of(study)
    assert len(children(client, kept)) == 2
    assert client.get_run(lost).info.lifecycle_stage == "deleted"


def test_an_outage_costs_no_trial(
    server: tuple[str, Serve], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address, serve = server
    monkeypatch.setattr("optuna_pop.tracking.mirror._SHORTEST_PAUSE_S", 0.0)
    monkeypatch.setattr("optuna_pop.tracking.mirror._SHARE", 0)
    study = optuna.create_study(study_name="away")
    with serve():
        tracker = MLflowTracker(tracking_uri=address, outage_limit_s=0.0)
    study.optimize(one_objective, n_trials=2, callbacks=[tracker])
    with pytest.raises(TrackingError, match="`optuna-pop sync` writes what is missing"):
        tracker.close()
    with serve():
        study.optimize(one_objective, n_trials=1, callbacks=[tracker])
        client = MlflowClient(address)
        assert len(children(client, parent_of(study))) == 3
        assert not tracker.sync(study).changed
    caplog.clear()
    study.optimize(one_objective, n_trials=1, callbacks=[tracker])
    tracker._finalizer()  # as the process ends: not with an error, nor by waiting
    assert "`optuna-pop sync` writes what is missing" in caplog.messages[-1]
    with serve():
        assert MLflowTracker(tracking_uri=address).sync(study).written == (3,)


def test_a_wrong_address_is_an_error_before_any_trial() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TrackingError, match="check that it runs"):
        MLflowTracker(tracking_uri=address)


def test_whatever_optuna_keeps_mlflow_takes(mlflow_server: str) -> None:
    study = optuna.create_study(
        study_name='its "own" name\'s', directions=["minimize", "maximize", "minimize"]
    )
    name_metrics(study, ["size (kB)", "size [kB]", "mIoU (%)"])
    distribution = optuna.distributions.CategoricalDistribution(["a" * 7000, "b"])
    many = {f"p{i}": optuna.distributions.IntDistribution(0, 9) for i in range(150)}
    odd = {"../up": distribution, "a//b": distribution, "a": distribution, "a(": distribution}
    study.add_trial(
        create_trial(
            params=dict.fromkeys(many, 1) | dict.fromkeys(odd, "a" * 7000),
            distributions=many | odd,
            values=(math.inf, -math.inf, 1e-300),
            user_attrs={
                "mlflow.parentRunId": "not this one",
                "optuna_pop.trial": "nor this",
                "": "nameless",
                "flag": True,
                "none": None,
                "long": "x" * 9000,
                "not a number": math.nan,
                "größe": 1,
            },
        )
    )
    study.add_trial(create_trial(state=TrialState.FAIL))
    tracker = MLflowTracker(tracking_uri=mlflow_server)
    assert tracker.sync(study).written == (0, 1)
    assert tracker.sync(study).right == (0, 1), "and it is kept so that it can be recognized"
    run = run_of(children(MlflowClient(mlflow_server), parent_of(study)), 0)
    assert len(run.data.params) == 154
    assert run.data.params["a"] == "a" * 6000
    assert run.data.tags[PARENT_TAG] == parent_of(study)
    assert run.data.tags["user.mlflow.parentRunId"] == "not this one"
    assert run.data.tags["flag"] == "True"
    assert run.data.metrics["mIoU"] == 1e-300
    assert run.data.metrics["größe"] == 1
    assert math.isnan(run.data.metrics["not a number"])
    infinite = [value for key, value in run.data.metrics.items() if key.startswith("size_kB_")]
    assert sorted(infinite) == [-sys.float_info.max, sys.float_info.max]
    assert run.data.tags[STUDY_TAG] == study.study_name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "//", "a/..", "/a", "a/", "../a", "..a", "a\nb", "(%)", "x" * 300, "ü/λ"],
)
def test_names_are_ones_that_mlflow_takes(name: str) -> None:
    found = keys([name, name + "!", name + "?", "plain"])
    assert len(set(found.values())) == len(found)
    assert found["plain"] == "plain"
    for key in found.values():
        validation._validate_metric_name(key)
        validation._validate_param_name(key)
        validation._validate_tag_name(key)
        assert len(key) <= validation.MAX_ENTITY_KEY_LENGTH


def test_only_the_tracker_is_lazy() -> None:
    assert optuna_pop.MLflowTracker is MLflowTracker
    with pytest.raises(AttributeError, match="has no attribute 'MLflowTrackers'"):
        _ = optuna_pop.MLflowTrackers


def test_trackers_of_one_process_do_not_disturb_each_other(mlflow_server: str) -> None:
    """Also not a user's own active run, as MLflow's global state is left alone."""
    import mlflow

    studies = [optuna.create_study(study_name=f"beside {i}") for i in range(2)]
    tracker = MLflowTracker(tracking_uri=mlflow_server)
    with ThreadPoolExecutor(2) as pool:
        futures = [
            pool.submit(study.optimize, one_objective, n_trials=3, callbacks=[tracker])
            for study in studies
        ]
        for future in futures:
            future.result()
    tracker.close()
    assert mlflow.active_run() is None
    for study in studies:
        runs = children(MlflowClient(mlflow_server), parent_of(study))
        assert {run.data.tags[STUDY_TAG] for run in runs} == {study.study_name}
        assert len(runs) == 3
