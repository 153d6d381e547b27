"""Several real processes on one study: none doubled, none lost, also after SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
from optuna.trial import TrialState

from optuna_pop import OrderedSpace, POPSampler

SPACE = OrderedSpace({"a": [1, 2, 3, 4, 5], "b": [1, 2, 3, 4, 5], "c": [1, 2, 3, 4]})

WORKER = """
import sys, time, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
from tests.sampler.test_processes import SPACE, load
study, sampler = load(sys.argv[1])
def objective(trial):
    architecture = SPACE.suggest(trial)
    time.sleep(float(sys.argv[3]))
    # Nothing prunes: the more costly, the more accurate.
    row = SPACE.row(architecture)
    return float(row), float(row)
study.optimize(objective, n_trials=int(sys.argv[2]))
"""


def load(url: str) -> tuple[optuna.Study, POPSampler[object]]:
    sampler: POPSampler[object] = POPSampler(
        SPACE,  # type: ignore[arg-type]
        cost=[float(row) for row in range(len(SPACE))],
    )
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
    return optuna.load_study(study_name="s", storage=storage, sampler=sampler), sampler


def start(url: str, trials: int, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, url, str(trials), str(seconds)])


def architectures(study: optuna.Study, *states: TrialState) -> list[int]:
    return [SPACE.row(SPACE.from_params(t.params)) for t in study.get_trials(states=states)]


def test_processes_that_ask_together_never_train_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(directions=["maximize", "minimize"], storage=url, study_name="s")
    workers = [start(url, 12, 0.0) for _ in range(3)]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    study, _ = load(url)
    rows = architectures(study, TrialState.COMPLETE)
    assert len(rows) == 36
    assert len(set(rows)) == 36


def test_killed_worker_loses_and_doubles_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(directions=["maximize", "minimize"], storage=url, study_name="s")
    worker = start(url, 50, 0.3)
    deadline = time.monotonic() + 60
    while len(architectures(study, TrialState.COMPLETE)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    before = architectures(study, TrialState.COMPLETE)
    assert len(before) >= 3
    # What Optuna's heartbeat, or `optuna-pop search`, does with a trial whose worker is dead.
    orphans = study.get_trials(states=(TrialState.RUNNING,))
    for trial in orphans:
        study.tell(trial.number, state=TrialState.FAIL)
    assert start(url, 200, 0.0).wait(120) == 0
    rows = architectures(study, TrialState.COMPLETE)
    assert sorted(rows) == list(range(len(SPACE))), "every architecture exactly once"
