"""MLflow rebuilt from a study: what is missing, half-written, deleted or wrong; nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import Trial, TrialState

from optuna_pop import MLflowTracker
from optuna_pop.tracking.mirror import StudyMirror
from optuna_pop.tracking.mlflow_names import PARENT_TAG, TRIAL_TAG
from optuna_pop.tracking.mlflow_reconcile import reconcile
from optuna_pop.tracking.mlflow_runs import StudyRuns
from tests.tracking.studies import children, parent_of


def objective(trial: Trial) -> float:
    width = trial.suggest_int("width", 1, 9)
    trial.set_user_attr("parameters", 10 * width)
    for step in range(3):
        trial.report(float(width + step), step)
    if trial.number == 1:
        raise optuna.TrialPruned
    return float(width + 5)


def tracked(name: str, uri: str, trials: int = 4) -> optuna.Study:
    study = optuna.create_study(study_name=name, direction="maximize")
    tracker = MLflowTracker(tracking_uri=uri, experiment=name)
    study.optimize(objective, n_trials=trials, callbacks=[tracker])
    tracker.close()
    return study


def everything(client: MlflowClient, experiment: str) -> list[Any]:
    """All that MLflow holds of an experiment, but what is in its bin."""
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    held = []
    for run in sorted(client.search_runs([found.experiment_id]), key=lambda run: run.info.run_id):
        curves = {
            key: [(p.step, p.value, p.timestamp) for p in history]
            for key in run.data.metrics
            if (history := client.get_metric_history(run.info.run_id, key))
        }
        held.append((dict(run.info), run.data.params, run.data.tags, curves))
    return held


def child(client: MlflowClient, study: optuna.Study, number: int) -> str:
    runs = children(client, parent_of(study))
    (found,) = [run for run in runs if run.data.tags[TRIAL_TAG] == str(number)]
    return str(found.info.run_id)


def test_what_is_right_is_left_alone(mlflow_server: str) -> None:
    study = tracked("right", mlflow_server)
    client = MlflowClient(mlflow_server)
    before = everything(client, "right")
    assert len(before) == 5
    done = reconcile(study, StudyRuns(study, tracking_uri=mlflow_server, experiment="right"))
    assert done.right == (0, 1, 2, 3)
    assert not done.changed
    assert everything(client, "right") == before


def delete_child(client: MlflowClient, study: optuna.Study) -> None:
    client.delete_run(child(client, study, 2))


def delete_parent(client: MlflowClient, study: optuna.Study) -> None:
    client.delete_run(parent_of(study))


def leave_half_written(client: MlflowClient, study: optuna.Study) -> None:
    """As a process does that is killed in between."""
    old = client.get_run(child(client, study, 2))
    client.delete_run(old.info.run_id)
    half = client.create_run(
        old.info.experiment_id, old.info.start_time, old.data.tags, old.info.run_name
    )
    client.log_param(half.info.run_id, "width", old.data.params["width"])
    client.log_metric(half.info.run_id, "value", float(old.data.params["width"]), step=0)


def falsify_parameter(client: MlflowClient, study: optuna.Study) -> None:
    """MLflow never changes one, so the run was made with another."""
    old = client.get_run(child(client, study, 2))
    client.delete_run(old.info.run_id)
    wrong = client.create_run(
        old.info.experiment_id, old.info.start_time, old.data.tags, old.info.run_name
    )
    client.log_param(wrong.info.run_id, "width", "17")
    client.set_terminated(wrong.info.run_id)


def falsify_value(client: MlflowClient, study: optuna.Study) -> None:
    client.log_metric(child(client, study, 2), "value", -1.0, step=77)


def falsify_state(client: MlflowClient, study: optuna.Study) -> None:
    client.set_terminated(child(client, study, 2), "FAILED")


def write_twice(client: MlflowClient, study: optuna.Study) -> None:
    old = client.get_run(child(client, study, 2))
    twin = client.create_run(
        old.info.experiment_id, old.info.start_time, old.data.tags, old.info.run_name
    )
    client.set_terminated(twin.info.run_id)


def move_away(client: MlflowClient, study: optuna.Study) -> None:
    """As when processes that began together made a parent each, and one died."""
    old = client.get_run(parent_of(study))
    other = client.create_run(old.info.experiment_id, old.info.start_time, old.data.tags)
    client.set_tag(child(client, study, 2), PARENT_TAG, other.info.run_id)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (delete_child, {"written": (2,)}),
        (delete_parent, {"completed": (0, 1, 2, 3), "right": ()}),
        (leave_half_written, {"completed": (2,)}),
        (falsify_parameter, {"replaced": (2,)}),
        (falsify_value, {"completed": (2,)}),
        (falsify_state, {"completed": (2,)}),
        (write_twice, {"removed": 1, "right": (0, 1, 2, 3)}),
        (move_away, {"completed": (2,), "removed": 1}),
    ],
)
def test_what_is_wrong_is_mended_once(
    mlflow_server: str,
    spoil: Callable[[MlflowClient, optuna.Study], None],
    said: dict[str, Any],
) -> None:
    name = spoil.__name__
    study = tracked(name, mlflow_server)
    client = MlflowClient(mlflow_server)
    spoil(client, study)
    runs = StudyRuns(study, tracking_uri=mlflow_server, experiment=name)
    done = reconcile(study, runs)
    expected = {"written": (), "completed": (), "replaced": (), "right": (0, 1, 3), "removed": 0}
    assert {key: getattr(done, key) for key in expected} == expected | said

    mended = everything(client, name)
    assert len(mended) == 5
    assert client.get_run(parent_of(study)).info.status == "FINISHED"
    run = client.get_run(child(client, study, 2))
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"value": study.trials[2].value, "parameters": 10 * width(study, 2)}
    assert run.data.params == {"width": str(width(study, 2))}
    steps = {p.step: p.value for p in client.get_metric_history(run.info.run_id, "value")}
    assert steps.items() >= {0: float(width(study, 2)), 1: width(study, 2) + 1.0}.items()

    done = reconcile(study, StudyRuns(study, tracking_uri=mlflow_server, experiment=name))
    assert not done.changed
    assert everything(client, name) == mended


def width(study: optuna.Study, number: int) -> int:
    return int(study.trials[number].params["width"])


def test_what_others_added_is_kept(mlflow_server: str) -> None:
    study = tracked("added", mlflow_server)
    client = MlflowClient(mlflow_server)
    run = child(client, study, 0)
    client.set_tag(run, "mlflow.note.content", "the one for production")
    client.log_metric(run, "energy_mj", 3.0)
    beside = client.create_run(client.get_run(run).info.experiment_id)
    # Another storage's study of the same name, with the same experiment.
    namesake = tracked("added", mlflow_server)
    before = everything(client, "added")
    for each in (study, namesake):
        runs = StudyRuns(each, tracking_uri=mlflow_server, experiment="added")
        assert reconcile(each, runs).right == (0, 1, 2, 3)
    assert everything(client, "added") == before
    assert client.get_run(beside.info.run_id).info.lifecycle_stage == "active"


def test_running_trials_are_left_to_those_who_run_them(mlflow_server: str) -> None:
    study = tracked("alive", mlflow_server, trials=2)
    runs = StudyRuns(study, tracking_uri=mlflow_server)
    trial = study.ask()
    mirror = StudyMirror(study, runs)
    mirror.trial(trial).log_epoch(1, {"accuracy": 1.0, "loss": 2.0})
    other = StudyRuns(study, tracking_uri=mlflow_server)
    assert not reconcile(study, other).changed
    client = MlflowClient(mlflow_server)
    assert client.get_run(child(client, study, 2)).info.status == "RUNNING"
    assert client.get_run(parent_of(study)).info.status == "RUNNING"
    study.tell(trial, state=TrialState.FAIL)  # its process died
    assert reconcile(study, other).completed == (2,)
    failed = client.get_run(child(client, study, 2))
    assert failed.info.status == "FAILED"
    assert failed.data.metrics == {"value": 1.0, "loss": 2.0}
    assert client.get_run(parent_of(study)).info.status == "FINISHED"


def test_a_study_without_trials_leaves_no_trace(mlflow_server: str) -> None:
    study = optuna.create_study(study_name="empty")
    assert not MLflowTracker(tracking_uri=mlflow_server).sync(study).changed
    assert study.user_attrs == {}
