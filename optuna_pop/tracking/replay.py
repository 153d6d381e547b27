"""A search replayed: how high its boundary was after each training.

Notation:
    f(t)    best accuracy trained at cost t or less, the boundary
    height  mean of f over the (log of) costs from the fastest ever trained to a little beyond the
            slowest; where nothing trained is as fast, f is the lowest accuracy ever trained
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_pop.ledger import Trained
from optuna_pop.order import Staircase
from optuna_pop.order.boundary import FloatArray
from optuna_pop.tracking.points import points_of

_BEYOND = 0.1  # of the range, so that the slowest network counts, too


def heights(drawn: Sequence[Trained]) -> FloatArray:
    """Height of the boundary after each training, shape (m,).

    Args:
        drawn: In sequence of completion, finite, each with one cost; m >= 1.
    """
    costs, accuracies = points_of(drawn).T
    edges, weights = grid(costs)
    floor, best = accuracies.min(), np.full(len(weights), -np.inf)
    found = np.empty(len(drawn))
    for i, (cost, accuracy) in enumerate(zip(costs, accuracies, strict=True)):
        best[edges >= cost] = np.maximum(best[edges >= cost], accuracy)
        found[i] = weights @ np.maximum(best, floor)
    return found


def bound(upper: Staircase, before: Sequence[Trained], drawn: Sequence[Trained]) -> float:
    """Height that a boundary could still reach, over the costs of all that was ever trained.

    Args:
        upper: U, what the unseen can reach at most.
        before: Trained by then.
        drawn: Ever trained.

    Returns:
        +inf where the order does not bound it.
    """
    costs, accuracies = points_of(drawn).T
    edges, weights = grid(costs)
    level = np.maximum(upper(edges), Staircase.of(*points_of(before).T)(edges))
    # Not by @, which warns of infinite levels.
    return float((weights * np.maximum(level, accuracies.min())).sum())


def grid(costs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where steps of f begin (s,), and the share of the (log) range of each (s,)."""
    edges = np.unique(costs)
    scaled = np.log(edges) if edges[0] > 0 else edges
    end = scaled[-1] + _BEYOND * ((scaled[-1] - scaled[0]) or 1.0)
    widths = np.diff(np.append(scaled, end))
    return edges, widths / widths.sum()
