"""Every example runs, and shows what it says it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import optuna
from matplotlib.image import imread

from tests import postgres

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def run(name: str, folder: Path, *arguments: str) -> str:
    """Run an example as a user does, in a folder of its own."""
    words = [sys.executable, str(EXAMPLES / name), *arguments]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout


def rows(text: str, unit: str) -> list[tuple[float, float]]:
    """(cost, accuracy) of the boundary's lines."""
    pattern = rf"^ *([\d.]+) {unit} +([\d.]+) %"
    return [(float(a), float(b)) for a, b in re.findall(pattern, text, flags=re.MULTILINE)]


def assert_boundary(found: list[tuple[float, float]], least: int = 3) -> None:
    assert len(found) >= least
    assert found == sorted(found), "from fast to slow"
    accuracies = [accuracy for _, accuracy in found]
    assert accuracies == sorted(accuracies), "slower ones are better"
    assert accuracies[-1] > accuracies[0] + 1.0


def assert_drawn(path: Path) -> None:
    pixels = imread(path)[..., :3]
    assert min(pixels.shape[:2]) >= 400
    assert (pixels != pixels[0, 0]).any(axis=2).mean() > 0.02, "more than an empty page"


def test_every_example_is_listed_and_says_how_to_run_it() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    names = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert len(names) == 5
    for name in names:
        assert f"]({name})" in listed
        said = (EXAMPLES / name).read_text().split('"""')[1]
        assert f"python examples/{name}" in said
        assert "It takes" in said
        assert "needs" in said
        assert f'"{name}"' in Path(__file__).read_text(), f"{name} is run by no test"


def test_quickstart(tmp_path: Path) -> None:
    found = re.findall(r"([\d.]+) % +([\d.]+) ms", run("quickstart.py", tmp_path))
    assert_boundary([(float(ms), float(accuracy)) for accuracy, ms in found])


def test_random_forest_beside_tpe(tmp_path: Path) -> None:
    shown = run("random_forest.py", tmp_path)
    assert_boundary(rows(shown, "ms"))
    seeds = re.findall(r"^ +\d+ +([\d.]+) +([\d.]+)$", shown, flags=re.MULTILINE)
    assert len(seeds) == 3
    # How much higher ours is depends on the noise of this machine; far below it must not be.
    ours, peers = (sum(map(float, column)) / 3 for column in zip(*seeds, strict=True))
    assert ours > peers - 1.0
    assert_drawn(tmp_path / "random_forest.png")


def test_two_devices(tmp_path: Path) -> None:
    shown = run("two_devices.py", tmp_path, "--trainings", "5", "--seconds", "1")
    first, second = shown.split("Boundary of the CPU with OpenVINO")
    assert rows(first, "ms") != rows(second, "ms"), "each device has latencies of its own"
    for part in (first, second):
        assert_boundary(rows(part, "ms"), least=2)
    for engine in ("onnxruntime", "openvino"):
        assert_drawn(tmp_path / f"two_devices_{engine}.png")


def test_four_workers_on_a_given_postgresql(tmp_path: Path) -> None:
    with postgres.server() as url:
        shown = run("postgres_workers.py", tmp_path, url)
        study = optuna.load_study(study_name="four-workers", storage=url)
        trials = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert len({tuple(trial.params.items()) for trial in trials}) == len(trials) == 24
    assert {trial.user_attrs["worker"] for trial in trials} == {0, 1, 2, 3}
    assert_boundary(rows(shown, "k MACs"))
    assert "24 trainings, 24 different networks, 0 trained twice." in shown


def test_workers_start_a_postgresql_of_their_own(tmp_path: Path) -> None:
    with postgres.running():  # skips where there is none
        small = ("--workers", "2", "--trainings", "2")
        assert "4 trainings, 4 different" in run("postgres_workers.py", tmp_path, *small)
