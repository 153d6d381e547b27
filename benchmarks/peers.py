"""Searches of a table through a real Optuna study, one function a sampler.

Each gets the table, what may be observed, the budget and a seed, and returns the rows it trained.
A grid is suggested level by level, as integers; a pool can only be searched by this project.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from benchmarks.tables import FloatArray, Table
from optuna_pop import OrderedSpace, PoolSpace, POPSampler, Space

ASKS_PER_TRAINING = 6  # a peer may repeat itself; asking stops after so many asks a training


@dataclass(frozen=True)
class Search:
    """What one search did: rows in the sequence of training, and seconds of every ask."""

    trained: list[int]
    ask_s: list[float]


Sampler = Callable[[Table, FloatArray, int, int], Search]


def pop(table: Table, observed: FloatArray, budget: int, seed: int) -> Search:
    """``POPSampler`` as it comes."""
    return _by_pop(table, observed, budget, lambda s, c: POPSampler(s, cost=c, seed=seed))


def pop_unpruned(table: Table, observed: FloatArray, budget: int, seed: int) -> Search:
    """``POPSampler`` with a tolerance so large that nothing is pruned or bounded."""
    return _by_pop(
        table, observed, budget, lambda s, c: POPSampler(s, cost=c, tolerance=1e9, seed=seed)
    )


def uniform(table: Table, observed: FloatArray, budget: int, seed: int) -> Search:
    """Algorithm 1 of the paper."""
    return _by_pop(
        table,
        observed,
        budget,
        lambda s, c: POPSampler(s, cost=c, tolerance=0.0, selection="uniform", seed=seed),
    )


def random(table: Table, observed: FloatArray, budget: int, seed: int) -> Search:
    """Optuna's RandomSampler; on a pool, uniform sampling without repeats."""
    if not table.grid:
        order = np.random.default_rng(seed).permutation(len(table.costs))
        return Search(order[:budget].tolist(), [])
    return _by_peer(table, observed, RandomSampler(seed=seed), budget)


def tpe(table: Table, observed: FloatArray, budget: int, seed: int) -> Search:
    """Optuna's multivariate TPESampler."""
    return _by_peer(table, observed, TPESampler(multivariate=True, seed=seed), budget)


def nsga2(table: Table, observed: FloatArray, budget: int, seed: int) -> Search:
    """Optuna's NSGAIISampler, population 20."""
    return _by_peer(table, observed, NSGAIISampler(population_size=20, seed=seed), budget)


def gp(table: Table, observed: FloatArray, budget: int, seed: int) -> Search:
    """Optuna's GPSampler."""
    return _by_peer(table, observed, GPSampler(seed=seed), budget)


def botorch(table: Table, observed: FloatArray, budget: int, seed: int) -> Search:
    """BoTorch's qLogNEHVI over every candidate, cost modelled too; see ``peer_botorch``."""
    from benchmarks.peer_botorch import search

    return Search(*search(table, observed, budget, seed))


SAMPLERS: dict[str, Sampler] = {
    "pop": pop,
    "pop-unpruned": pop_unpruned,
    "uniform": uniform,
    "random": random,
    "tpe": tpe,
    "nsga2": nsga2,
    "gp": gp,
    "botorch": botorch,
}
ON_POOLS = ("pop", "pop-unpruned", "uniform", "random")


def _by_pop(
    table: Table,
    observed: FloatArray,
    budget: int,
    make: Callable[[Space[object], FloatArray], POPSampler[object]],
) -> Search:
    space, place = space_of(table)
    costs = np.empty(len(space))
    costs[place] = table.costs  # place: row of the table -> row of the space
    back = np.argsort(place)
    sampler = make(space, costs)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    trained: list[int] = []
    ask_s: list[float] = []
    while len(trained) < budget and not sampler.is_exhausted(study):
        start = perf_counter()
        trial = study.ask()
        architecture = space.suggest(trial)
        ask_s.append(perf_counter() - start)
        row = int(back[space.row(architecture)])
        study.tell(trial, [float(observed[row]), float(table.costs[row])])
        trained.append(row)
    return Search(trained, ask_s)


def space_of(table: Table) -> tuple[Space[object], np.ndarray]:
    """The table's space, and for each row of the table its row in the space."""
    if not table.grid:
        pool = PoolSpace(table.vectors - table.vectors.min(axis=0), dimensions=table.levels)
        return pool, np.arange(len(table.costs))  # type: ignore[return-value]
    low, high = table.vectors.min(axis=0).tolist(), table.vectors.max(axis=0).tolist()
    names = zip(table.levels, low, high, strict=True)
    space = OrderedSpace({name: range(lo, hi + 1) for name, lo, hi in names})
    levels = (table.vectors - np.array(low)).tolist()
    rows = [space.row(space.architecture(tuple(vector))) for vector in levels]
    return space, np.array(rows)  # type: ignore[return-value]


def _by_peer(table: Table, observed: FloatArray, sampler: BaseSampler, budget: int) -> Search:
    """Repeats are told again and cost nothing."""
    if not table.grid:
        raise ValueError(f"{table.name} is a pool: its levels cannot be suggested one by one")
    row_of = {tuple(vector): row for row, vector in enumerate(table.vectors.tolist())}
    low, high = table.vectors.min(axis=0).tolist(), table.vectors.max(axis=0).tolist()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trained: dict[int, None] = {}
    ask_s: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental samplers
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        for _ in range(ASKS_PER_TRAINING * budget):
            start = perf_counter()
            trial = study.ask()
            names = zip(table.levels, low, high, strict=True)
            vector = tuple(trial.suggest_int(name, lo, hi) for name, lo, hi in names)
            ask_s.append(perf_counter() - start)
            row = row_of[vector]
            study.tell(trial, [float(observed[row]), float(table.costs[row])])
            trained.setdefault(row)
            if len(trained) == budget:
                break
    return Search(list(trained), ask_s)
