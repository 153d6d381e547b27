"""The pruned set P of Algorithm 1 (POP paper, Eq. 3 to 5), for all of Ŝ or for a few of it.

The paper adds, for every trained w, ΔP_w = { m ∈ Ŝ : m ≺ w, Lat(m) ≥ Lat(y_w) }, where y_w is the
fastest y ∈ D with Acc(y) ≥ Acc(w). Equivalently, with

    hi(m) = min { Acc(w) : w ∈ D, m ≺ w }     what the order lets m reach at most
    lo(m) = max { Acc(w) : w ∈ D, w ≺ m }     what it lets m reach at least
    f(t)  = max { Acc(y) : y ∈ D, Lat(y) ≤ t }  the boundary

m is pruned exactly when hi(m) ≤ f(Lat(m)). Both sides only ever tighten, so P only grows and does
not depend on the sequence of the trainings.

What the paper leaves open, decided here: with a tolerance τ the order may be contradicted by τ,
so m may reach hi(m) + τ and is pruned when hi(m) + τ ≤ f(Lat(m)). Ties in Acc prune, as Eq. 3's
"≥" says. A trained network may itself be in P, as in the paper. Several costs count as faster
only together: f(t) takes those y that are within t on every one.

Where costs are known only after training, the order bounds them too, because shallower and
narrower is faster: Lat(m) ≥ max { Lat(w) : w ∈ D, w ≺ m }, and that floor takes Lat(m)'s place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_pop.order.boundary import FloatArray, highest_within
from optuna_pop.order.relation import BoolArray, Rows, Vectors, precedents, successors


@dataclass(frozen=True)
class Bounds:
    """What the order says of m architectures.

    Attributes:
        hi: Shape (m,); +inf where no trained network succeeds.
        lo: Shape (m,); -inf where no trained network precedes.
        reach: f at the cost, or at its floor, shape (m,); -inf where nothing trained is as fast.
        floor: Cost, or what the order says it is at least, shape (m, k).
    """

    hi: FloatArray
    lo: FloatArray
    reach: FloatArray
    floor: FloatArray

    def pruned(self, tolerance: float) -> BoolArray:
        """Which are in P, shape (m,)."""
        return np.asarray(self.hi + tolerance <= self.reach)

    def settled(self) -> BoolArray:
        """Which cannot lift the boundary by more than the tolerance, whatever it is."""
        return self.pruned(0.0)


class TrainedSet:
    """D: trained vectors, costs and accuracies, in the sequence they came.

    Args:
        d: Components of a vector.
        k: Cost columns.
    """

    def __init__(self, d: int, k: int) -> None:
        self._vectors: Vectors = np.empty((16, d), dtype=np.int16)
        self._costs: FloatArray = np.empty((16, k))
        self._accuracy: FloatArray = np.empty(16)
        self._n = 0
        self._floors: TrainedSet | None = None

    def __len__(self) -> int:
        return self._n

    @property
    def vectors(self) -> Vectors:
        """Shape (b, d)."""
        return self._vectors[: self._n]

    @property
    def costs(self) -> FloatArray:
        """Shape (b, k)."""
        return self._costs[: self._n]

    @property
    def accuracy(self) -> FloatArray:
        """Shape (b,)."""
        return self._accuracy[: self._n]

    def add(self, vector: Vectors, cost: FloatArray | float, accuracy: float) -> None:
        """Append one; shapes (d,) and (k,)."""
        if not np.isfinite(accuracy):
            raise ValueError(f"accuracy must be finite but got {accuracy}")
        if self._n == len(self._accuracy):
            double = (np.concatenate([a, a]) for a in (self._vectors, self._costs, self._accuracy))
            self._vectors, self._costs, self._accuracy = double
        self._vectors[self._n], self._costs[self._n] = vector, cost
        self._accuracy[self._n] = accuracy
        self._n += 1

    def add_floor(self, vector: Vectors, accuracy: float) -> None:
        """Append a lower bound of an accuracy that is not known itself."""
        if self._floors is None:
            self._floors = TrainedSet(self._vectors.shape[1], 0)
        self._floors.add(vector, np.empty(0), accuracy)

    def bounds(self, vectors: Vectors, costs: FloatArray | None) -> Bounds:
        """Bounds of a few architectures, from all that is trained; memory grows with m · b.

        Args:
            vectors: Shape (m, d).
            costs: Shape (m, k); None where they are known only after training.
        """
        # One type, contiguous by column: NumPy then compares many at a time.
        columns = (np.ascontiguousarray(v.T, dtype=np.int16) for v in (vectors, self.vectors))
        at_most = np.ones((len(vectors), self._n), dtype=np.bool_)  # (m, b): m ≤ w
        at_least = at_most.copy()
        for ours, theirs in zip(*columns, strict=True):
            at_most &= ours[:, None] <= theirs
            at_least &= ours[:, None] >= theirs
        same = at_most & at_least
        below, above = at_most & ~same, at_least & ~same
        hi = np.where(below, self.accuracy, np.inf).min(axis=1, initial=np.inf)
        lo = np.where(above, self.accuracy, -np.inf).max(axis=1, initial=-np.inf)
        if costs is None:
            costs = np.stack(
                [
                    np.where(above, column, -np.inf).max(axis=1, initial=-np.inf)
                    for column in self.costs.T
                ],
                axis=1,
            )
        if self._floors is not None:
            lo = np.maximum(lo, self._floors.bounds(vectors, np.empty((len(vectors), 0))).lo)
        return Bounds(hi, lo, highest_within(costs, self.costs, self.accuracy), costs)


class PrunedSet:
    """P over a fixed Ŝ, kept up to date training by training.

    Args:
        vectors: Order vectors of Ŝ, shape (n, d).
        costs: Costs of Ŝ, shape (n,) or (n, k); an int k where they are known only after training.
        tolerance: τ ≥ 0, in units of accuracy.

    Attributes:
        floor: Costs, or what the order says they are at least, shape (n, k).
        hi: See ``Bounds``, shape (n,).
        lo: Shape (n,).
        reach: Shape (n,).
    """

    def __init__(self, vectors: Vectors, costs: FloatArray | int, tolerance: float = 0.0) -> None:
        if not tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0 but got {tolerance}")
        n = len(vectors)
        self._vectors = np.asfortranarray(vectors)  # columns are what every comparison walks
        self._known = not isinstance(costs, int)
        self.floor: FloatArray = (
            np.full((n, costs), -np.inf, order="F")
            if isinstance(costs, int)
            else np.asfortranarray(costs.reshape(n, -1))
        )
        self.tolerance = tolerance
        self.hi: FloatArray = np.full(n, np.inf)
        self.lo: FloatArray = np.full(n, -np.inf)
        self.reach: FloatArray = np.full(n, -np.inf)
        self._trained = TrainedSet(vectors.shape[1], self.floor.shape[1])

    def add(self, vector: Vectors, cost: FloatArray | float, accuracy: float) -> None:
        """Take a training into account; it need not lie in Ŝ.

        Args:
            vector: Shape (d,).
            cost: A number, or shape (k,).
            accuracy: Finite.
        """
        self._trained.add(vector, cost, accuracy)
        below = precedents(self._vectors, vector)
        above = successors(self._vectors, vector)
        self.hi[below] = np.minimum(self.hi[below], accuracy)
        self.lo[above] = np.maximum(self.lo[above], accuracy)
        if not self._known:
            self._raise_floor(above, np.atleast_1d(np.asarray(cost, dtype=np.float64)))
        no_faster = (self.floor >= np.atleast_1d(cost)).all(axis=1)
        self.reach[no_faster] = np.maximum(self.reach[no_faster], accuracy)

    def add_floor(self, vector: Vectors, accuracy: float) -> None:
        """Take a lower bound of an accuracy into account: shape (d,), finite."""
        above = successors(self._vectors, vector)
        self.lo[above] = np.maximum(self.lo[above], accuracy)

    def _raise_floor(self, above: BoolArray, cost: FloatArray) -> None:
        rises = np.flatnonzero(above & (self.floor < cost).any(axis=1))
        self.floor[rises] = np.maximum(self.floor[rises], cost)
        now = highest_within(self.floor[rises], self._trained.costs, self._trained.accuracy)
        self.reach[rises] = np.maximum(self.reach[rises], now)

    def at(self, positions: Rows) -> Bounds:
        """Bounds of some of Ŝ."""
        at = positions
        return Bounds(self.hi[at], self.lo[at], self.reach[at], self.floor[at])

    @property
    def mask(self) -> BoolArray:
        """Which of Ŝ are in P, shape (n,)."""
        return np.asarray(self.hi + self.tolerance <= self.reach)
