"""Asynchronous workers in virtual time, on a table and a real study; see ``benchmarks.cluster``.

A worker asks, its training lasts in proportion to the architecture's cost, it tells, and asks again
at once. All workers share one sampler object and one cache of the storage. A repeat costs a peer
nothing: its worker asks again at once, and the repeat is told when the first training of that
architecture is over.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import Trial, TrialState
from sqlalchemy import event

from benchmarks.peers import ASKS_PER_TRAINING, space_of
from benchmarks.tables import FloatArray, Table
from optuna_pop import POPSampler
from optuna_pop.sampler import SpaceExhaustedError

WINDOW = 20  # finished trainings over which statements are averaged, from the 20th on and at last

# What a sampler needs: itself, and how a trial comes to a row of the table.
Maker = Callable[[Table, int], tuple[BaseSampler, Callable[[Trial], int]]]


def pop(table: Table, seed: int) -> tuple[BaseSampler, Callable[[Trial], int]]:
    """``POPSampler`` as it comes."""
    space, place = space_of(table)
    costs = np.empty(len(space))
    costs[place] = table.costs  # place: row of the table -> row of the space
    back = np.argsort(place)
    sampler = POPSampler(space, cost=costs, seed=seed)
    return sampler, lambda trial: int(back[space.row(space.suggest(trial))])


def _peer(make: Callable[[int], BaseSampler]) -> Maker:
    def made(table: Table, seed: int) -> tuple[BaseSampler, Callable[[Trial], int]]:
        row_of = {tuple(vector): row for row, vector in enumerate(table.vectors.tolist())}
        low, high = table.vectors.min(axis=0).tolist(), table.vectors.max(axis=0).tolist()
        levels = list(zip(table.levels, low, high, strict=True))
        return make(seed), lambda trial: row_of[tuple(trial.suggest_int(*a) for a in levels)]

    return made


SAMPLERS: dict[str, Maker] = {
    "pop": pop,
    "tpe": _peer(lambda seed: TPESampler(multivariate=True, constant_liar=True, seed=seed)),
    "nsga2": _peer(lambda seed: NSGAIISampler(population_size=20, seed=seed)),
}


@dataclass
class Statements:
    """SQL statements sent, and what each ask or tell sent, by the trainings finished before it."""

    sent: int = 0
    asks: list[tuple[int, int]] = field(default_factory=list)
    tells: list[tuple[int, int]] = field(default_factory=list)

    def count(self, *_: object) -> None:
        """Listen to an engine."""
        self.sent += 1

    @contextmanager
    def of(self, calls: list[tuple[int, int]], finished: int) -> Iterator[None]:
        """Note in ``calls`` what the body sends."""
        before = self.sent
        yield
        calls.append((finished, self.sent - before))

    def a_trial(self, first: int) -> float:
        """Mean of an ask and a tell while ``first`` to ``first + WINDOW`` were finished."""
        total = 0.0
        for calls in (self.asks, self.tells):
            sent = [float(n) for done, n in calls if first <= done < first + WINDOW]
            total += float(np.mean(sent)) if sent else float("nan")
        return total


@dataclass
class Cluster:
    """One search by simulated workers.

    Attributes:
        finished: Rows of the table in the sequence in which their training ended.
        clock: Virtual time now, in units of cost.
        repeats: Asks that suggested an architecture again.
        ask_s: Seconds of every ask.
    """

    table: Table
    observed: FloatArray
    study: optuna.Study
    suggest: Callable[[Trial], int]
    sql: Statements
    finished: list[int] = field(default_factory=list)
    clock: float = 0.0
    repeats: int = 0
    ask_s: list[float] = field(default_factory=list)
    _ends: list[tuple[float, int]] = field(default_factory=list)  # heap of (end, row)
    _trials: dict[int, list[Trial]] = field(default_factory=dict)  # row -> to be told at its end

    def run(self, workers: int, budget: int) -> None:
        """Keep the workers busy until ``budget`` trainings are finished."""
        most, free = ASKS_PER_TRAINING * (budget + workers), workers
        while len(self.finished) < budget:
            while free and self._start(most):
                free -= 1
            if not self._ends:
                return
            self.clock, row = heapq.heappop(self._ends)
            for trial in self._trials.pop(row):
                self._tell(trial, row)
            self.finished.append(row)
            free += 1

    def _start(self, most: int) -> bool:
        """Let a free worker ask until it has something new; whether it has and trains."""
        while len(self.ask_s) < most:
            before = perf_counter()
            with self.sql.of(self.sql.asks, len(self.finished)):
                trial = self.study.ask()
                try:
                    row = self.suggest(trial)
                except SpaceExhaustedError:
                    self.study.tell(trial, state=TrialState.PRUNED)
                    return False
            self.ask_s.append(perf_counter() - before)
            if row not in self._trials and row not in self.finished:
                self._trials[row] = [trial]
                heapq.heappush(self._ends, (self.clock + float(self.table.costs[row]), row))
                return True
            self.repeats += 1
            if row in self._trials:
                self._trials[row].append(trial)
            else:
                self._tell(trial, row)
        return False

    def _tell(self, trial: Trial, row: int) -> None:
        with self.sql.of(self.sql.tells, len(self.finished)):
            self.study.tell(trial, [float(self.observed[row]), float(self.table.costs[row])])


def search(
    table: Table, make: Maker, workers: int, budget: int, seed: int, url: str | None
) -> Cluster:
    """Simulate one search, in a SQLite file of its own or in a database."""
    sampler, suggest = make(table, seed)
    with TemporaryDirectory() as folder:
        storage = RDBStorage(url or f"sqlite:///{folder}/study.db")
        sql = Statements()
        event.listen(storage.engine, "before_cursor_execute", sql.count)
        study = optuna.create_study(
            storage=storage, directions=["maximize", "minimize"], sampler=sampler
        )
        cluster = Cluster(table, table.observed(seed), study, suggest, sql)
        cluster.run(workers, budget)
        optuna.delete_study(study_name=study.study_name, storage=storage)
        storage.engine.dispose()
    return cluster
