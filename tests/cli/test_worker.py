"""Several processes on one search: all they need is the study."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from optuna_pop.cli.helpers import gpus_of
from optuna_pop.experiment import identity
from tests.cli.test_search import SEARCH, architectures, opened

DOCS = Path(__file__).parents[2] / "docs" / "cluster.md"
Run = Callable[..., tuple[int, str, str]]


def begin(folder: Path, *words: str) -> subprocess.Popen[str]:
    mlflow = f"sqlite:///{folder}/mlflow.db"
    return subprocess.Popen(
        [sys.executable, "-m", "optuna_pop.cli", *words],
        cwd=folder,
        text=True,
        env={**os.environ, "MLFLOW_TRACKING_URI": mlflow},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def owners(study: optuna.Study) -> set[int]:
    done = study.get_trials(states=(TrialState.COMPLETE,))
    return {trial.user_attrs["optuna_pop:owner"]["pid"] for trial in done}


def test_workers_of_one_command_share_a_search(folder: Path) -> None:
    url = f"sqlite:///{folder}/study.db"
    search = begin(folder, *SEARCH, "--storage", url, "--trials", "6", "--workers", "2")
    _hold_until_another_has_trained(search, folder)
    out, err = search.communicate()
    assert search.returncode == 0, err
    assert "Boundary of study" in out
    with opened(folder) as study:
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        assert len(complete) == 6
        assert len(owners(study)) == 2
        assert len(set(architectures(study))) == len(study.trials)
        assert not study.get_trials(states=(TrialState.RUNNING, TrialState.FAIL))


def _hold_until_another_has_trained(search: subprocess.Popen[str], folder: Path) -> None:
    """Slow a search down, which could else have done all before its second worker is there."""
    end = time.monotonic() + 120
    while search.poll() is None and time.monotonic() < end:
        if psutil.Process(search.pid).children():
            search.send_signal(signal.SIGSTOP)
            time.sleep(1)
            search.send_signal(signal.SIGCONT)
            with opened(folder) as study:
                if owners(study) - {search.pid}:
                    return
        time.sleep(0.02)  # in which it gives back what it may hold of the database


def test_worker_elsewhere_needs_only_storage_and_name(folder: Path, run: Run) -> None:
    url = f"sqlite:///{folder}/study.db"
    assert run(*SEARCH, "--storage", url, "--trials", "1")[0] == 0
    with opened(folder) as study:
        settings = identity.settings_of(study)
        study.set_user_attr("optuna_pop:settings", {**settings, "trials": 3})
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    worker = begin(elsewhere, "worker", "--storage", url, "--study", "pop")
    _, err = worker.communicate()
    assert worker.returncode == 0, err
    with opened(folder) as study:
        assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 3
        assert len(owners(study)) == 2
        assert len(set(architectures(study))) == 3


def test_slurm_script_of_the_docs_puts_its_training_back_and_goes_on(
    folder: Path, run: Run
) -> None:
    url = f"sqlite:///{folder}/study.db"
    assert run(*SEARCH, "--storage", url, "--trials", "1", "--study", "night")[0] == 0
    with opened(folder, "night") as study:
        settings = identity.settings_of(study)
        study.set_user_attr("optuna_pop:settings", {**settings, "trials": 3})
    text = DOCS.read_text(encoding="utf-8")
    script = text.partition("## Slurm")[2].partition("```sh\n")[2].partition("```")[0]
    lines = [line for line in script.splitlines() if not line.startswith("export")]
    (folder / "job.sh").write_text("\n".join(lines))
    job: dict[str, Any] = {
        "cwd": folder,
        "text": True,
        "stderr": subprocess.PIPE,
        "env": {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OPTUNA_POP_STORAGE": url,
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        },
    }
    with opened(folder, "night") as study, subprocess.Popen(["bash", "job.sh"], **job) as worker:
        while worker.poll() is None and not any(
            "latency_ms" in trial.user_attrs
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        ):
            time.sleep(0.1)
        worker.terminate()  # as --signal=B:TERM@120 does
        _, err = worker.communicate()
        assert worker.returncode == 130, err
        assert len(study.get_trials(states=(TrialState.WAITING,))) == 1
        assert subprocess.run(["bash", "job.sh"], check=False, **job).returncode == 0
        assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 3
        assert not study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING))


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("data", {"fingerprint": "0" * 16}, "of another content"),
        ("data", {"name": "imagenot"}, "cannot provide"),
        ("recipe", {"epochs": 3}, "another optuna-pop"),
        ("recipe", {"momentums": 3}, "cannot read"),
    ],
)
def test_worker_that_cannot_serve_says_why_and_leaves_the_study(
    folder: Path, run: Run, part: str, change: dict[str, object], message: str
) -> None:
    url = f"sqlite:///{folder}/study.db"
    assert run(*SEARCH, "--storage", url, "--trials", "1")[0] == 0
    with opened(folder) as study:
        study.set_user_attr(f"optuna_pop:{part}", {**identity.part_of(study, part), **change})
        before = dict(study.user_attrs)
    code, _, err = run("worker", "--storage", url)
    assert code == 2
    assert message in err
    with opened(folder) as study:
        assert len(study.trials) == 1
        assert study.user_attrs == before


def test_worker_needs_a_search_to_join(folder: Path, run: Run) -> None:
    url = f"sqlite:///{folder}/study.db"
    optuna.create_study(study_name="pop", storage=url, directions=["maximize", "minimize"])
    code, _, err = run("worker", "--storage", url)
    assert code == 2
    assert "begin it with `optuna-pop search`" in err


@pytest.mark.parametrize(
    ("worker", "processes", "gpus", "own"),
    [
        (1, 1, ["0", "1", "2"], ["1"]),
        (3, 1, ["0", "1"], ["1"]),
        (1, 2, ["0", "1", "2", "3"], ["2", "3"]),
        (2, 2, ["4", "5", "6", "7"], ["4", "5"]),
        (1, 4, ["0", "1"], ["0", "1"]),
        (1, 1, [], []),
    ],
)
def test_workers_take_turns_on_gpus(
    worker: int, processes: int, gpus: list[str], own: list[str]
) -> None:
    assert gpus_of(worker, processes, gpus) == own


def test_passwords_of_mlflow_stay_secret(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server that is there and of one that is not: not in output, study or checkpoints."""
    url = f"sqlite:///{folder}/study.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:hushhush@127.0.0.1:9")
    code, out, err = run(*SEARCH, "--storage", url, "--trials", "1", "--outage-limit", "0")
    assert code == 2
    assert "127.0.0.1:9" in err
    assert "hushhush" not in out + err
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"hushhush" not in path.read_bytes(), path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, too small for any checkpoint."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here: a full disk is not tested")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_loses_nothing(folder: Path, run: Run, small_disk: Path) -> None:
    url = f"sqlite:///{folder}/study.db"
    words = (*SEARCH, "--storage", url, "--trials", "2", "--checkpoints", str(small_disk))
    code, _, err = run(*words)
    assert code == 2
    assert str(small_disk) in err
    assert "No space left" in err
    with opened(folder) as study:
        assert len(study.get_trials(states=(TrialState.WAITING,))) == 1
        assert not study.get_trials(states=(TrialState.RUNNING,))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    code, _, err = run(*words)  # the same command
    assert code == 0, err
    with opened(folder) as study:
        assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 2
        assert len(set(architectures(study))) == 2
