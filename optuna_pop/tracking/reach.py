"""How far the unseen could lift a boundary by the order, as arrays and in words.

Notation of ``optuna_pop.order``: f is the boundary of the trained, U what the order lets the unseen
still reach (``optuna_pop.order.certificate``). Between them lies what is open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from optuna_pop.order import Staircase
from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.certificate import Certificate

_ROUNDING = 1e-9  # of U - f, which is τ where the bound of an architecture is f


@dataclass(frozen=True)
class Curves:
    """f and U on common steps; step i lies between ``edges[i]`` and ``edges[i + 1]``.

    Attributes:
        edges: From the left to the right end, shape (s + 1,).
        boundary: f, shape (s,); -inf left of the fastest trained.
        upper: U, shape (s,); -inf where nothing unseen is that fast, +inf where it is not bounded.
    """

    edges: FloatArray
    boundary: FloatArray
    upper: FloatArray

    @classmethod
    def on(cls, ends: tuple[float, float], boundary: Staircase, upper: Staircase) -> Curves:
        """Evaluate both between two costs."""
        edges = np.unique(np.concatenate([ends, boundary.costs, upper.costs]))
        edges = edges[(edges >= ends[0]) & (edges <= ends[1])]
        return cls(edges, boundary(edges[:-1]), upper(edges[:-1]))

    @property
    def lift(self) -> FloatArray:
        """By how much the unseen could lift the boundary on each step, shape (s,)."""
        with np.errstate(invalid="ignore"):
            lift = self.upper - self.boundary
        return np.where(np.isneginf(self.upper), -np.inf, lift)

    def title(self, tolerance: float, unit: str) -> str:
        """Say how far unseen architectures could still lift the boundary."""
        lift, unbounded = self.lift, np.isposinf(self.upper)
        along = lift[np.isfinite(self.boundary) & ~unbounded]
        if math.isinf(tolerance) or not len(along):
            return "The order does not bound yet what unseen architectures could reach"
        where = " where bounded" if unbounded.any() else ""
        most, enough = float(along.max()), tolerance + _ROUNDING
        if most > enough:
            words = f"Unseen architectures could lift this boundary by up to {amount(most, unit)}"
            return words + where
        if not where and (lift > enough).any():
            where = " from its fastest network on"
        more = f" by more than {amount(tolerance, unit)}" if tolerance else ""
        return f"Nothing unseen can beat this boundary{more}{where}"

    def under(self, tolerance: float, unit: str) -> str:
        """Say how to read it."""
        words = ["Up and to the left is better."]
        if math.isinf(tolerance):
            words.append("How far the order holds is not known yet.")
        elif tolerance:
            words.append(f"The order is taken to hold within {amount(tolerance, unit)}.")
        if np.isposinf(self.upper).any():
            words.append("Open to the top: nothing trained bounds it yet.")
        return " ".join(words)


def settled_title(proof: Certificate) -> str | None:
    """Say how much is settled; None where there is no tolerance to say it with."""
    if not math.isfinite(proof.tolerance):
        return None
    return (
        f"{100 * proof.share_settled:.0f}% of {proof.architectures:,} architectures cannot "
        f"beat this boundary by more than {proof.tolerance:.2g} points"
    )


def amount(value: float, unit: str) -> str:
    """Write an accuracy with two digits and its unit: 0.39 points, 1 point."""
    number = f"{float(f'{value:.2g}'):g}"
    return f"{number}{unit.removesuffix('s') if number == '1' else unit}"
