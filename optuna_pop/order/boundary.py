"""The speed/accuracy boundary (POP paper, Eq. 6; notation: ``optuna_pop.order``).

Two readings of "boundary" are kept apart:

- B(D), Eq. 6, drops x only if some w is strictly faster *and* strictly more accurate. Of networks
  with equal cost or equal accuracy it keeps all.
- the staircase f(t) = max { Acc(y) : y ∈ D, Lat(y) ≤ t } is what a network must rise above. Each
  of its steps is held by one network: of equals the fastest, then the most accurate, then the
  first trained. It is what figures and reports show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_pop.order.relation import BoolArray

FloatArray = NDArray[np.float64]


def boundary_mask(costs: FloatArray, accuracy: FloatArray) -> BoolArray:
    """B(D) = { x ∈ D : every w ∈ D has Lat(w) ≥ Lat(x) or Acc(w) ≤ Acc(x) } (Eq. 6).

    Args:
        costs: Shape (m,) or (m, k). With several costs w is faster if it is no slower on any and
            faster on one.
        accuracy: Shape (m,).

    Returns:
        Which of the m are in B(D), shape (m,).
    """
    costs = costs[:, None] if costs.ndim == 1 else costs
    no_slower = (costs[:, None] <= costs).all(axis=2)  # (w, x)
    faster = no_slower & (costs[:, None] < costs).any(axis=2)
    better = accuracy[:, None] > accuracy  # (w, x)
    return np.asarray(~(faster & better).any(axis=0))


def staircase(costs: FloatArray, accuracy: FloatArray) -> NDArray[np.intp]:
    """Networks that hold the steps of f: those no other one equals or beats on all counts.

    Args:
        costs: Shape (m,) or (m, k).
        accuracy: Shape (m,).

    Returns:
        Row numbers, in ascending (first) cost.
    """
    costs = costs[:, None] if costs.ndim == 1 else costs
    # Fastest first, then most accurate, then first trained: a later row never displaces one.
    sequence = np.lexsort((np.arange(len(accuracy)), -accuracy, *costs.T[::-1]))
    if costs.shape[1] == 1:  # a step is what rises above all that is faster
        before = np.maximum.accumulate(np.append(-np.inf, accuracy[sequence]))[:-1]
        return np.asarray(sequence[accuracy[sequence] > before])
    held: list[int] = []
    for row in sequence.tolist():
        beaten = (costs[held] <= costs[row]).all(axis=1) & (accuracy[held] >= accuracy[row])
        if not beaten.any():
            held.append(row)
    return np.array(held, dtype=np.intp)


def highest_within(limits: FloatArray, costs: FloatArray, accuracy: FloatArray) -> FloatArray:
    """Evaluate f at several limits: best accuracy of the trained within a limit on every cost.

    Args:
        limits: Shape (m, k).
        costs: Of the trained, shape (b, k).
        accuracy: Of the trained, shape (b,).

    Returns:
        Shape (m,); -inf where nothing trained is that fast.
    """
    if not len(costs):
        return np.full(len(limits), -np.inf)
    if costs.shape[1] == 1:
        return Staircase.of(costs[:, 0], accuracy)(limits[:, 0])
    rows = staircase(costs, accuracy)  # few, and the only ones that count
    found = np.full(len(limits), -np.inf)
    for cost, value in zip(costs[rows], accuracy[rows], strict=True):
        within = (limits >= cost).all(axis=1)
        found[within] = np.maximum(found[within], value)
    return found


@dataclass(frozen=True)
class Staircase:
    """f(t) = max { Acc(y) : y ∈ D, Lat(y) ≤ t }, for one cost.

    Attributes:
        costs: Where f rises, ascending, shape (steps,).
        accuracies: What it rises to, ascending, shape (steps,).
    """

    costs: FloatArray
    accuracies: FloatArray

    @classmethod
    def of(cls, costs: FloatArray, accuracy: FloatArray) -> Staircase:
        """Build f from trained networks, both of shape (m,)."""
        rows = staircase(costs, accuracy)
        return cls(costs[rows], accuracy[rows])

    def __call__(self, cost: FloatArray) -> FloatArray:
        """Evaluate f, elementwise; -inf where nothing trained is that fast."""
        levels = np.concatenate([[-np.inf], self.accuracies])
        return levels[np.searchsorted(self.costs, cost, side="right")]
