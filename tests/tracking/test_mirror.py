"""An MLflow server that is killed in the middle of a trial, and is back later."""

from __future__ import annotations

import math

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import TrialState

from optuna_pop.errors import TrackingError
from optuna_pop.tracking.mirror import StudyMirror
from optuna_pop.tracking.mlflow_names import EPOCHS_ATTR, TRIAL_TAG
from optuna_pop.tracking.mlflow_runs import StudyRuns
from tests.tracking.conftest import Serve
from tests.tracking.studies import ask, children, make_study, parent_of


def test_what_could_not_be_logged_is_written_later(
    server: tuple[str, Serve], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address, serve = server
    monkeypatch.setattr("optuna_pop.tracking.mirror._SHORTEST_PAUSE_S", 0.0)
    monkeypatch.setattr("optuna_pop.tracking.mirror._SHARE", 0)
    study = make_study("away")
    with serve():
        mirror = StudyMirror(study, StudyRuns(study, tracking_uri=address), limit_s=1.0)
        begun, lost = ask(study), ask(study)
        kept = mirror.trial(begun)
        kept.log_epoch(1, {"accuracy": 40.0, "loss": 2.0})
    kept.log_epoch(2, {"accuracy": 50.0, "loss": math.nan})
    mirror.trial(lost).log_epoch(1, {"accuracy": 30.0, "loss": 3.0})
    study.tell(lost, (30.0, 0.5))
    assert [message for message in caplog.messages if "writes it later" in message]
    with pytest.raises(TrackingError, match="`optuna-pop sync` writes what is missing"):
        mirror.finish()
    assert study.trials[0].user_attrs[EPOCHS_ATTR] == [
        [1, {"accuracy": 40.0, "loss": 2.0}],
        [2, {"accuracy": 50.0, "loss": None}],
    ]
    with serve():
        client = MlflowClient(address)
        kept.finish(TrialState.COMPLETE, {"accuracy": 50.0}, None)  # by the process that goes on
        study.tell(begun, (50.0, 1.0))
        run = runs_of(client, study)["0"]
        history = client.get_metric_history(run.info.run_id, "loss")
        assert history[0].value == 2.0
        assert [m.step for m in history] == [1, 2]
        assert math.isnan(history[1].value)
        assert run.data.metrics["accuracy"] == 50.0
        assert run.info.status == "FINISHED"
        assert runs_of(client, study)["1"].info.status == "RUNNING"
        # Another process writes what this one did not come to write.
        second = StudyMirror(study, StudyRuns(study, tracking_uri=address))
        assert second.catch_up() == [1]
        assert second.catch_up() == []
        late = runs_of(client, study)["1"]
        assert late.info.status == "FINISHED"
        assert late.data.metrics["accuracy"] == 30.0


def runs_of(client: MlflowClient, study: optuna.Study) -> dict[str, Run]:
    """Runs by the number of their trial."""
    return {run.data.tags[TRIAL_TAG]: run for run in children(client, parent_of(study))}
