"""Files of a search in its MLflow run, and MLflow rebuilt from any study."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import optuna
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run

from tests.cli.test_search import SEARCH, URL, opened

RunCommand = Callable[..., tuple[int, str, str]]
CARRIED = {"space.json", "data.json", "recipe.json", "weights.json", "settings.json"}
FOUND = {"latency.json", "boundary.csv", "boundary.png", "certificate.png", "pairs.png"}


def runs_in(client: MlflowClient, experiment: str) -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id]))


def test_a_search_is_rebuilt_with_its_files(folder: Path, run: RunCommand) -> None:
    assert run(*SEARCH, "--storage", URL, "--trials", 3)[0] == 0
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri)
    with opened(folder) as study:
        parent = study.user_attrs["mlflow_run_id"]
        accuracies = {str(t.number): t.values[0] for t in study.trials}
    stored = {artifact.path for artifact in client.list_artifacts(parent)}
    assert stored >= CARRIED | FOUND
    here = Path(download_artifacts(run_id=parent, tracking_uri=uri, dst_path=str(folder / "got")))
    assert json.loads((here / "latency.json").read_text()) == json.loads(
        (folder / "latency.json").read_text()
    )
    assert json.loads((here / "space.json").read_text())["widths"] == [4, 8, 12]
    with (here / "boundary.csv").open() as file:
        assert {r["trial"]: float(r["accuracy"]) for r in csv.DictReader(file)} == accuracies
    assert (here / "boundary.png").read_bytes().startswith(b"\x89PNG")

    sync = ("sync", "--storage", URL, "--tracking-uri", uri)
    code, out, err = run(*sync)
    assert code == 0, err
    assert "nothing to do; 3 runs were right" in out

    # Everything is lost, and comes again.
    for each in runs_in(client, "optuna-pop"):
        client.delete_run(each.info.run_id)
    code, out, err = run(*sync)
    assert code == 0, err
    assert "written trials 0-2; files stored: boundary.csv, boundary.png" in out
    runs = runs_in(client, "optuna-pop")
    children = {
        r.data.tags["optuna_pop.trial"]: r for r in runs if "mlflow.parentRunId" in r.data.tags
    }
    assert {n: r.data.metrics["accuracy"] for n, r in children.items()} == accuracies
    for each in children.values():
        assert len(client.get_metric_history(each.info.run_id, "loss")) > 1, "one an epoch"
        assert {"latency_ms", "macs", "parameters"} <= each.data.metrics.keys()
    assert "nothing to do; 3 runs were right" in run(*sync)[1]


def test_any_optuna_study_is_written(folder: Path, run: RunCommand) -> None:
    study = optuna.create_study(study_name="plain", storage=URL)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    uri = f"sqlite:///{folder}/mlflow.db"
    words = ("sync", "--storage", URL, "--tracking-uri", uri, "--experiment", "mine")
    code, out, err = run(*words)
    assert code == 0, err
    assert "study 'plain': written trials 0-1; 0 runs were right" in out
    values = {r.data.metrics.get("value") for r in runs_in(MlflowClient(uri), "mine")}
    assert values == {None, *(trial.value for trial in study.trials)}
    assert "nothing to do; 2 runs were right" in run(*words)[1]


def test_sync_refuses_what_is_not_there(folder: Path, run: RunCommand) -> None:
    code, _, err = run("sync", "--storage", "sqlite:///nowhere.db")
    assert code == 2
    assert "nowhere.db does not exist" in err
    optuna.create_study(study_name="plain", storage=URL)
    code, _, err = run("sync", "--storage", URL, "--tracking-uri", "http://u:hush@127.0.0.1:9")
    assert code == 2
    assert "127.0.0.1:9" in err
    assert "hush" not in err
