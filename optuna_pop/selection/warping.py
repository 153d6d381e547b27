"""Warp that evens out accuracies: equal ratios of the remaining error count the same.

Notation:
    y     accuracy or another quality measure, larger is better                  (n,)
    cap   what y is thought unable to exceed, in the unit of y
    w     warped accuracy: w = -log(cap - y), rising with y                      (n,)

cap is 1 for fractions (all y in [0, 1]), 100 for percentages (all y in [0, 100]), else half the
observed range above the largest y. Percentages and their fractions differ in w only by a constant,
which the surrogate standardises away; a measure of no known scale is treated alike after any
shift and any change of unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray: TypeAlias = NDArray[np.float64]

_MARGIN = 0.02  # a known cap stays at least so much of the observed range above the largest y
_HEADROOM = 0.5  # an unknown cap is so much of the observed range above the largest y


@dataclass(frozen=True)
class Warp:
    """w = -log(cap - y)."""

    cap: float

    @classmethod
    def of(cls, accuracy: FloatArray) -> Warp:
        """Choose cap for accuracies (n,) that are finite and not all equal."""
        low, high = float(accuracy.min()), float(accuracy.max())
        if low >= 0.0 and high <= 100.0:
            return cls(max(1.0 if high <= 1.0 else 100.0, high + _MARGIN * (high - low)))
        return cls(high + _HEADROOM * (high - low))

    def __call__(self, accuracy: FloatArray) -> FloatArray:
        """Warp y to w; +inf at or above cap, -inf at -inf."""
        with np.errstate(divide="ignore"):
            return np.asarray(-np.log(np.maximum(self.cap - accuracy, 0.0)))

    def back(self, warped: FloatArray) -> FloatArray:
        """Take w back to y."""
        return np.asarray(self.cap - np.exp(-warped))

    def excess(self, mean: FloatArray, sd: FloatArray, level: FloatArray) -> FloatArray:
        """E[(y - y0)⁺] in the unit of y, for w ~ N(mean, sd²) and y0 whose warp is ``level``.

        With d = (mean - level) / sd it is exp(-level) Φ(d) - exp(sd²/2 - mean) Φ(d - sd), the
        closed form for a log-normal error cap - y. Arguments broadcast; level may be ±inf, but
        at -inf the result is +inf.
        """
        d = (mean - level) / sd
        above = np.exp(-level) * ndtr(d) - np.exp(0.5 * sd * sd - mean) * ndtr(d - sd)
        return np.asarray(np.maximum(above, 0.0))
