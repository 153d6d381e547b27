"""Maps vectors and costs of Ŝ to inputs in [0, 1].

Notation:
    n, d, k   architectures, components of a vector, cost columns
    u         log-levels: log(1 + level - lowest level), scaled to [0, 1]          (n, d)
    c         log-cost scaled to [0, 1]                                            (n, k)
    x         inputs [u, c], p = d + k                                             (n, p)

Accuracy follows the number of precedents, whose log is a sum of log-levels (POP paper, Figure 8b).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optuna_pop.order.region import Ranges

FloatArray: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Scaling:
    """Between vectors and costs of one Ŝ and inputs x.

    Attributes:
        lowest: Lowest level of each component, shape (d,).
        log_range: log(1 + highest - lowest), shape (d,); 1 where a component never varies.
        log_cost: Whether costs are all positive, so that their log is used.
        cost_low: Smallest (log-)cost, shape (k,).
        cost_range: Range of (log-)cost, shape (k,); 1 where it never varies.
    """

    lowest: FloatArray
    log_range: FloatArray
    log_cost: bool
    cost_low: FloatArray
    cost_range: FloatArray

    @classmethod
    def of(cls, ranges: Ranges) -> Scaling:
        """Take the ranges of Ŝ."""
        log_range = np.log1p(ranges.highest - ranges.lowest)  # (d,)
        low, high = ranges.cheapest, ranges.dearest  # (k,)
        log_cost = bool((low > 0).all())
        if log_cost:
            low, high = np.log(low), np.log(high)
        spread = high - low
        return cls(
            ranges.lowest,
            np.where(log_range > 0, log_range, 1.0),
            log_cost,
            low,
            np.where(spread > 0, spread, 1.0),
        )

    def costs(self, costs: FloatArray) -> FloatArray:
        """Scale costs (n, k) to c (n, k)."""
        values = np.log(costs) if self.log_cost else costs
        return np.asarray((values - self.cost_low) / self.cost_range)

    def inputs(self, vectors: Vectors, costs: FloatArray) -> FloatArray:
        """Scale vectors (n, d) and costs (n, k) to x (n, p)."""
        return np.concatenate([self.levels(vectors), self.costs(costs)], axis=1)  # (n, p)

    def levels(self, vectors: Vectors) -> FloatArray:
        """Scale vectors (n, d) to u (n, d)."""
        return np.asarray(np.log1p(np.maximum(vectors - self.lowest, 0.0)) / self.log_range)
