"""Storages that go away, with a real PostgreSQL that is stopped and started."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from optuna_pop.errors import StorageError
from optuna_pop.experiment import storage
from optuna_pop.experiment.durable import DurableStorage
from optuna_pop.experiment.workers import OWNER_ATTR
from optuna_pop.process import this_process
from tests import postgres

# Optuna's remark on ask() outside of optimize(), which alone writes the heartbeats.
pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage")


@pytest.fixture
def down(database: postgres.Server) -> Iterator[Callable[[float], threading.Thread]]:
    """Stops the database now, and starts it again after so many seconds."""
    begun: list[threading.Thread] = []

    def stop(seconds: float) -> threading.Thread:
        database.stop()

        def later() -> None:
            time.sleep(seconds)
            database.start()

        begun.append(threading.Thread(target=later))
        begun[-1].start()
        return begun[-1]

    yield stop
    for thread in begun:
        thread.join()


def test_a_crash_of_the_database_is_waited_for(
    database: postgres.Server,
    down: Callable[[float], threading.Thread],
    caplog: pytest.LogCaptureFixture,
) -> None:
    study = storage.open_study(database.url, "crash")
    first, second = study.ask(), study.ask()
    down(2.0)
    with caplog.at_level(logging.WARNING):
        first.suggest_int("width", 1, 9)
        study.tell(first, (90.0, 1.5))
        study.tell(second, state=TrialState.FAIL)
        study.ask()
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING]
    assert study.trials[0].values == [90.0, 1.5]
    said = [record.getMessage() for record in caplog.records]
    assert [s.split(" (")[0].rsplit("/", 1)[-1] for s in said if "optuna-pop: storage" in s] == [
        "pop is away",
        "pop answers again",
    ]


def test_after_the_limit_it_says_what_to_do(
    database: postgres.Server, down: Callable[[float], threading.Thread]
) -> None:
    study = storage.open_study(database.url, "limit", outage_limit_s=0.5)
    down(6.0)
    with pytest.raises(StorageError, match=r"has not answered for 0 s.*the same command goes on"):
        study.ask()
    began = time.monotonic()
    with pytest.raises(StorageError):  # once given up, later calls do not wait again
        study.ask()
    assert time.monotonic() - began < 3.0


class Deaf(RDBStorage):
    """A SQLite storage whose answers are lost: each call is done, then fails once."""

    losing: frozenset[str] = frozenset()

    def _lose(self, name: str) -> None:
        if name in self.losing:
            self.losing = self.losing - {name}
            raise OperationalError("answer lost", None, Exception("answer lost"))

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        done = super().set_trial_state_values(trial_id, state, values)
        self._lose("finish")
        return done

    def create_new_trial(self, study_id: int, template_trial: Any = None) -> int:
        made = super().create_new_trial(study_id, template_trial)
        self._lose("create")
        return made


@pytest.fixture
def deaf(tmp_path: Path) -> Deaf:
    return Deaf(f"sqlite:///{tmp_path}/study.db")


def study_on(backend: BaseStorage) -> optuna.Study:
    durable = DurableStorage(backend, "here", 5.0)
    return optuna.create_study(storage=durable, directions=["maximize", "minimize"])


def test_a_trial_finished_without_an_answer_is_finished_once(deaf: Deaf) -> None:
    study = study_on(deaf)
    trial = study.ask()
    deaf.losing = frozenset({"finish"})
    study.tell(trial, (80.0, 2.0))
    assert [(t.state, t.values) for t in study.trials] == [(TrialState.COMPLETE, [80.0, 2.0])]
    with pytest.raises(ValueError, match="Cannot tell"):  # but not twice
        study.tell(trial, (81.0, 2.0))


def test_a_trial_made_without_an_answer_is_left_signed(deaf: Deaf) -> None:
    study = study_on(deaf)
    deaf.losing = frozenset({"create"})
    trial = study.ask()
    assert trial.number == 1
    owners = [t.user_attrs[OWNER_ATTR] for t in study.trials]
    assert owners == 2 * [asdict(this_process())]


def test_a_waiting_trial_is_signed_by_who_takes_it(deaf: Deaf) -> None:
    study = study_on(deaf)
    study.enqueue_trial({"width": 3})
    assert study.ask().user_attrs[OWNER_ATTR] == asdict(this_process())


def test_what_is_no_outage_is_not_repeated(deaf: Deaf) -> None:
    study = study_on(deaf)
    began = time.monotonic()
    with pytest.raises(KeyError):
        study._storage.get_trial(12345)
    assert time.monotonic() - began < 4.0


def test_a_password_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    url = "postgresql+psycopg://pop:s3cret@127.0.0.1:1/pop"
    with pytest.raises(StorageError) as caught:
        storage.open_study(url, "s")
    shown = [str(caught.value), caplog.text]
    assert "***" in shown[0]
    assert not any("s3cret" in text for text in shown)
    for broken in ("postgresql:/pop:s3cret@host/pop", "nosql://pop:s3cret@host/pop"):
        with pytest.raises(StorageError) as caught:
            storage.open_study(broken, "s")
        assert "s3cret" not in str(caught.value)
