"""Ŝ of a space too large to be listed: architectures are drawn, never enumerated.

Notation as in ``optuna_pop.order.region``. Where costs add up over blocks, a space that can count
its architectures by cost (``CountedSpace``) draws exactly uniformly within any interval of the
first cost. Elsewhere rows are drawn from the whole space, and those outside are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from optuna_pop.errors import CostError
from optuna_pop.order.region import Batch, Ranges, place_of, small_steps
from optuna_pop.order.relation import BoolArray, Rows
from optuna_pop.spaces.base import FloatArray, Space
from optuna_pop.spaces.costs import CostDraws, Range, ranges_in_words

_SAMPLE = 4096  # rows from which ranges are read
_ROUNDS = 20  # of drawing, where part of what is drawn falls outside


class DrawnRegion:
    """Ŝ by drawing.

    Args:
        space: The architectures.
        costs_at: Costs of rows (m,), shape (m, k); k = 0 where known only after training.
        bounds: (T_min, T_max) of each cost.
        draws: Of the first cost, where it can be counted.

    Raises:
        CostError: if nothing is found within the bounds.
    """

    def __init__(
        self,
        space: Space[Any],
        costs_at: Callable[[Rows], FloatArray],
        bounds: Sequence[Range],
        draws: CostDraws | None = None,
    ) -> None:
        self._space = space
        self._costs_at = costs_at
        self._low = np.array([low for low, _ in bounds])  # (k,)
        self._high = np.array([high for _, high in bounds])
        self._draws = draws
        sample = self._some(_SAMPLE, np.random.default_rng(0))
        if not len(sample):
            raise CostError(
                f"no architecture of {space} was found that costs {ranges_in_words(bounds)}: "
                "widen the cost range"
            )
        self._sample = np.unique(sample)

    @cached_property
    def size(self) -> int:
        """|Ŝ|, estimated where a cost range is given."""
        if not np.isfinite([self._low, self._high]).any():
            return len(self._space)
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(self._space), size=8 * _SAMPLE)
        return max(1, round(len(self._space) * float(self.inside(drawn).mean())))

    @cached_property
    def _ends(self) -> Batch:
        """The sample and the extremes."""
        return self.take(np.union1d(self._sample, self.extremes))

    @cached_property
    def ranges(self) -> Ranges:
        """How far it reaches; but for the first counted cost that is read from a sample."""
        vectors, costs = self._ends.vectors, self._ends.costs
        return Ranges(
            vectors.min(axis=0).astype(np.float64),
            vectors.max(axis=0).astype(np.float64),
            costs.min(axis=0),
            costs.max(axis=0),
        )

    @cached_property
    def extremes(self) -> Rows:
        """The cheapest and the dearest: of all where they can be counted, else of a sample."""
        found = self._sample
        if self._draws is not None:
            ends = np.array([self._draws.cheapest, self._draws.dearest])
            found = np.union1d(found, ends[self.inside(ends)])
        place = self._levels(found) if not len(self._low) else self._costs_at(found).sum(axis=1)
        return found[[int(place.argmin()), int(place.argmax())]]

    def take(self, rows: Rows) -> Batch:
        """Vectors and costs of rows."""
        return Batch(rows, self._space.vectors_at(rows), self._costs_at(rows))

    def inside(self, rows: Rows) -> BoolArray:
        """Which rows of the space lie in Ŝ."""
        if not np.isfinite([self._low, self._high]).any():
            return np.ones(len(rows), dtype=np.bool_)
        costs = self._costs_at(rows)
        return np.asarray(((costs >= self._low) & (costs <= self._high)).all(axis=1))

    def _levels(self, rows: Rows) -> FloatArray:
        """Sum of log-levels."""
        return np.asarray(np.log1p(self._space.vectors_at(rows).astype(np.float64)).sum(axis=1))

    def places(self, rows: Rows) -> FloatArray:
        """Places of rows."""
        if len(self._low):
            return place_of(self._costs_at(rows), self.ranges)
        ends = self._levels(self.extremes)
        return np.asarray((self._levels(rows) - ends[0]) / max(float(np.ptp(ends)), 1e-12))

    def _some(self, size: int, rng: np.random.Generator) -> Rows:
        """At most ``size`` rows, uniform and independent."""
        found = np.empty(0, dtype=np.intp)
        for _ in range(_ROUNDS):
            if self._draws is None or not np.isfinite([self._low[0], self._high[0]]).any():
                drawn = rng.integers(len(self._space), size=size)
            else:
                low, high = np.full(size, self._low[0]), np.full(size, self._high[0])
                drawn = self._draws.draw_within(low, high, rng)[0]
                drawn = drawn[drawn >= 0]
            found = np.concatenate([found, drawn[self.inside(drawn)]])
            if len(found) >= size:
                break
        return found[:size]

    def draw(self, size: int, rng: np.random.Generator) -> Rows:
        """Draw rows uniformly and independently."""
        found = self._some(size, rng)
        # Very little of the space may lie inside: what was found then stands for all of it.
        return found if len(found) else self._sample

    def spread(self, size: int, rng: np.random.Generator) -> Rows:
        """About ``size`` rows: half even over place, where it is counted, half uniform."""
        half = size // 2
        if self._draws is None:
            return np.unique(self.draw(size, rng))
        edges = np.linspace(0.0, 1.0, half + 1)
        even = self._within(edges[:-1], edges[1:], rng)
        return np.unique(np.concatenate([self.draw(half, rng), even]))

    def between(self, low: float, high: float, size: int, rng: np.random.Generator) -> Rows:
        """At most ``size`` random rows with low ≤ place ≤ high, maybe none."""
        if self._draws is not None:
            return self._within(np.full(size, low), np.full(size, high), rng)
        found = self.draw(_SAMPLE, rng)
        place = self.places(found)
        return found[(place >= low) & (place <= high)][:size]

    def _within(self, low: FloatArray, high: FloatArray, rng: np.random.Generator) -> Rows:
        """Rows between places (m,), those that exist."""
        assert self._draws is not None
        drawn = self._draws.draw_within(self._cost(low), self._cost(high), rng)[0]
        drawn = drawn[drawn >= 0]
        return drawn[self.inside(drawn)]

    def _cost(self, place: FloatArray) -> FloatArray:
        """First cost at places: the inverse of ``place_of``."""
        low, high = float(self.ranges.cheapest[0]), float(self.ranges.dearest[0])
        if low > 0:
            return np.asarray(low * (high / low) ** place)
        return low + (high - low) * place

    def near(self, rows: Rows, size: int, rng: np.random.Generator) -> Rows:
        """At most ``size`` rows whose vector differs from one of ``rows`` by a small step."""
        moved = small_steps(self._space.vectors_at(rows), 4 * size, rng)
        found = self._space.rows_of(moved)
        found = np.unique(found[found >= 0])
        found = found[self.inside(found)]
        return found if len(found) <= size else rng.choice(found, size, replace=False)
