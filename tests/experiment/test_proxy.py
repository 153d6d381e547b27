"""Optuna's gRPC proxy as ``optuna-pop proxy`` serves it, with heartbeats."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from optuna_pop.errors import StorageError
from optuna_pop.experiment import storage
from optuna_pop.experiment.beating_proxy import BeatingProxy
from optuna_pop.experiment.workers import OWNER_ATTR
from optuna_pop.process import this_process
from tests.tracking.conftest import free_port

pytestmark = [
    pytest.mark.filterwarnings("ignore:Heartbeat of storage"),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[int]:
    """The port of a proxy of a SQLite file."""
    port = free_port()
    words = ["proxy", "--storage", f"sqlite:///{tmp_path}/study.db", "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "optuna_pop.cli", *words])
    try:
        yield port
        listening = {
            c.laddr.ip.removeprefix("::ffff:")  # IPv4 as gRPC shows it
            for c in psutil.Process(process.pid).net_connections()
            if c.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}, "nobody else may connect"
    finally:
        process.kill()
        process.wait()


def test_a_study_through_the_proxy(proxy: int, tmp_path: Path) -> None:
    study = storage.open_study(f"grpc://127.0.0.1:{proxy}", "s")
    trial = study.ask()
    trial.suggest_int("width", 1, 9)
    study.tell(trial, (90.0, 1.0))
    direct = storage.load_study(f"sqlite:///{tmp_path}/study.db", "s")
    assert direct.best_trials[0].values == [90.0, 1.0]
    assert direct.trials[0].user_attrs[OWNER_ATTR] == asdict(this_process())


def test_no_proxy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_PROXY_S", 0.5)
    with pytest.raises(StorageError, match="start one with `optuna-pop proxy`"):
        storage.open_study(f"grpc://127.0.0.1:{free_port()}", "s")
    with pytest.raises(StorageError, match="must name host and port"):
        storage.open_study("grpc://somewhere", "s")


def test_a_heartbeat_that_stops_is_noticed(proxy: int) -> None:
    storage.open_study(f"grpc://127.0.0.1:{proxy}", "s")
    lost: list[int] = []
    beating = BeatingProxy(
        host="127.0.0.1",
        port=proxy,
        interval_s=1,
        grace_s=0.4,
        on_stale=lambda _, trial: lost.append(trial.number),
    )
    study = optuna.load_study(study_name="s", storage=beating)
    alive, dead = study.ask(), study.ask()
    foreign = study.ask()  # by somebody who keeps no heartbeat
    for trial in (alive, dead):
        trial.set_user_attr(OWNER_ATTR, asdict(this_process()))
        beating.record_heartbeat(trial._trial_id)
    assert beating._get_stale_trial_ids(study._study_id) == []
    for _ in range(4):
        time.sleep(0.2)
        beating.record_heartbeat(alive._trial_id)
        stale = beating._get_stale_trial_ids(study._study_id)
    assert stale == [dead._trial_id]
    optuna.storages.fail_stale_trials(study)
    assert lost == [1]
    states = [study.trials[t.number].state for t in (alive, dead, foreign)]
    assert states == [TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING]
    beating.record_heartbeat(dead._trial_id)  # of one that was finished meanwhile: nothing
