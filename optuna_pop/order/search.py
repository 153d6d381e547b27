"""The search on arrays, with no study around it (POP paper, section 3.4).

The study adapter in ``optuna_pop.sampler`` and the benchmarks use the same object: ``add`` what was
trained, then ``choose`` what to train next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

import numpy as np

from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.pruning import Bounds, PrunedSet, TrainedSet
from optuna_pop.order.region import EnumeratedRegion, Region
from optuna_pop.order.relation import Rows, Vectors
from optuna_pop.order.tolerance import OrderEvidence, order_evidence

KEPT = 500_000  # P is kept for all of Ŝ up to this size, else worked out for those asked about
_FEW, _CHUNK = 512, 4096  # drawn first, as nearly always something of it is left; and then
_DRAWS = 64  # chunks drawn before a Ŝ that cannot be enumerated counts as exhausted


class Chooser(Protocol):
    """Chooses what to train next."""

    def __call__(
        self, search: PartialOrderSearch, held: Rows, rng: np.random.Generator
    ) -> int | None:
        """Return a row of Ŝ that is neither in P nor held; None where there is none.

        Args:
            search: What is known.
            held: Rows of Ŝ that must not be chosen, ascending.
            rng: Of random choices.
        """


class PartialOrderSearch:
    """Algorithm 1: what is trained, what is pruned, what is left.

    Args:
        region: Ŝ.
        tolerance: τ of ``PrunedSet``; None estimates it from contradictions among the trained.
        costs: k, needed only where costs are known only after training.

    Attributes:
        region: Ŝ.
        known: Whether costs are known before training.
        tolerance: τ; +inf while too little is trained to estimate it.
        estimates: Whether τ is estimated.
        seen: All trained architectures, also those outside Ŝ.
        rows: Rows of the trained in Ŝ, in the sequence of their results.
    """

    def __init__(self, region: Region, tolerance: float | None, costs: int | None = None) -> None:
        if tolerance is not None and not tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0 but got {tolerance}")
        self.region = region
        self.known = costs is None
        self.estimates = tolerance is None
        self.tolerance = np.inf if tolerance is None else tolerance
        k = len(region.ranges.cheapest) if costs is None else costs
        self.seen = TrainedSet(len(region.ranges.lowest), k)
        self.rows: list[int] = []
        self._in_region: list[int] = []  # which of ``seen`` they are
        self._evidence: OrderEvidence | None = None
        self._kept: PrunedSet | None = None
        if isinstance(region, EnumeratedRegion) and region.size <= KEPT:
            self._kept = PrunedSet(region.vectors, region.costs if costs is None else costs)

    def add(
        self, row: int | None, vector: Vectors, cost: FloatArray | float, accuracy: float
    ) -> None:
        """Take a training into account; the architecture need not lie in Ŝ.

        Args:
            row: Of the space; None for an architecture outside it.
            vector: Shape (d,).
            cost: A number, or shape (k,).
            accuracy: Finite.
        """
        self.seen.add(vector, cost, accuracy)
        if self._kept is not None:
            self._kept.add(vector, cost, accuracy)
        self._evidence = None
        if row is not None and self.region.inside(np.array([row]))[0]:
            self.rows.append(row)
            self._in_region.append(len(self.seen) - 1)

    def add_floor(self, vector: Vectors, accuracy: float) -> None:
        """Take a training that was stopped into account: it had reached an accuracy already.

        Its final accuracy would be at least that, which bounds those that succeed it from below
        and says nothing else.
        """
        self.seen.add_floor(vector, accuracy)
        if self._kept is not None:
            self._kept.add_floor(vector, accuracy)

    @property
    def costs(self) -> FloatArray:
        """Costs of the trained in Ŝ, shape (b, k)."""
        return self.seen.costs[self._in_region]

    @property
    def accuracy(self) -> FloatArray:
        """Accuracies of the trained in Ŝ, shape (b,)."""
        return self.seen.accuracy[self._in_region]

    @property
    def evidence(self) -> OrderEvidence:
        """What the trained say of the order."""
        if self._evidence is None:
            self._evidence = order_evidence(self.seen.vectors, self.seen.accuracy)
        return self._evidence

    def settle_tolerance(self) -> None:
        """Bring an estimated tolerance up to date with the trained."""
        if self.estimates:
            self.tolerance = self.evidence.tolerance

    def bounds(self, rows: Rows) -> Bounds:
        """What the order says of rows of Ŝ."""
        if self._kept is not None and isinstance(self.region, EnumeratedRegion):
            return self._kept.at(self.region.positions(rows))
        batch = self.region.take(rows)
        return self.seen.bounds(batch.vectors, batch.costs if self.known else None)

    def pruned(self) -> Rows:
        """Rows of P, ascending.

        Raises:
            ValueError: if Ŝ cannot be enumerated.
        """
        if not isinstance(self.region, EnumeratedRegion):
            raise ValueError("Ŝ is too large to list what is pruned of it")
        self.settle_tolerance()
        parts = [part[self.bounds(part).pruned(self.tolerance)] for part in self._parts()]
        return np.concatenate(parts)

    def left(self, rows: Rows, held: Rows) -> Rows:
        """Those of some rows of Ŝ that are neither in P nor held."""
        self.settle_tolerance()
        return rows[~self.bounds(rows).pruned(self.tolerance) & ~np.isin(rows, held)]

    def held(self, rows: Collection[int]) -> Rows:
        """Those of some rows of the space that lie in Ŝ, ascending."""
        found = np.unique(np.fromiter(rows, dtype=np.intp))
        return found[self.region.inside(found)]

    def walk(self, rng: np.random.Generator) -> Iterator[Rows]:
        """Rows of Ŝ, part by part: first drawn, then all of them where they can be enumerated.

        Of a Ŝ small enough it is one part, all of it.
        """
        if self._kept is None:
            for size in (_FEW, *(_DRAWS * [_CHUNK])):
                yield np.unique(self.region.draw(size, rng))
        yield from self._parts()

    def _parts(self) -> Iterator[Rows]:
        if isinstance(self.region, EnumeratedRegion):
            size = KEPT if self._kept is not None else _CHUNK
            for first in range(0, self.region.size, size):
                yield self.region.rows[first : first + size]

    def choose(
        self, taken: Collection[int], rng: np.random.Generator, chooser: Chooser
    ) -> int | None:
        """Choose the row of the space to train next, or None where nothing is left.

        Args:
            taken: Rows of the space that are trained, in training, waiting or given up.
            rng: Of random choices.
            chooser: The rule.
        """
        self.settle_tolerance()
        return chooser(self, self.held(taken), rng)

    def exhausted(self, taken: Collection[int]) -> bool:
        """Whether nothing is left, or nothing that many draws could find."""
        return not self.leaves(taken, 1)

    def leaves(self, taken: Collection[int], least: int) -> bool:
        """Whether at least so many are left; of a large Ŝ, in one part of it that is looked at."""
        held = self.held(taken)
        parts = self.walk(np.random.default_rng(len(held)))
        return any(len(self.left(rows, held)) >= least for rows in parts)


def uniform(search: PartialOrderSearch, held: Rows, rng: np.random.Generator) -> int | None:
    """Choose uniformly, as the paper does."""
    for rows in search.walk(rng):
        left = search.left(rows, held)
        if len(left):
            return int(rng.choice(left))
    return None
