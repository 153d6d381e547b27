"""Several real processes on one study: none doubled, none lost, also after SIGKILL."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from optuna_pop import OrderedSpace, POPSampler, SpaceExhaustedError
from optuna_pop.ledger import CLAIM_ATTR
from optuna_pop.process import this_process
from tests import postgres

SPACE = OrderedSpace({"a": [1, 2, 3, 4, 5], "b": [1, 2, 3, 4, 5], "c": [1, 2, 3]})

WORKER = """
import sys, time, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
from tests.sampler.test_processes import SPACE, study_at
def objective(trial):
    architecture = SPACE.suggest(trial)
    time.sleep(float(sys.argv[3]))
    # Nothing prunes: the more costly, the more accurate.
    row = SPACE.row(architecture)
    return float(row), float(row)
with study_at(sys.argv[1]) as study:
    study.optimize(objective, n_trials=int(sys.argv[2]))
"""


@contextmanager
def study_at(url: str) -> Iterator[optuna.Study]:
    sampler: POPSampler[object] = POPSampler(
        SPACE,  # type: ignore[arg-type]
        cost=[float(row) for row in range(len(SPACE))],
    )
    arguments = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    storage = optuna.storages.RDBStorage(url, engine_kwargs=arguments)
    try:
        yield optuna.create_study(
            study_name="s",
            storage=storage,
            sampler=sampler,
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )
    finally:
        storage.engine.dispose()


def start(url: str, trials: int, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, url, str(trials), str(seconds)])


def architectures(study: optuna.Study, *states: TrialState) -> list[int]:
    return [SPACE.row(SPACE.from_params(t.params)) for t in study.get_trials(states=states)]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/study.db"
    else:
        with postgres.server() as found:
            yield found


def test_processes_that_ask_together_never_train_twice(url: str) -> None:
    with study_at(url) as study:
        workers = [start(url, 20, 0.0) for _ in range(3)]
        assert [worker.wait(120) for worker in workers] == [0, 0, 0]
        rows = architectures(study, TrialState.COMPLETE)
    assert len(rows) == 60
    assert len(set(rows)) == 60


def test_killed_worker_loses_and_doubles_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    with study_at(url) as study:
        worker = start(url, 50, 0.3)
        deadline = time.monotonic() + 60
        while len(architectures(study, TrialState.COMPLETE)) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        assert len(architectures(study, TrialState.COMPLETE)) >= 3
        # What Optuna's heartbeat, or `optuna-pop search`, does with trials of a dead worker.
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
        assert start(url, 200, 0.0).wait(120) == 0
        rows = architectures(study, TrialState.COMPLETE)
    assert sorted(rows) == list(range(len(SPACE))), "every architecture exactly once"


def test_what_a_dead_worker_held_is_free_again(url: str) -> None:
    """Without heartbeat and without anyone's help, and what a living one holds is not."""
    with study_at(url) as study:
        dead, alive = start(url, 1, 600.0), start(url, 1, 600.0)
        deadline = time.monotonic() + 60
        while (
            sum(len(t.params) == 3 for t in study.get_trials()) < 2 and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        os.kill(dead.pid, signal.SIGKILL)
        dead.wait()
        try:
            held = {
                t.system_attrs[CLAIM_ATTR][3]: SPACE.row(SPACE.from_params(t.params))
                for t in study.trials
            }
            left = len(SPACE) - 1
            chosen = [SPACE.row(SPACE.suggest(study.ask())) for _ in range(left)]
            assert sorted(chosen) == sorted(set(range(len(SPACE))) - {held[alive.pid]})
            assert held[dead.pid] in chosen
            with pytest.raises(SpaceExhaustedError):
                SPACE.suggest(study.ask())
        finally:
            alive.kill()
            alive.wait()


def test_a_later_process_of_the_same_number_is_another() -> None:
    me = this_process()
    assert not me.is_gone()
    assert dataclasses.replace(me, started=(me.started or 0) + 1).is_gone()
    assert not dataclasses.replace(me, host="elsewhere", pid=2**22 - 1).is_gone()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert dataclasses.replace(me, pid=ended.pid).is_gone()


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed:UserWarning")
def test_stale_heartbeat_frees_what_was_held_elsewhere() -> None:
    with postgres.server() as url:
        storage = optuna.storages.RDBStorage(url, heartbeat_interval=1, grace_period=1)
        sampler: POPSampler[object] = POPSampler(
            SPACE,  # type: ignore[arg-type]
            cost=[float(row) for row in range(len(SPACE))],
        )
        study = optuna.create_study(
            storage=storage, sampler=sampler, directions=["maximize", "minimize"]
        )
        lost = study.ask()
        row = SPACE.row(SPACE.suggest(lost))
        claim = [row, True, "elsewhere", 1, 1]
        storage.set_trial_system_attr(lost._trial_id, CLAIM_ATTR, claim)
        storage.record_heartbeat(lost._trial_id)
        time.sleep(2.5)
        SPACE.suggest(study.ask())
        assert study.trials[0].state == TrialState.FAIL
        storage.engine.dispose()
