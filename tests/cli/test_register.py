"""Networks of finished studies in MLflow's registry, by the command that a user types."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnxruntime
import optuna
import pytest
import torch
from optuna.trial import TrialState, create_trial

from optuna_pop.profiling import LatencyTable
from optuna_pop.tracking.dashboard import name_metrics
from optuna_pop.trainables.weights import load_weights
from tests.cli.registered import (
    STREETS,
    URL,
    aliases,
    call,
    client,
    register,
    uri,
    versions,
)
from tests.test_install import BLOCKER
from tests.tracking.conftest import BIN, free_port, serving

# What a machine that only serves need not have.
ELSEWHERE = {"torch", "optuna_pop", "optuna", "onnx", "sklearn", "matplotlib"}


@pytest.fixture(scope="module")
def done(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the boundaries of both studies are registered; only looked at."""
    folder = tmp_path_factory.mktemp("done")
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    for study, name in (("digits", "Digits"), ("streets", "DF-Seg")):
        result = register(folder, study, "--all-boundary", name=name)
        assert result.code == 0, result.err
    return folder


@pytest.fixture
def folder(done: Path, tmp_path: Path) -> Path:
    """A copy with the studies and the trained weights, but an MLflow of its own."""
    for path in done.iterdir():
        if path.name.endswith((".db", ".networks", ".json")) and path.name != "mlflow.db":
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, tmp_path / path.name)
    return tmp_path


@pytest.fixture
def image() -> np.ndarray:
    """A held-out scene as a camera gives it, uint8 (h, w, 3)."""
    held_out = STREETS.load().held_out
    return np.ascontiguousarray(held_out.x[0].permute(1, 2, 0).numpy())


def of_torch(done: Path, image: np.ndarray, trial: int) -> np.ndarray:
    """What the trained torch network says, normalised as its training was."""
    (path,) = (done / "streets.networks").glob(f"trial-{trial}-*.safetensors")
    mean, deviation = (torch.tensor(v).view(1, -1, 1, 1) for v in STREETS.statistics)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        scores = load_weights(path).network()((x - mean) / deviation)
    return scores.argmax(dim=1)[0].numpy()


def test_boundary_is_registered_with_all_that_is_known(done: Path) -> None:
    found = versions(done, "Digits")
    study = optuna.load_study(study_name="digits", storage=f"sqlite:///{done}/study.db")
    by_trial = {int(v.tags["trial"]): v for v in found}
    assert len(by_trial) == len(found) == len(study.best_trials)
    named = aliases(done, "Digits")
    assert set(named) == {"fastest", "most-accurate", "knee"}
    fastest = min(study.best_trials, key=lambda t: t.values[1])
    best = max(study.best_trials, key=lambda t: t.values[0])
    assert named["fastest"] == int(by_trial[fastest.number].version)
    assert named["most-accurate"] == int(by_trial[best.number].version)
    tags = by_trial[best.number].tags
    table = LatencyTable.load(done / "here.json")
    assert float(tags["latency_ms"]) == pytest.approx(best.values[1], rel=1e-5)
    assert 0 < float(tags["measured_latency_ms"]) < best.values[1]
    # The same recipe on the same machine gives the same weights, so the trial's own accuracy.
    assert float(tags["top-1"]) == pytest.approx(best.values[0], rel=1e-5)
    assert tags["device"] == table.conditions.device.name
    assert (tags["engine"], tags["precision"]) == ("onnxruntime", "float32")
    assert tags["latency_table"] == table.fingerprint
    assert tags["architecture"] == best.user_attrs["architecture"]
    assert (tags["study"], tags["data"], tags["recipe"]) == ("digits", "digits", "digits-smoke")
    assert float(tags["macs"]) == best.user_attrs["macs"]
    version = by_trial[best.number]
    assert version.description.startswith(f"top-1 {best.values[0]:.2f} %, latency (ms) ")
    run = client(done).get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == study.user_attrs["mlflow_run_id"]
    assert run.data.metrics["top-1"] == pytest.approx(best.values[0])
    folder = Path(mlflow.artifacts.download_artifacts(version.source, tracking_uri=uri(done)))
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    weights = "extra/weights.safetensors"
    assert {"model.onnx", "README.md", "boundary.png", "extra/network.onnx", weights} <= names
    assert LatencyTable.load(folder / f"extra/latency-{table.fingerprint}.json") == table
    card = (folder / "README.md").read_text()
    assert "![Boundary of study digits](boundary.png)" in card
    assert "The whole network, measured there before it was registered" in card
    assert f"| **{best.number}** |" in card


def test_what_is_registered_already_stays_as_it_is(done: Path) -> None:
    before = [(v.version, v.last_updated_timestamp) for v in versions(done, "Digits")]
    named = aliases(done, "Digits")
    runs = client(done).search_runs(["1"])
    shutil.move(done / "digits.networks", done / "away")  # so a training would be seen
    try:
        result = register(done, "digits", "--all-boundary", name="Digits")
    finally:
        shutil.move(done / "away", done / "digits.networks")
    assert result.code == 0, result.err
    assert result.out.count("already") == len(before)
    assert "knee: version" in result.out
    assert "as before" in result.out
    assert [(v.version, v.last_updated_timestamp) for v in versions(done, "Digits")] == before
    assert aliases(done, "Digits") == named
    assert len(client(done).search_runs(["1"])) == len(runs)


def test_round_trip_without_torch(done: Path, image: np.ndarray) -> None:
    np.save(done / "image.npy", image)
    code = BLOCKER.format(blocked=ELSEWHERE) + (
        "import mlflow, numpy\n"
        f"mlflow.set_tracking_uri({uri(done)!r})\n"
        "model = mlflow.pyfunc.load_model('models:/DF-Seg@most-accurate')\n"
        "numpy.save('labels.npy', model.predict(numpy.load('image.npy')))\n"
        "digits = mlflow.pyfunc.load_model('models:/Digits@knee')\n"
        "answer = digits.predict(numpy.zeros((48, 48, 1), numpy.uint8))\n"
        "total = round(float(answer['probabilities'].sum()), 4)\n"
        "print(sorted(answer), answer['label'].shape, total)"
    )
    words = [sys.executable, "-c", code]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ran = subprocess.run(
        words, cwd=done, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip().endswith("['label', 'probabilities'] (1,) 1.0")
    labels = np.load(done / "labels.npy")
    assert (labels.shape, labels.dtype) == ((32, 64), np.uint8)
    version = client(done).get_model_version_by_alias("DF-Seg", "most-accurate")
    np.testing.assert_array_equal(labels, of_torch(done, image, int(version.tags["trial"])))


def test_the_onnx_model_alone_does_the_same(done: Path, image: np.ndarray) -> None:
    version = client(done).get_model_version_by_alias("DF-Seg", "most-accurate")
    folder = Path(mlflow.artifacts.download_artifacts(version.source, tracking_uri=uri(done)))
    (labels,) = onnxruntime.InferenceSession(folder / "model.onnx").run(None, {"image": image})
    trial = int(version.tags["trial"])
    np.testing.assert_array_equal(labels, of_torch(done, image, trial))
    loaded = mlflow.onnx.load_model(str(folder))
    assert loaded.graph.output[0].name == "labels"
    assert "its table is of device 'made up', but this is" in (folder / "README.md").read_text()
    assert "3 road" not in version.description
    assert "2 road" in version.description
    assert "measured_latency_ms" not in version.tags


def test_another_size_is_refused_by_name(done: Path, image: np.ndarray) -> None:
    version = client(done).get_model_version_by_alias("DF-Seg", "fastest")
    model = mlflow.pyfunc.load_model(version.source)
    with pytest.raises(mlflow.MlflowException, match=r"\(24, 64, 3\) does not match .*\(32, 64, 3"):
        model.predict(image[:24])
    with pytest.raises(ValueError, match="image of height 32, width 64 and 3 channels"):
        model._model_impl.predict(image[:24])  # as without MLflow's own check


def test_served_on_loopback(done: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri(done))
    port = free_port()
    words = [str(BIN / "mlflow"), "models", "serve", "-m", "models:/DF-Seg@most-accurate"]
    words += ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    address = f"http://127.0.0.1:{port}"
    with serving(words, f"{address}/ping", done / "serve.log"):
        status, answer = ask(address, image)
        assert status == 200
        refused, said = ask(address, image[:24])
    version = client(done).get_model_version_by_alias("DF-Seg", "most-accurate")
    trial = int(version.tags["trial"])
    np.testing.assert_array_equal(answer["predictions"], of_torch(done, image, trial))
    assert refused == 400
    assert "(24, 64, 3) does not match expected shape (32, 64, 3)" in said["message"]


def ask(address: str, image: np.ndarray) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"inputs": image.tolist()}).encode()
    request = urllib.request.Request(
        f"{address}/invocations", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_better_network_moves_the_alias_and_a_worse_one_does_not(folder: Path) -> None:
    assert register(folder, "digits", "--all-boundary").code == 0
    named = aliases(folder)
    best = client(folder).get_model_version("Net", str(named["most-accurate"]))
    trial, count = best.tags["trial"], len(versions(folder))
    longer = ["--trial", trial, "--set", "epochs=6", "--set", "batch_size=64"]
    result = register(folder, "digits", *longer)
    assert result.code == 0, result.err
    assert "by digits-smoke (epochs=6, batch_size=64)" in result.out
    moved = f"most-accurate: version {named['most-accurate']} → {count + 1}"
    assert moved in result.out
    assert aliases(folder)["most-accurate"] == count + 1
    new = client(folder).get_model_version("Net", str(count + 1))
    assert float(new.tags["top-1"]) > float(best.tags["top-1"])
    assert new.tags["recipe"] == "digits-smoke (epochs=6, batch_size=64)"

    worse = ["--trial", trial, "--set", "epochs=1", "--alias", "candidate"]
    result = register(folder, "digits", *worse)
    assert result.code == 0, result.err
    assert f"most-accurate: stays at version {count + 1}, which is better (top-1" in result.out
    assert aliases(folder)["most-accurate"] == count + 1
    assert aliases(folder)["candidate"] == count + 2
    result = register(folder, "digits", *worse, "--force")
    assert f"most-accurate: version {count + 1} → {count + 2}" in result.out


def test_budget(folder: Path) -> None:
    table = LatencyTable.load(folder / "here.json")
    study = optuna.load_study(study_name="digits", storage=f"sqlite:///{folder}/study.db")
    costs = sorted(trial.values[1] for trial in study.best_trials)
    budget = round(costs[0]) + 1
    result = register(folder, "digits", "--budget-ms", budget)
    assert result.code == 0, result.err
    within = max((t for t in study.best_trials if t.values[1] <= budget), key=lambda t: t.values[0])
    assert f"budget-{budget}ms: version 1" in result.out
    assert versions(folder)[0].tags["trial"] == str(within.number)
    assert table.conditions.engine == versions(folder)[0].tags["engine"]
    result = register(folder, "digits", "--budget-ms", "0.001")
    assert result.code == 2
    assert "has no trained network within latency (ms) ≤ 0.001; the lowest" in result.err
    assert len(versions(folder)) == 1


def test_too_slow_is_refused_without_force(folder: Path) -> None:
    study = optuna.load_study(study_name="digits", storage=f"sqlite:///{folder}/study.db")
    table = study.user_attrs["optuna_pop:table"]
    # A table that promises a thousandth of a microsecond, and the trial's value with it.
    for record in table["content"][0]["blocks"].values():
        record.update(minimum=1e-6, median=1e-6)
    table["fingerprint"] = "promises"
    fast = optuna.create_study(
        study_name="fast",
        storage=f"sqlite:///{folder}/study.db",
        directions=["maximize", "minimize"],
    )
    for name, value in study.user_attrs.items():
        fast.set_user_attr(name, table if name == "optuna_pop:table" else value)
    first = study.best_trials[0]
    fast.add_trial(
        create_trial(
            params=first.params,
            distributions=first.distributions,
            values=(first.values[0], 1e-5),
            user_attrs=first.user_attrs,
        )
    )
    shutil.copytree(folder / "digits.networks", folder / "fast.networks")
    for path in (folder / "fast.networks").iterdir():
        path.rename(path.with_name(path.name.replace(f"trial-{first.number}-", "trial-0-")))
    result = register(folder, "fast", "--all-boundary")
    assert result.code == 2
    assert "Trial 0 is trained already" in result.out
    assert "more than 10 % slower than they were chosen for (trial 0: latency (ms)" in result.err
    assert client(folder).search_registered_models() == []
    result = register(folder, "fast", "--all-boundary", "--force")
    assert result.code == 0, result.err
    tags = versions(folder)[0].tags
    assert float(tags["measured_latency_ms"]) > 1.1 * float(tags["latency_ms"])


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (TrialState.FAIL, "failed"),
        (TrialState.PRUNED, "was pruned before its training ended"),
        (TrialState.RUNNING, "is still in training"),
    ],
)
def test_only_completed_trials(folder: Path, state: TrialState, said: str) -> None:
    study = optuna.load_study(study_name="digits", storage=f"sqlite:///{folder}/study.db")
    study.add_trial(create_trial(state=state))
    number = study.trials[-1].number
    result = register(folder, "digits", "--trial", number)
    assert result.code == 2
    assert f"trial {number} of study 'digits' {said}" in result.err
    assert "the boundary holds trials" in result.err
    result = register(folder, "digits", "--trial", number + 1)
    assert f"study 'digits' has no trial {number + 1}" in result.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "one of --trial N, --budget-ms MS and --all-boundary"),
        (["--trial", "0", "--all-boundary"], "one of --trial N, --budget-ms MS and"),
        (["--trial", "0", "--alias", "budget-0.5ms"], "MLflow refuses the alias 'budget-0.5ms'"),
        (["--all-boundary", "--alias", "champion"], "--alias names one network"),
        (["--trial", "0", "--recipe", "none"], "unknown recipe 'none'"),
        (["--all-boundary", "--weights", "w.safetensors"], "--weights are of one network"),
        (["--trial", "0", "--weights", "w.safetensors"], "cannot read weights w.safetensors"),
    ],
)
def test_what_is_refused_before_any_work(folder: Path, words: list[str], said: str) -> None:
    result = register(folder, "digits", *words)
    assert result.code == 2
    assert said in result.err
    assert "Training trial" not in result.out
    assert not (folder / "mlflow.db").exists()
    result = register(folder, "digits", "--trial", "0", name="a/b")
    assert "MLflow refuses the model name 'a/b'" in result.err


def test_a_study_of_one_objective_and_one_without_a_trial(folder: Path) -> None:
    storage = f"sqlite:///{folder}/study.db"
    optuna.create_study(study_name="one", storage=storage, direction="maximize")
    optuna.create_study(study_name="empty", storage=storage, directions=["maximize", "minimize"])
    result = register(folder, "one", "--all-boundary")
    assert result.code == 2
    assert "study 'one' has one objective, so it has no boundary" in result.err
    for words in (["--all-boundary"], ["--budget-ms", "5"]):
        result = register(folder, "empty", *words)
        assert result.code == 2
        assert "study 'empty' has no completed training" in result.err


def test_a_study_without_a_table_needs_weights_and_its_card_says_so(folder: Path) -> None:
    """Somebody's own Optuna study, whose network was trained by ``optuna-pop train``."""
    study = optuna.create_study(
        study_name="own",
        storage=f"sqlite:///{folder}/study.db",
        directions=["maximize", "minimize"],
    )
    name_metrics(study, ["mIoU (%)", "size (MB)"])
    study.add_trial(create_trial(values=(41.0, 0.5)))
    result = register(folder, "own", "--trial", "0")
    assert result.code == 2
    assert "give trained weights with --weights FILE.safetensors" in result.err
    weights = sorted((folder / "streets.networks").glob("*.safetensors"))[0]
    result = register(folder, "own", "--trial", "0", "--weights", weights)
    assert result.code == 0, result.err
    (version,) = versions(folder)
    assert version.tags["size_mb"] == "0.5"
    assert version.tags["data"] == "streets"
    assert "device" not in version.tags
    folder_ = Path(mlflow.artifacts.download_artifacts(version.source, tracking_uri=uri(folder)))
    card = (folder_ / "README.md").read_text()
    assert "The study carries no latency table" in card
    assert "It was not measured before it was registered." in card
    result = register(folder, "own", "--trial", "0", "--weights", weights)
    assert "Trial 0 is version 1 of Net already" in result.out


def test_weights_of_another_network(folder: Path) -> None:
    weights = sorted((folder / "streets.networks").glob("*.safetensors"))[0]
    result = register(folder, "digits", "--trial", "0", "--weights", weights)
    assert result.code == 2
    assert "the weights are of another network than trial 0 of study 'digits'" in result.err


def test_a_registry_that_is_away_loses_nothing(folder: Path) -> None:
    words = ["register", "--storage", URL, "--study", "digits", "--trial", "0", "--name", "Net"]
    address = f"http://me:s3cret@127.0.0.1:{free_port()}"
    result = call(folder, *words, "--tracking-uri", address)
    assert result.code == 2
    assert "MLflow at http://me:***@127.0.0.1" in result.err
    assert "check that it runs (mlflow server)" in result.err
    assert "s3cret" not in result.err
    assert "Training" not in result.out  # nothing is paid for what cannot be kept
