"""A tracking server with basic auth and PostgreSQL behind it, as a team runs one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import requests
from mlflow import MlflowClient

from optuna_pop import MLflowTracker
from optuna_pop.errors import TrackingError
from optuna_pop.tracking.mlflow_names import TRIAL_TAG
from tests import postgres
from tests.tracking.conftest import BIN, free_port, serving
from tests.tracking.studies import children, parent_of

ADMIN, SECRET = "admin", "a-long-password-of-admin"
USER, USERS_SECRET = "engineer", "a-long-password-of-engineer"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """The server's address, and the URL of an empty database beside its own."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)
    config = tmp_path / "auth.ini"
    config.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{tmp_path}/auth.db\n"
        f"admin_username = {ADMIN}\n"
        f"admin_password = {SECRET}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "auth_cache_ttl_seconds = 60\n"
    )
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(config))
    monkeypatch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", "for this test alone")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with postgres.running() as database:
        studies = database.create("studies")
        command = [str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--app-name", "basic-auth", "--backend-store-uri", database.url]
        command += ["--artifacts-destination", str(tmp_path / "artifacts"), "--workers", "1"]
        with serving(command, f"{address}/health", tmp_path / "server.log"):
            yield address, studies


WORKER = """
import sys, optuna
from optuna_pop import CurveTrial, MLflowTracker
study = optuna.load_study(study_name="team", storage=sys.argv[1])
def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    CurveTrial(trial).report(x / 2, 1)
    if trial.number % 3 == 2:
        raise optuna.TrialPruned
    return x, 1 - x
with MLflowTracker() as tracker:
    study.optimize(objective, n_trials=3, callbacks=[tracker])
"""


def test_a_team_with_accounts_and_postgresql(
    server: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, storage = server
    mend = "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    with pytest.raises(TrackingError, match=mend):
        MLflowTracker(tracking_uri=address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not this one")
    with pytest.raises(TrackingError, match=mend) as caught:
        MLflowTracker(tracking_uri=address)
    assert "not this one" not in str(caught.value)
    assert address in str(caught.value)

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    made = requests.post(
        f"{address}/api/2.0/mlflow/users/create",
        json={"username": USER, "password": USERS_SECRET},
        auth=(ADMIN, SECRET),
        timeout=20,
    )
    assert made.status_code == 200, made.text
    MLflowTracker(tracking_uri=address, experiment="not theirs")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", USERS_SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)

    # Workers on one study, in the same PostgreSQL.
    study = optuna.create_study(
        study_name="team", storage=storage, directions=["maximize", "minimize"]
    )
    words = [sys.executable, "-c", WORKER, storage]
    workers = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        _, err = worker.communicate()
        assert worker.returncode == 0, err
    client = MlflowClient(address)
    assert client.get_run(parent_of(study)).info.status == "FINISHED"
    runs = {int(run.data.tags[TRIAL_TAG]): run for run in children(client, parent_of(study))}
    assert sorted(runs) == list(range(6))
    assert [runs[n].info.status for n in range(3)] == ["FINISHED", "FINISHED", "KILLED"]
    for trial in study.trials:
        values = trial.values or [trial.params["x"] / 2]
        metrics = runs[trial.number].data.metrics
        assert [metrics[f"value_{i}"] for i in range(len(values))] == values
    assert not MLflowTracker().sync(study).changed

    # An experiment that belongs to someone else.
    other = optuna.create_study(study_name="other")
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(TrackingError, match="the permission EDIT"):
        MLflowTracker(experiment="not theirs").sync(other)
    # An address may hold the account, too; it shows nowhere.
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    place = address.removeprefix("http://")
    assert (
        not MLflowTracker(tracking_uri=f"http://{USER}:{USERS_SECRET}@{place}").sync(study).changed
    )
    with pytest.raises(TrackingError, match="or the user and password in its address") as caught:
        MLflowTracker(tracking_uri=f"http://{USER}:wrong-one@{place}")
    assert "wrong-one" not in str(caught.value)
    asked = requests.get(f"{address}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=20)
    assert asked.status_code == 401
