"""What the order guarantees of a search, finished or not (POP paper, Figure 5).

Notation beyond ``optuna_pop.order``:
    U(t) = max { hi(m) + τ : m ∈ Ŝ not in D, Lat(m) ≤ t }
           the accuracy that an unseen architecture of cost t or less could still reach, given that
           Acc contradicts the order by at most τ

Where U(t) ≤ f(t) + τ nothing unseen lifts the boundary at t by more than the tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.pruning import PrunedSet
from optuna_pop.order.relation import BoolArray


@dataclass(frozen=True)
class Certificate:
    """What is known of Ŝ, for one cost.

    Attributes:
        architectures: Size of Ŝ.
        trained: Of them trained.
        pruned: Of them in P and not trained.
        settled: Of them trained, or unable to beat the boundary by more than the tolerance.
        tolerance: τ.
        costs: Where U rises, ascending, shape (steps,).
        upper: U there, ascending; +inf where nothing trained succeeds some architecture.
    """

    architectures: int
    trained: int
    pruned: int
    settled: int
    tolerance: float
    costs: FloatArray
    upper: FloatArray

    @property
    def share_settled(self) -> float:
        """Share of Ŝ that is trained or cannot beat the boundary by more than the tolerance."""
        return self.settled / self.architectures

    @property
    def open(self) -> int:
        """Architectures neither trained nor pruned."""
        return self.architectures - self.trained - self.pruned


def certify(pruned: PrunedSet, costs: FloatArray, trained: BoolArray) -> Certificate:
    """Read the certificate off the bounds.

    Args:
        pruned: Bounds over Ŝ.
        costs: Costs of Ŝ, shape (n,).
        trained: Which of Ŝ are trained, shape (n,).
    """
    mask = pruned.mask
    settled = trained | (pruned.hi <= pruned.reach)
    unseen = np.flatnonzero(~trained)
    unseen = unseen[np.argsort(costs[unseen], kind="stable")]
    reach = np.maximum.accumulate(pruned.hi[unseen] + pruned.tolerance)
    at, upper = costs[unseen], reach
    # Of equal costs the last holds the maximum; of equal maxima the first is the step. (inf - inf
    # is no step, hence comparisons instead of differences.)
    last = np.append(at[1:] > at[:-1], np.ones(min(len(at), 1), dtype=np.bool_))
    at, upper = at[last], upper[last]
    rises = np.append(np.ones(min(len(at), 1), dtype=np.bool_), upper[1:] > upper[:-1])
    at, upper = at[rises], upper[rises]
    return Certificate(
        architectures=len(costs),
        trained=int(trained.sum()),
        pruned=int((mask & ~trained).sum()),
        settled=int(settled.sum()),
        tolerance=pruned.tolerance,
        costs=at,
        upper=upper,
    )
