"""``optuna-pop dashboard`` after a real search: real server, real browser."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import optuna
import pytest
import torch
from optuna.trial import FrozenTrial

from optuna_pop.experiment import identity, storage, study_page
from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import trained
from optuna_pop.trainables.weights import load_weights
from tests.browser import console_errors
from tests.tracking.conftest import free_port

Run = Callable[..., tuple[int, str, str]]
SEARCH = ["search", "--space", "space.json", "--table", "latency.json", "--recipe", "digits-smoke"]
URL = "sqlite:///study.db"


@pytest.fixture(autouse=True)
def own_mlflow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name MLflow's database in full: a process opens each name once, whatever its folder is."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[str]:
    """Run the command until the block is left, then end it as Ctrl-C does; give its address."""
    port = free_port()
    program = [sys.executable, "-m", "optuna_pop.cli", "dashboard", "--storage", URL]
    with (folder / "dashboard.log").open("w+") as log:
        process = subprocess.Popen(
            [*program, "--port", str(port), "--no-browser", *words],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        try:
            deadline = time.monotonic() + 120
            while "Serving" not in (folder / "dashboard.log").read_text():
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail((folder / "dashboard.log").read_text()[-3000:])
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/dashboard/studies/1"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            process.wait()


def artifacts_of(trial: FrozenTrial, study: optuna.Study) -> dict[str, str]:
    metas = optuna.artifacts.get_all_artifact_meta(trial, storage=study._storage)
    return {meta.filename: meta.artifact_id for meta in metas}


@pytest.mark.browser
def test_dashboard_shows_what_a_search_found(
    folder: Path, run: Run, page: Any, screenshots: Path
) -> None:
    code, out, err = run(*SEARCH, "--storage", URL, "--trials", 3, "--artifacts", "artifacts")
    assert code == 0, err
    assert "optuna-pop dashboard --storage sqlite:///study.db" in out
    study = storage.load_study(URL, "pop")
    found = trained(study)
    held = boundary_rows(found)
    best = study.trials[held[-1].number]
    kept = artifacts_of(best, study)
    check_artifacts(folder / "artifacts", kept)
    errors = console_errors(page)
    with serving(folder, "--study", "pop") as url:
        page.goto(url, timeout=60_000)
        page.wait_for_selector("#graph-pareto-front .points", state="attached", timeout=60_000)
        page.wait_for_selector(".gtitle >> text=boundary, of", state="attached", timeout=60_000)
        plot = "document.querySelector('#graph-pareto-front').data"
        pareto = page.evaluate(f"{plot}.map(t => Array.from(t.x, (x, i) => [x, t.y[i]]))")
        headings = page.eval_on_selector_all(
            ".js-plotly-plot .gtitle", "all => all.map(each => each.textContent)"
        )
        page.set_viewport_size({"width": 1400, "height": 3600})
        page.wait_for_timeout(500)
        page.screenshot(path=screenshots / "dashboard-figures.png")
        page.set_viewport_size({"width": 1400, "height": 1600})
        page.goto(f"{url}/note", timeout=60_000)
        page.wait_for_selector("text=How to read it", timeout=60_000)
        note = page.inner_text("body")
        page.screenshot(path=screenshots / "dashboard-note.png")
        page.goto(f"{url}/trials?numbers={best.number}", timeout=60_000)
        page.wait_for_selector("img[alt=network]", timeout=60_000)
        page.wait_for_function(
            "Array.from(document.images).filter(i => i.complete && i.naturalWidth > 200).length"
        )
        trial = page.inner_text("body")
        page.screenshot(path=screenshots / "dashboard-trial.png")
    *_, _, shown = ([p for p in sorted(trace) if None not in p] for trace in pareto)
    assert shown == sorted([entry.accuracy, entry.costs[0]] for entry in held)
    said = " ".join(headings)
    assert f"{len(held)} network{'s hold' if len(held) > 1 else ' holds'} the boundary" in said
    assert "comparable pairs" in said
    assert "precedents" in said
    for entry in held:
        assert f"{entry.architecture}" in note
        assert f"{entry.accuracy:.2f}" in note
    for words in ("made up", "fastest", "knee", "most accurate", "architectures in the cost range"):
        assert words in note
    assert "optuna-pop register --storage sqlite:///study.db --study pop" in note
    assert 'mlflow.pyfunc.load_model("models:/pop@knee")' in note
    assert held[-1].architecture in trial
    assert {"network.svg", "network.onnx", "weights.safetensors"} <= set(trial.split())
    assert "stage 3" in trial
    assert errors == []


def check_artifacts(store: Path, kept: dict[str, str]) -> None:
    """The kept weights and the kept ONNX model are of one trained network."""
    assert {"network.svg", "network.onnx", "weights.safetensors"} == set(kept)
    weights = load_weights(store / kept["weights.safetensors"])
    network = weights.network()
    assert weights.about["study"] == "pop"
    x = np.random.default_rng(0).normal(size=(1, *network.configs[0].input_shape))
    session = onnxruntime.InferenceSession(
        (store / kept["network.onnx"]).read_bytes(), providers=["CPUExecutionProvider"]
    )
    scores = session.run(None, {"input": x.astype(np.float32)})[0]
    with torch.inference_mode():
        wanted = network(torch.from_numpy(x).float()).numpy()
    assert scores == pytest.approx(wanted, abs=1e-3 * float(np.ptp(wanted)))


def test_without_artifacts_networks_are_drawn_in_characters(folder: Path, run: Run) -> None:
    from optuna_dashboard import get_note
    from optuna_dashboard._note import get_note_from_system_attrs

    code, _, err = run(*SEARCH, "--storage", URL, "--trials", 1)
    assert code == 0, err
    study = storage.load_study(URL, "pop")

    def notes() -> list[str]:
        attrs = study._storage.get_study_system_attrs(study._study_id)
        return [get_note_from_system_attrs(attrs, t._trial_id)["body"] for t in study.trials]

    before = notes()
    assert "▆" in before[0]
    assert "latency (ms)" in before[0]
    assert not artifacts_of(study.trials[0], study)
    assert not list(folder.glob("artifacts"))
    # What a person writes below the line stays; a trial without a note gets one.
    from optuna_dashboard import save_note

    save_note(study, get_note(study) + "Mind the stairs.")
    space = identity.space_of(study)
    assert space is not None
    study.enqueue_trial(dict(space.params(space.at(0))))
    study_page.StudyPage(study).complete()
    assert get_note(study).endswith("Mind the stairs.")
    assert get_note(study).count("# pop") == 1
    assert notes()[0] == before[0]
    assert str(space.at(0)) in notes()[1]


def test_workers_take_turns_with_the_note(folder: Path, run: Run) -> None:
    from optuna_dashboard import get_note, save_note

    code, _, err = run(*SEARCH, "--storage", URL, "--trials", 1)
    assert code == 0, err
    study = storage.load_study(URL, "pop")
    save_note(study, "empty")
    study_page.StudyPage(study).write(only_if_due=True)  # the search has just written it
    assert get_note(study) == "empty"
    study_page.StudyPage(study).write()
    assert get_note(study).startswith("# pop\n")
    assert get_note(study).endswith("empty")  # somebody wrote that


def test_artifacts_that_cannot_be_kept_cost_no_training(folder: Path, run: Run) -> None:
    blocked = folder / "artifacts"
    code, _, err = run(*SEARCH, "--storage", URL, "--trials", 1, "--artifacts", blocked)
    assert code == 0, err
    blocked.rename(folder / "elsewhere")
    blocked.write_text("a file where the folder was")
    code, _, err = run(*SEARCH, "--storage", URL, "--trials", 2)
    assert code == 0, err
    assert len(trained(storage.load_study(URL, "pop"))) == 2


def test_what_cannot_be_opened_is_refused(folder: Path, run: Run) -> None:
    command = ["dashboard", "--no-browser"]
    code, _, err = run(*command, "--storage", "grpc://localhost:13000")
    assert code != 0
    assert "not through a proxy as grpc://localhost:13000" in err
    code, _, err = run(*command, "--storage", URL, "--artifacts", "nowhere")
    assert code != 0
    assert "--artifacts nowhere is no folder" in err
    code, _, err = run(*command, "--storage", "sqlite:///nowhere.db", "--port", free_port())
    assert code != 0
    assert "nowhere.db does not exist" in err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run(*command, "--storage", URL, "--port", port)
        assert code != 0
        assert f"port {port} of 127.0.0.1 cannot be used" in err
    study = storage.open_study(URL, "mine")
    code, _, err = run(*command, "--storage", URL, "--study", "yours", "--port", free_port())
    assert code != 0
    assert "there is no study 'yours' in the storage: it holds mine" in err
    assert study.study_name == "mine"
