"""What of a study's trainings can be drawn in a plane of cost and accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from optuna_pop.errors import InputError
from optuna_pop.ledger import Trained
from optuna_pop.order.boundary import FloatArray

_LOG_FROM = 8.0  # slowest / fastest from which the cost axis is logarithmic


def drawable(trained: Sequence[Trained], cost: int = 0) -> list[Trained]:
    """Return the trainings with finite values, with one of their costs alone.

    Raises:
        InputError: if there are none.
    """
    # With several costs the boundary of one alone is what a plane can show.
    drawn = [
        Trained(entry.number, entry.architecture, entry.accuracy, entry.costs[cost : cost + 1])
        for entry in trained
        if math.isfinite(entry.accuracy) and entry.costs and all(map(math.isfinite, entry.costs))
    ]
    if not drawn:
        raise InputError(
            "there is no boundary to draw: the study has no completed training with an accuracy "
            "and a cost; let the search finish at least one"
        )
    return drawn


def points_of(entries: Sequence[Trained]) -> FloatArray:
    """First costs and accuracies, shape (m, 2)."""
    return np.array([(entry.costs[0], entry.accuracy) for entry in entries])


def is_wide(low: float, high: float) -> bool:
    """Whether costs from one to the other span so much that their axis is logarithmic."""
    return low > 0 and high / low >= _LOG_FROM


def log_ticks(low: float, high: float) -> list[float]:
    """Return at least 5 round numbers between two positive ones, where that can be."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for digits in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 5:
            break
    return ticks
