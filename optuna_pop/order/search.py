"""Algorithm 1 on arrays, with no study around it (POP paper, section 3.4).

The study adapter in ``optuna_pop.sampler`` and the benchmarks use the same object: ``add`` what was
trained, then ``choose`` what to train next.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.pruning import PrunedSet
from optuna_pop.order.relation import Vectors


class PartialOrderSearch:
    """Chooses uniformly from Ŝ without P and without what is trained or in training.

    Args:
        vectors: Order vectors of the whole space, shape (n, d).
        costs: Their costs, shape (n,) or (n, k).
        rows: Rows that make up Ŝ.
        tolerance: τ of ``PrunedSet``.
    """

    def __init__(
        self, vectors: Vectors, costs: FloatArray, rows: NDArray[np.intp], tolerance: float
    ) -> None:
        self.rows = rows
        self.pruned = PrunedSet(vectors[rows], costs[rows], tolerance)

    def add(self, vector: Vectors, cost: FloatArray | float, accuracy: float) -> None:
        """Take a training into account; the architecture need not lie in Ŝ."""
        self.pruned.add(vector, cost, accuracy)

    def left(self, taken: Collection[int]) -> NDArray[np.intp]:
        """Rows of Ŝ that are neither in P nor taken.

        Args:
            taken: Rows of the space that are trained, in training or given up.
        """
        left = ~self.pruned.mask
        if taken:
            left[np.isin(self.rows, np.fromiter(taken, dtype=np.intp))] = False
        return self.rows[left]

    def choose(self, taken: Collection[int], rng: np.random.Generator) -> int | None:
        """Choose the row to train next, or None where nothing is left."""
        left = self.left(taken)
        return int(rng.choice(left)) if len(left) else None
