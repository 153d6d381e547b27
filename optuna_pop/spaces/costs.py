"""Costs of a whole space, known before any training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optuna_pop.errors import CostError
from optuna_pop.spaces.base import FloatArray, Rows, Space
from optuna_pop.spaces.blocks import BlockConfig

A = TypeVar("A")


@runtime_checkable
class CostModel(Protocol):
    """Knows every architecture's cost before training, as ``LatencyTable`` does."""

    def costs(self, space: Space[Any], rows: NDArray[np.integer[Any]] | None = None) -> FloatArray:
        """Return the cost of the architectures in ``rows`` (m,), of all (n,) by default."""


@runtime_checkable
class BlockCostModel(Protocol):
    """Knows the cost of each block, of which an architecture's is the sum, as ``LatencyTable``."""

    def block_cost(self, block: BlockConfig) -> float:
        """Return the cost of one block."""


class CostDraws(Protocol):
    """Draws architectures by cost, however many the space has.

    Attributes:
        cheapest: Row of an architecture of the least cost.
        dearest: Row of an architecture of the greatest cost.
    """

    cheapest: int
    dearest: int

    def draw_within(
        self, low: FloatArray, high: FloatArray, rng: np.random.Generator
    ) -> tuple[Rows, FloatArray]:
        """Draw an architecture for each interval, uniformly among all whose cost lies in it.

        Args:
            low: Least cost, shape (m,), in the unit of the blocks' costs.
            high: Greatest cost, shape (m,); both ends are included.
            rng: Of random choices.

        Returns:
            Rows and costs, each of shape (m,): -1 and nan where nothing is found, that is where
            the interval is empty, or rarely where it is very narrow.
        """


@runtime_checkable
class CountedSpace(Protocol):
    """A space whose architectures can be counted by cost without a list, as backbones can."""

    def paths(self, cost_of: Callable[[BlockConfig], float]) -> CostDraws:
        """Prepare to draw architectures by the sum of their blocks' costs.

        Args:
            cost_of: Cost of one block configuration; called once for each.
        """


Cost: TypeAlias = CostModel | Callable[[A], float] | ArrayLike
"""One cost: a model such as a ``LatencyTable``, a function, or a number for each architecture."""

Range: TypeAlias = tuple[float, float]


def split_costs(cost: Cost[A] | Sequence[Cost[A]]) -> list[Cost[A]]:
    """Take several costs apart: a list of models, functions or arrays, or an array (n, k)."""
    if isinstance(cost, np.ndarray) and cost.ndim == 2:
        return list(cost.T)
    if (
        isinstance(cost, list | tuple)
        and cost
        and all(isinstance(c, CostModel) or callable(c) or np.ndim(c) == 1 for c in cost)
    ):
        return list(cost)
    return [cast("Cost[A]", cost)]


def costs_of(space: Space[A], cost: Cost[A] | Sequence[Cost[A]]) -> FloatArray:
    """Evaluate one or several costs over a whole space.

    Args:
        space: n architectures.
        cost: A latency table or other ``CostModel``, a function of the architecture, or n numbers
            in the sequence of ``space.vectors()``; or a list of k of these; or an array (n, k).

    Returns:
        Shape (n, k), finite.

    Raises:
        CostError: if there are not n finite numbers for each cost.
    """
    return np.stack([_one_cost(space, each) for each in split_costs(cost)], axis=1)


def _one_cost(space: Space[A], cost: Cost[A]) -> FloatArray:
    if isinstance(cost, CostModel):
        costs = cost.costs(space)
    elif callable(cost):
        costs = np.array([cost(space.at(row)) for row in range(len(space))], dtype=np.float64)
    else:
        costs = np.asarray(cost, dtype=np.float64)
    if costs.shape != (len(space),):
        raise CostError(
            f"cost must give one number for each of the {len(space)} architectures but has the "
            f"shape {costs.shape}"
        )
    _refuse_infinite(space, costs, None)
    return costs


def _refuse_infinite(
    space: Space[A], costs: FloatArray, rows: NDArray[np.integer[Any]] | None
) -> None:
    finite = np.isfinite(costs)
    if not finite.all():
        at = int(finite.argmin())
        row = at if rows is None else int(rows[at])
        raise CostError(f"the cost of {space.at(row)} is {costs[at]}: it must be a finite number")


def costs_at(
    space: Space[A], cost: Cost[A] | Sequence[Cost[A]], rows: NDArray[np.integer[Any]]
) -> FloatArray:
    """Evaluate one or several costs at some architectures of a space of any size.

    Args:
        space: n architectures.
        cost: As for ``costs_of``.
        rows: Shape (m,).

    Returns:
        Shape (m, k), finite.

    Raises:
        CostError: if there are not m finite numbers for each cost.
    """
    return np.stack([_one_cost_at(space, each, rows) for each in split_costs(cost)], axis=1)


def _one_cost_at(space: Space[A], cost: Cost[A], rows: NDArray[np.integer[Any]]) -> FloatArray:
    if isinstance(cost, CostModel):
        costs = cost.costs(space, rows)
    elif callable(cost):
        costs = np.array([cost(space.at(row)) for row in rows.tolist()], dtype=np.float64)
    else:
        costs = np.asarray(cost, dtype=np.float64)
        if costs.shape == (len(space),):
            costs = costs[rows]
    if costs.shape != (len(rows),):
        raise CostError(
            f"cost must give one number for each of {len(rows)} architectures but has the shape "
            f"{costs.shape}"
        )
    _refuse_infinite(space, costs, rows)
    return costs


def cost_draws(space: Space[Any], cost: Cost[Any]) -> CostDraws | None:
    """Prepare to draw architectures of a space by a cost, or None where that cannot be done.

    It needs a ``CountedSpace``, and a cost that is a sum over blocks: a ``BlockCostModel``.

    Raises:
        MissingBlockError: if a latency table lacks a block of the space.
    """
    model: object = cost
    if isinstance(space, CountedSpace) and isinstance(model, BlockCostModel):
        return space.paths(model.block_cost)
    return None


def split_range(cost_range: Range | Sequence[Range | None] | None, costs: int) -> list[Range]:
    """Bounds (T_min, T_max) of each of k costs, infinite where none are given.

    Raises:
        CostError: if they are not one for each cost, or one is empty.
    """
    everything = (-math.inf, math.inf)
    if cost_range is None:
        return [everything] * costs
    given: Any = cost_range
    if len(given) == 2 and all(isinstance(bound, int | float) for bound in given):
        given = [given]
    if len(given) != costs:
        raise CostError(
            f"cost_range {cost_range} gives bounds of {len(given)} costs but there are {costs}: "
            "give (T_min, T_max), or a list with one pair or None for each cost"
        )
    ranges: list[Range] = [everything if pair is None else (pair[0], pair[1]) for pair in given]
    for low, high in ranges:
        if not low <= high:
            raise CostError(f"cost_range ({low}, {high}) is empty: T_min must not exceed T_max")
    return ranges


def rows_within(
    costs: FloatArray, cost_range: Range | Sequence[Range | None] | None
) -> NDArray[np.intp]:
    """Rows of Ŝ: architectures whose costs (n, k) lie in their [T_min, T_max], all without one.

    Raises:
        CostError: if a range is empty or nothing lies in all of them.
    """
    ranges = split_range(cost_range, costs.shape[1])
    inside = np.ones(len(costs), dtype=np.bool_)
    for column, (low, high) in zip(costs.T, ranges, strict=True):
        inside &= (column >= low) & (column <= high)
    if not inside.any():
        reach = ", ".join(f"{c.min():.6g} to {c.max():.6g}" for c in costs.T)
        raise CostError(
            f"no architecture costs {ranges_in_words(ranges)}: the space ranges from {reach}"
        )
    return np.flatnonzero(inside)


def ranges_in_words(ranges: Sequence[Range]) -> str:
    """Say "between 1 and 5"."""
    return " and ".join(f"between {low:.6g} and {high:.6g}" for low, high in ranges)
