"""A search as tasks of a real Ray cluster, of this machine alone."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.cli.test_search import SEARCH, architectures, opened
from tests.cli.test_worker import begin
from tests.tracking.conftest import free_port

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster of two cores."""
    # A short path, as Ray's sockets lie below it.
    folder, address = tempfile.mkdtemp(prefix="ray"), f"127.0.0.1:{free_port()}"
    words = ["start", "--head", "--block", "--num-cpus=2", "--include-dashboard=false"]
    words += [f"--port={address.split(':')[1]}", f"--temp-dir={folder}", "--disable-usage-stats"]
    log = Path(folder, "log")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # for the cluster and whoever joins it
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "ray"), *words],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while "Ray runtime started" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)  # it ends what it started
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def test_search_by_ray(folder: Path, cluster: str) -> None:
    url = f"sqlite:///{folder}/study.db"
    search = begin(folder, *SEARCH, "--storage", url, "--trials", "3", "--ray", cluster)
    out, err = search.communicate()
    assert search.returncode == 0, err
    assert "Boundary of study" in out
    with opened(folder) as study:
        assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 3
        assert len(set(architectures(study))) == 3
        assert not study.get_trials(states=(TrialState.RUNNING, TrialState.FAIL))
        owner = {t.user_attrs["optuna_pop:owner"]["pid"] for t in study.trials}
    assert search.pid not in owner
    assert os.getpid() not in owner


def test_no_cluster_is_said(folder: Path, run: Run) -> None:
    url = f"sqlite:///{folder}/study.db"
    where = f"127.0.0.1:{free_port()}"
    code, _, err = run(*SEARCH, "--storage", url, "--trials", "1", "--ray", where)
    assert code == 2
    assert "begin one with `ray start --head`" in err
