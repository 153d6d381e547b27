"""Ŝ, the architectures within the range of cost: all of them in memory, or drawn one by one.

Notation beyond ``optuna_pop.order``:
    m        architectures of one request
    row      number of an architecture in its space, the same in every process
    place    where an architecture stands from cheapest (0) to dearest (1): its (log-)cost on the
             first device; where costs are known only after training, its sum of log-levels
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.index import VectorIndex
from optuna_pop.order.relation import BoolArray, Rows, Vectors

Finder = Callable[[Vectors], Rows]
"""Rows of vectors (m, d), shape (m,), -1 where there is none."""


@dataclass(frozen=True)
class Batch:
    """Some architectures.

    Attributes:
        rows: Shape (m,).
        vectors: Shape (m, d).
        costs: Shape (m, k); k = 0 where costs are known only after training.
    """

    rows: Rows
    vectors: Vectors
    costs: FloatArray

    def of(self, where: BoolArray | Rows) -> Batch:
        """Those at some places, or where a mask of shape (m,) holds."""
        return Batch(self.rows[where], self.vectors[where], self.costs[where])


@dataclass(frozen=True)
class Ranges:
    """How far vectors and costs of Ŝ reach.

    Attributes:
        lowest: Of each component, shape (d,).
        highest: Shape (d,).
        cheapest: Of each cost, shape (k,); k = 0 where costs are known only after training.
        dearest: Shape (k,).
    """

    lowest: FloatArray
    highest: FloatArray
    cheapest: FloatArray
    dearest: FloatArray


class Region(Protocol):
    """What a search asks of Ŝ. All rows returned lie in Ŝ."""

    @property
    def size(self) -> int:
        """|Ŝ|, estimated where Ŝ is not enumerated."""

    @property
    def ranges(self) -> Ranges:
        """How far it reaches."""

    @property
    def extremes(self) -> Rows:
        """The cheapest and the dearest, shape (2,)."""

    def take(self, rows: Rows) -> Batch:
        """Vectors and costs of rows."""

    def inside(self, rows: Rows) -> BoolArray:
        """Which rows of the space lie in Ŝ, shape (m,)."""

    def places(self, rows: Rows) -> FloatArray:
        """Places of rows, shape (m,)."""

    def draw(self, size: int, rng: np.random.Generator) -> Rows:
        """Draw rows uniformly and independently, so possibly some twice."""

    def spread(self, size: int, rng: np.random.Generator) -> Rows:
        """About ``size`` rows without repeats: half even over place, half uniform; all if few."""

    def between(self, low: float, high: float, size: int, rng: np.random.Generator) -> Rows:
        """At most ``size`` random rows with low ≤ place ≤ high, maybe none."""

    def near(self, rows: Rows, size: int, rng: np.random.Generator) -> Rows:
        """At most ``size`` rows whose vector differs from one of ``rows`` by a small step."""


class EnumeratedRegion:
    """Ŝ in memory.

    Args:
        vectors: Of the whole space, shape (n, d), best in Fortran order.
        costs: Of the whole space, shape (n, k); k = 0 where they are known only after training.
        rows: Those within the range of cost, ascending; all by default.
        find: Rows of vectors; an index is built by default.

    Attributes:
        rows: Of Ŝ, ascending, shape (|Ŝ|,).
        vectors: Of Ŝ, shape (|Ŝ|, d).
        costs: Of Ŝ, shape (|Ŝ|, k).
    """

    def __init__(
        self,
        vectors: Vectors,
        costs: FloatArray,
        rows: Rows | None = None,
        find: Finder | None = None,
    ) -> None:
        self._all = rows is None or len(rows) == len(vectors)
        self.rows: Rows = np.arange(len(vectors)) if rows is None else rows
        self.vectors = vectors if self._all else np.asfortranarray(vectors[self.rows])
        self.costs = costs if self._all else costs[self.rows]
        self._find = find or VectorIndex(vectors).rows_of

    @property
    def size(self) -> int:
        """|Ŝ|."""
        return len(self.rows)

    @cached_property
    def ranges(self) -> Ranges:
        """How far it reaches."""
        low, high = self.vectors.min(axis=0), self.vectors.max(axis=0)
        return Ranges(
            low.astype(np.float64),
            high.astype(np.float64),
            self.costs.min(axis=0),
            self.costs.max(axis=0),
        )

    def positions(self, rows: Rows) -> Rows:
        """Where rows of Ŝ stand in ``self.rows``."""
        return rows if self._all else np.searchsorted(self.rows, rows)

    def take(self, rows: Rows) -> Batch:
        """Vectors and costs of rows."""
        at = self.positions(rows)
        return Batch(rows, self.vectors[at], self.costs[at])

    def inside(self, rows: Rows) -> BoolArray:
        """Which rows of the space lie in Ŝ."""
        at = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        return np.asarray(self.rows[at] == rows)

    @cached_property
    def _place(self) -> FloatArray:
        """Places of all, shape (|Ŝ|,); single precision is plenty and Ŝ may be large."""
        n, k = self.costs.shape
        if k == 0:
            place = np.zeros(n)
            for column in self.vectors.T:  # one at a time: Ŝ may be large
                place += np.log1p(column - float(column.min()))
        else:
            place = place_of(self.costs, self.ranges)
        low, span = place.min(), np.ptp(place)
        return np.asarray(((place - low) / (span if span > 0 else 1.0)).astype(np.float32))

    @cached_property
    def _by_place(self) -> Rows:
        """Positions from cheapest to dearest."""
        return np.argsort(self._place, kind="stable").astype(np.int32)

    @cached_property
    def extremes(self) -> Rows:
        """The cheapest and the dearest; with several costs, by the sum of their places."""
        if self.costs.shape[1] < 2:
            return self.rows[self._by_place[[0, -1]]]
        total = np.zeros(self.size)
        for i in range(self.costs.shape[1]):
            total += place_of(self.costs[:, i:], self.ranges, i)
        return self.rows[[int(total.argmin()), int(total.argmax())]]

    def places(self, rows: Rows) -> FloatArray:
        """Places of rows."""
        return self._place[self.positions(rows)].astype(np.float64)

    def draw(self, size: int, rng: np.random.Generator) -> Rows:
        """Draw rows uniformly and independently."""
        return self.rows[rng.integers(self.size, size=size)]

    def spread(self, size: int, rng: np.random.Generator) -> Rows:
        """About ``size`` rows: half even over place, half even over its ranks; all if few."""
        n = self.size
        if n <= size:
            return self.rows
        half = size // 2
        by_rank = ((np.arange(half) + rng.random(half)) / half * n).astype(np.intp)
        levels = ((np.arange(half) + rng.random(half)) / half).astype(np.float32)
        by_place = np.searchsorted(self._sorted_place, levels)
        # Of rows of nearly equal cost any may be taken: move at random within the vicinity.
        by_place = by_place + rng.integers(-n // (2 * half), n // (2 * half) + 1, size=half)
        chosen = self._by_place[np.concatenate([by_rank, by_place]).clip(0, n - 1)]
        return np.asarray(self.rows[np.unique(chosen)])

    @cached_property
    def _sorted_place(self) -> FloatArray:
        return self._place[self._by_place]

    def between(self, low: float, high: float, size: int, rng: np.random.Generator) -> Rows:
        """At most ``size`` random rows with low ≤ place ≤ high, maybe none."""
        first, last = np.searchsorted(self._sorted_place, [low, high + 1e-7])
        if last <= first:
            return np.empty(0, dtype=np.intp)
        return self.rows[self._by_place[rng.integers(first, last, size=size)]]

    def near(self, rows: Rows, size: int, rng: np.random.Generator) -> Rows:
        """At most ``size`` rows whose vector differs from one of ``rows`` by a small step."""
        moved = small_steps(self.vectors[self.positions(rows)], 4 * size, rng)
        found = self._find(moved)
        found = np.unique(found[found >= 0])
        found = found[self.inside(found)]
        return found if len(found) <= size else rng.choice(found, size, replace=False)


def place_of(costs: FloatArray, ranges: Ranges, column: int = 0) -> FloatArray:
    """(Log-)cost from cheapest (0) to dearest (1).

    Args:
        costs: Shape (m, k); the first column is read.
        ranges: Of Ŝ.
        column: Which cost of ``ranges`` it is.
    """
    low, high = float(ranges.cheapest[column]), float(ranges.dearest[column])
    value = costs[:, 0]
    if low > 0:
        low, high, value = np.log(low), np.log(high), np.log(value)
    return np.asarray((value - low) / (high - low if high > low else 1.0))


def small_steps(vectors: Vectors, most: int, rng: np.random.Generator) -> Vectors:
    """Vectors a small step from some, of shape (at most ``most``, d); not all need exist.

    Steps are ±1 on a run of adjacent components (a block more or less changes several counts of a
    backbone at once), and +1 on one component with -1 on another.
    """
    d = vectors.shape[1]
    first, last = np.triu_indices(d)
    at = np.arange(d)
    runs = ((at >= first[:, None]) & (at <= last[:, None])).astype(np.int64)
    one = np.eye(d, dtype=np.int64)
    swaps = (one[:, None] - one).reshape(-1, d)
    steps = np.concatenate([runs, -runs, swaps[swaps.any(axis=1)]])  # (steps, d)
    total = len(vectors) * len(steps)
    pick = np.arange(total) if total <= most else rng.choice(total, most, replace=False)
    return np.asarray(vectors[pick // len(steps)].astype(np.int64) + steps[pick % len(steps)])
