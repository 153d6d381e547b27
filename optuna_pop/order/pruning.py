"""The pruned set P of Algorithm 1, kept incrementally (POP paper, Eq. 3 to 5).

The paper adds, for every trained w, ΔP_w = { m ∈ Ŝ : m ≺ w, Lat(m) ≥ Lat(y_w) }, where y_w is the
fastest y ∈ D with Acc(y) ≥ Acc(w). Equivalently, with

    hi(m) = min { Acc(w) : w ∈ D, m ≺ w }     what the order lets m reach at most
    lo(m) = max { Acc(w) : w ∈ D, w ≺ m }     what it lets m reach at least
    f(t)  = max { Acc(y) : y ∈ D, Lat(y) ≤ t }  the boundary

m is pruned exactly when hi(m) ≤ f(Lat(m)). Both sides only ever tighten, so P only grows and does
not depend on the sequence of the trainings.

What the paper leaves open, decided here: with a tolerance τ the order may be contradicted by τ,
so m may reach hi(m) + τ and is pruned when hi(m) + τ ≤ f(Lat(m)). Ties in Acc prune, as Eq. 3's
"≥" says. A trained network may itself be in P, as in the paper.
"""

from __future__ import annotations

import numpy as np

from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.relation import BoolArray, Vectors, precedents, successors


class PrunedSet:
    """P over a fixed Ŝ.

    Args:
        vectors: Order vectors of Ŝ, shape (n, d).
        costs: Costs of Ŝ, shape (n,) or (n, k).
        tolerance: τ ≥ 0, in units of accuracy.

    Attributes:
        hi: Shape (n,); +inf where no trained network succeeds m.
        lo: Shape (n,); -inf where no trained network precedes m.
        reach: f(Lat(m)), shape (n,); -inf where nothing trained is as fast.
    """

    def __init__(self, vectors: Vectors, costs: FloatArray, tolerance: float = 0.0) -> None:
        if not tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0 but got {tolerance}")
        self._vectors = np.asfortranarray(vectors)  # columns are what every comparison walks
        self._costs = np.asfortranarray(costs.reshape(len(vectors), -1))
        self.tolerance = tolerance
        self.hi: FloatArray = np.full(len(vectors), np.inf)
        self.lo: FloatArray = np.full(len(vectors), -np.inf)
        self.reach: FloatArray = np.full(len(vectors), -np.inf)

    def add(self, vector: Vectors, cost: FloatArray | float, accuracy: float) -> None:
        """Take a training into account; it need not lie in Ŝ.

        Args:
            vector: Shape (d,).
            cost: A number, or shape (k,).
            accuracy: Finite.
        """
        if not np.isfinite(accuracy):
            raise ValueError(f"accuracy must be finite but got {accuracy}")
        below = precedents(self._vectors, vector)
        above = successors(self._vectors, vector)
        self.hi[below] = np.minimum(self.hi[below], accuracy)
        self.lo[above] = np.maximum(self.lo[above], accuracy)
        no_faster = (self._costs >= np.atleast_1d(cost)).all(axis=1)
        self.reach[no_faster] = np.maximum(self.reach[no_faster], accuracy)

    @property
    def mask(self) -> BoolArray:
        """Which of Ŝ are in P, shape (n,)."""
        return np.asarray(self.hi + self.tolerance <= self.reach)
