"""Candidates worth scoring: few of a huge space, spread over cost and around the boundary.

Notation:
    n, d, k   architectures of the space, components of a vector, cost columns
    stratum   architectures of neighbouring first cost, an equal share of log-cost or of the rows
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optuna_pop.order.index import VectorIndex

BoolArray: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]
Vectors: TypeAlias = NDArray[np.integer[Any]]


class CandidatePool:
    """Draws candidates from a space.

    Args:
        vectors: Shape (n, d).
        scaled_costs: (Log-)costs scaled to [0, 1], shape (n, k).
    """

    def __init__(self, vectors: Vectors, scaled_costs: NDArray[np.floating[Any]]) -> None:
        self._vectors = vectors
        self._index = VectorIndex(vectors)
        self._by_cost = np.argsort(scaled_costs[:, 0], kind="stable")
        self._cost = scaled_costs[self._by_cost, 0].astype(np.float32)  # ascending

    def spread(self, size: int, rng: np.random.Generator) -> Rows:
        """About ``size`` rows: half even over log-cost, half even over the ranks of cost."""
        n = len(self._by_cost)
        if n <= size:
            return self._by_cost
        half = size // 2
        by_rank = ((np.arange(half) + rng.random(half)) / half * n).astype(np.intp)
        levels = ((np.arange(half) + rng.random(half)) / half).astype(np.float32)
        by_cost = np.searchsorted(self._cost, levels)
        # Of rows of nearly equal cost any may be taken: move at random within the vicinity.
        by_cost = by_cost + rng.integers(-n // (2 * half), n // (2 * half) + 1, size=half)
        return np.unique(self._by_cost[np.concatenate([by_rank, by_cost]).clip(0, n - 1)])

    def in_stratum(self, low: float, high: float, size: int, rng: np.random.Generator) -> Rows:
        """At most ``size`` random rows with low ≤ scaled first cost ≤ high, maybe none."""
        first, last = np.searchsorted(self._cost, [low, high + 1e-7])
        if last <= first:
            return np.empty(0, dtype=np.intp)
        return self._by_cost[rng.integers(first, last, size=size)]

    def neighbours(self, rows: Rows, size: int, rng: np.random.Generator) -> Rows:
        """At most ``size`` rows whose vector differs from one of ``rows`` by a small step.

        Steps are ±1 on a run of adjacent components (a block more or less changes several counts
        of a backbone at once), and +1 on one component with -1 on another.
        """
        d = self._vectors.shape[1]
        first, last = np.triu_indices(d)
        at = np.arange(d)
        runs = ((at >= first[:, None]) & (at <= last[:, None])).astype(np.int64)
        one = np.eye(d, dtype=np.int64)
        swaps = (one[:, None] - one).reshape(-1, d)
        steps = np.concatenate([runs, -runs, swaps[swaps.any(axis=1)]])  # (steps, d)
        moved = (self._vectors[rows].astype(np.int64)[:, None] + steps).reshape(-1, d)
        if len(moved) > 4 * size:
            moved = moved[rng.choice(len(moved), 4 * size, replace=False)]
        found = self._index.find(moved)
        return found if len(found) <= size else rng.choice(found, size, replace=False)
