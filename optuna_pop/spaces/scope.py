"""What a search covers: Ŝ of a space and, where they are known beforehand, its costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from optuna_pop.errors import CostError
from optuna_pop.order.region import EnumeratedRegion, Region
from optuna_pop.order.relation import Rows
from optuna_pop.spaces.base import MOST_ENUMERATED, FloatArray, Space
from optuna_pop.spaces.costs import (
    Cost,
    Range,
    cost_draws,
    costs_at,
    costs_of,
    rows_within,
    split_costs,
    split_range,
)
from optuna_pop.spaces.drawn import DrawnRegion

A = TypeVar("A")


@dataclass(frozen=True)
class Scope:
    """Ŝ and the costs of the whole space.

    Attributes:
        region: Ŝ.
        costs: k, the number of costs known before training; 0 where they are known only after.
        costs_at: Costs of any rows of the space (m,), shape (m, k).
    """

    region: Region
    costs: int
    costs_at: Callable[[Rows], FloatArray]


@dataclass(frozen=True)
class _Array:
    """Costs in memory, shape (n, k)."""

    costs: FloatArray

    def __call__(self, rows: Rows) -> FloatArray:
        return self.costs[rows]


def scope_of(
    space: Space[A],
    cost: Cost[A] | Sequence[Cost[A]] | None,
    cost_range: Range | Sequence[Range | None] | None,
) -> Scope:
    """Find out what to search.

    Args:
        space: The architectures.
        cost: One or several costs, see ``costs_of``; None where they are known only after training.
        cost_range: Bounds of each cost, see ``split_range``.

    Raises:
        CostError: if costs or range cannot be used.
    """
    if cost is None and cost_range is not None:
        raise CostError(
            f"cost_range {cost_range} needs costs that are known before training: give a cost too"
        )
    if len(space) > MOST_ENUMERATED:
        return _drawn(space, cost, cost_range)
    costs = np.empty((len(space), 0)) if cost is None else costs_of(space, cost)
    rows = None if cost_range is None else rows_within(costs, cost_range)
    region = EnumeratedRegion(space.vectors(), costs, rows, space.rows_of)
    return Scope(region, costs.shape[1], _Array(costs))


@dataclass(frozen=True)
class _Evaluated:
    """Costs worked out when they are asked for."""

    space: Space[Any]
    costs: tuple[Any, ...]

    def __call__(self, rows: Rows) -> FloatArray:
        if not self.costs:
            return np.empty((len(rows), 0))
        return costs_at(self.space, list(self.costs), rows)


def _drawn(
    space: Space[A],
    cost: Cost[A] | Sequence[Cost[A]] | None,
    cost_range: Range | Sequence[Range | None] | None,
) -> Scope:
    costs = tuple(split_costs(cost)) if cost is not None else ()
    evaluated = _Evaluated(space, costs)
    draws = cost_draws(space, costs[0]) if costs else None
    bounds = split_range(cost_range, len(costs))
    return Scope(DrawnRegion(space, evaluated, bounds, draws), len(costs), evaluated)
