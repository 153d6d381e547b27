"""The search on arrays, with no study around it (POP paper, section 3.4).

The study adapter in ``optuna_pop.sampler`` and the benchmarks use the same object: ``add`` what was
trained, then ``choose`` what to train next.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.pruning import PrunedSet
from optuna_pop.order.relation import BoolArray, Vectors
from optuna_pop.order.tolerance import OrderEvidence, order_evidence

Rows = NDArray[np.intp]


class Chooser(Protocol):
    """Chooses what to train next, on positions in Ŝ."""

    def __call__(
        self, search: PartialOrderSearch, held: Rows, rng: np.random.Generator
    ) -> int | None:
        """Return a position that is neither in P nor held; None where there is none.

        Args:
            search: What is known.
            held: Positions that must not be chosen, ascending.
            rng: Of random choices.
        """


class PartialOrderSearch:
    """Algorithm 1: what is trained, what is pruned, what is left.

    Args:
        vectors: Order vectors of the whole space, shape (n, d).
        costs: Their costs, shape (n,) or (n, k).
        rows: Rows that make up Ŝ, ascending.
        tolerance: τ of ``PrunedSet``; None estimates it from contradictions among the trained.

    Attributes:
        vectors: Of Ŝ, shape (|Ŝ|, d).
        costs: Of Ŝ, shape (|Ŝ|, k).
        pruned: P and the bounds of the order, over Ŝ.
        trained: Positions in Ŝ of the trained, in the sequence of their results.
        accuracy: Theirs.
        estimates: Whether τ is estimated.
    """

    def __init__(
        self, vectors: Vectors, costs: FloatArray, rows: Rows, tolerance: float | None
    ) -> None:
        self.rows = rows
        self.vectors = vectors[rows]
        self.costs = costs.reshape(len(vectors), -1)[rows]
        self.pruned = PrunedSet(
            self.vectors, self.costs, np.inf if tolerance is None else tolerance
        )
        self.trained: list[int] = []
        self.accuracy: list[float] = []
        self.estimates = tolerance is None
        self._seen_vectors: list[Vectors] = []
        self._seen_accuracy: list[float] = []
        self._evidence: OrderEvidence | None = None

    def add(self, row: int, vector: Vectors, cost: FloatArray | float, accuracy: float) -> None:
        """Take a training into account; the architecture need not lie in Ŝ."""
        self.pruned.add(vector, cost, accuracy)
        self._seen_vectors.append(vector)
        self._seen_accuracy.append(accuracy)
        self._evidence = None
        at = int(np.searchsorted(self.rows, row))
        if at < len(self.rows) and self.rows[at] == row:
            self.trained.append(at)
            self.accuracy.append(accuracy)

    @property
    def evidence(self) -> OrderEvidence:
        """What the trained say of the order."""
        if self._evidence is None:
            vectors = np.array(self._seen_vectors, dtype=np.int16)
            vectors = vectors.reshape(-1, self.vectors.shape[1])
            self._evidence = order_evidence(vectors, np.array(self._seen_accuracy))
        return self._evidence

    def settle_tolerance(self) -> None:
        """Bring an estimated tolerance up to date with the trained."""
        if self.estimates:
            self.pruned.tolerance = self.evidence.tolerance

    @property
    def mask(self) -> BoolArray:
        """Which of Ŝ are in P, shape (|Ŝ|,)."""
        self.settle_tolerance()
        return self.pruned.mask

    def left(self, held: Rows) -> Rows:
        """Positions in Ŝ that are neither in P nor held."""
        left = ~self.mask
        left[held] = False
        return np.flatnonzero(left)

    def positions(self, rows: Collection[int]) -> Rows:
        """Positions in Ŝ of those rows of the space that lie in it, ascending."""
        wanted = np.unique(np.fromiter(rows, dtype=np.intp))
        at = np.searchsorted(self.rows, wanted).clip(max=len(self.rows) - 1)
        found: Rows = at[self.rows[at] == wanted]
        return found

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
        at = chooser(self, self.positions(taken), rng)
        return None if at is None else int(self.rows[at])

    def exhausted(self, taken: Collection[int]) -> bool:
        """Whether nothing is left."""
        return not len(self.left(self.positions(taken)))


def uniform(search: PartialOrderSearch, held: Rows, rng: np.random.Generator) -> int | None:
    """Choose uniformly, as the paper does."""
    left = search.left(held)
    return int(rng.choice(left)) if len(left) else None
