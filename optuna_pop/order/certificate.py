"""What the order guarantees of a search, finished or not (POP paper, Figure 5).

Notation beyond ``optuna_pop.order``:
    U(t) = max { hi(m) + τ : m ∈ Ŝ not in D, Lat(m) ≤ t }
           the accuracy that an unseen architecture of cost t or less could still reach, given that
           Acc contradicts the order by at most τ

Where U(t) ≤ f(t) + τ nothing unseen lifts the boundary at t by more than the tolerance. With
several costs there is a U for each, of that cost alone. Of a Ŝ too large to walk, shares and U are
those of a uniform sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_pop.order.boundary import FloatArray, Staircase
from optuna_pop.order.region import EnumeratedRegion
from optuna_pop.order.relation import BoolArray
from optuna_pop.order.search import KEPT, PartialOrderSearch

_SAMPLE = 20_000


@dataclass(frozen=True)
class Certificate:
    """What is known of Ŝ; s is its size, or that of the sample.

    Attributes:
        architectures: |Ŝ|.
        trained: Of them trained.
        pruned: Of them in P and not trained, about, where ``exact`` is false.
        settled: Of them trained, or unable to beat the boundary by more than the tolerance.
        tolerance: τ.
        upper: U over each cost; +inf where nothing trained succeeds some architecture.
        exact: Whether all of Ŝ was looked at, not a sample of it.
        unseen_costs: Of the untrained looked at, shape (s, k); where costs are known only after
            training, the least that the order allows, maybe -inf.
        unseen_pruned: Which of those are in P, shape (s,).
    """

    architectures: int
    trained: int
    pruned: int
    settled: int
    tolerance: float
    upper: tuple[Staircase, ...]
    exact: bool
    unseen_costs: FloatArray
    unseen_pruned: BoolArray

    @property
    def share_settled(self) -> float:
        """Share of Ŝ that is trained or cannot beat the boundary by more than the tolerance."""
        return self.settled / self.architectures

    @property
    def open(self) -> int:
        """Architectures neither trained nor pruned."""
        return self.architectures - self.trained - self.pruned


def certify(search: PartialOrderSearch) -> Certificate:
    """Read the certificate off a search."""
    search.settle_tolerance()
    region, trained = search.region, np.unique(np.array(search.rows, dtype=np.intp))
    exact = isinstance(region, EnumeratedRegion) and region.size <= KEPT
    if isinstance(region, EnumeratedRegion) and exact:
        rows = region.rows
    else:
        rows = np.unique(region.draw(_SAMPLE, np.random.default_rng(0)))
    rows = np.setdiff1d(rows, trained, assume_unique=True)
    bounds = search.bounds(rows)
    pruned = bounds.pruned(search.tolerance)
    scale = (region.size - len(trained)) / max(len(rows), 1)  # 1 where exact
    could = bounds.hi + search.tolerance
    return Certificate(
        architectures=region.size,
        trained=len(trained),
        pruned=round(scale * int(pruned.sum())),
        settled=len(trained) + round(scale * int(bounds.settled().sum())),
        tolerance=search.tolerance,
        upper=tuple(Staircase.of(column, could) for column in bounds.floor.T),
        exact=exact,
        unseen_costs=bounds.floor,
        unseen_pruned=pruned,
    )
