"""Which MLflow is used, and what is said of one that cannot be."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from optuna_pop.errors import StorageError
from optuna_pop.tracking.mlflow_runs import StudyRuns
from tests.tracking.conftest import free_port
from tests.tracking.studies import ask, children, make_study, parent_of


def test_database_is_the_default_and_the_environment_is_respected(
    mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study("moves")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    on_server = StudyRuns(study, experiment="named").run_id
    client = MlflowClient(mlflow_server)
    experiment = client.get_experiment(client.get_run(on_server).info.experiment_id)
    assert experiment.name == "named"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    runs = StudyRuns(study)
    trial = ask(study)
    runs.trial(trial).finish(TrialState.COMPLETE, {"accuracy": 1.0})
    assert (tmp_path / "mlflow.db").exists()
    # Another MLflow does not have the study's run, so it has a new one.
    assert parent_of(study) != on_server
    (child,) = children(MlflowClient(f"sqlite:///{tmp_path}/mlflow.db"), parent_of(study))
    assert child.data.metrics == {"accuracy": 1.0}


def test_a_deleted_experiment_says_how_to_restore_it(mlflow_server: str) -> None:
    client = MlflowClient(mlflow_server)
    number = client.create_experiment("gone")
    client.delete_experiment(number)
    with pytest.raises(StorageError, match=f"mlflow experiments restore --experiment-id {number}"):
        StudyRuns(make_study("gone"), tracking_uri=mlflow_server, experiment="gone")


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_unreachable_server_is_named_at_once_without_its_password(scheme: str) -> None:
    address = f"{scheme}://someone:s3cret@127.0.0.1:{free_port()}/mlflow"
    study = make_study()
    start = time.monotonic()
    with pytest.raises(StorageError) as caught:
        StudyRuns(study, tracking_uri=address)
    assert time.monotonic() - start < 20
    message = str(caught.value)
    assert f"MLflow at {address.replace('s3cret', '***')} cannot be used" in message
    assert "MLFLOW_TRACKING_URI" in message
    assert "s3cret" not in message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("address", ["file:///nowhere", "nonsense://here", "not an address"])
def test_what_mlflow_refuses_is_readable(address: str) -> None:
    with pytest.raises(StorageError, match=f"MLflow at {address} cannot be used: "):
        StudyRuns(make_study(), tracking_uri=address)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("something else, long enough to be read " * 10)
    start = time.monotonic()
    with pytest.raises(StorageError, match="file is not a database"):
        StudyRuns(make_study())
    assert time.monotonic() - start < 20
