"""Expected gain in the area under the speed/accuracy boundary, for a cost known beforehand.

Notation:
    m, b, k      candidates, trained architectures, cost columns
    c            (log-)cost scaled to [0, 1]                                     (m, k)
    t            a point of the cost range [0, 1]^k
    s, q         pieces of equal f, Sobol points
    f(t)         boundary: highest accuracy of the trained with cost ≤ t; the floor where none is
    y, w         accuracy of a candidate and its warp, w ~ N(mean, sd²)          (m,)
    lo, hi       bounds that the order gives y, tolerance already included       (m,)
    gain         ∫ over t ≥ c of E[(min(max(y, lo), hi) - f(t))⁺] dt             (m,)

f is a staircase, so for k = 1 the integral is a sum over its steps and exact. The expectation at
one step of height f is, with h(a) = E[(y - a)⁺] (``Warp.excess``) and a = max(f, lo),

    (lo - f)⁺ + h(a) - h(max(hi, a)).

For k ≥ 2 the integral is the mean over a fixed set of Sobol points t, hence approximate, and
points of one height make a piece; the expectation at each height is still exact. The gain is in
units of accuracy times share of the (log-)cost range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from optuna_pop.selection.warping import Warp

FloatArray: TypeAlias = NDArray[np.float64]

_POINTS_LOG2 = 9  # Sobol points for several costs


@dataclass(frozen=True)
class Area:
    """The boundary cut into pieces of equal height.

    Attributes:
        start: Where each piece begins, shape (s, 1); for several costs all points, shape (q, k).
        width: Measure of each piece, shape (s,); of each point, shape (q,).
        height: Warped f on each piece, shape (s,).
        piece: For several costs the piece that each point belongs to, shape (q,).
    """

    start: FloatArray
    width: FloatArray
    height: FloatArray
    piece: NDArray[np.intp] | None = None

    @classmethod
    def under(cls, costs: FloatArray, height: FloatArray, floor: float) -> Area:
        """Cut the boundary of the trained.

        Args:
            costs: Scaled costs of the trained, shape (b, k).
            height: Their warped accuracies, as believed or as observed, shape (b,).
            floor: Warped f where nothing trained is as fast.
        """
        if costs.shape[1] == 1:
            return cls._staircase(costs[:, 0], height, floor)
        points = qmc.Sobol(costs.shape[1], scramble=False).random_base2(_POINTS_LOG2)  # (s, k)
        points = points + 0.5 / len(points)  # else they lean towards 0
        reached = (costs[:, None] <= points).all(axis=2)  # (b, s)
        f = np.where(reached, np.maximum(height, floor)[:, None], floor).max(axis=0)  # (s,)
        height, piece = np.unique(f, return_inverse=True)
        return cls(points, np.full(len(points), 1.0 / len(points)), height, piece)

    @classmethod
    def _staircase(cls, costs: FloatArray, height: FloatArray, floor: float) -> Area:
        sequence = np.lexsort((-height, costs))
        start = np.concatenate([[0.0], costs[sequence]])  # (b + 1,)
        f = np.maximum.accumulate(np.concatenate([[floor], height[sequence]]))
        width = np.diff(start, append=1.0)
        rises = np.concatenate([[True], np.diff(f) > 0])  # pieces of one height are joined
        first = np.flatnonzero(rises)
        width = np.add.reduceat(width, first)
        return cls(start[first][:, None], width, f[first])

    def beyond(self, costs: FloatArray) -> FloatArray:
        """How much of each piece lies at t ≥ c: (m, s) for scaled costs (m, k)."""
        if self.piece is None:
            late = np.maximum(costs - self.start[:, 0], 0.0)  # (m, s)
            return np.asarray(np.maximum(self.width - late, 0.0))
        within = self._within(costs)  # (m, q)
        share = np.zeros((len(self.width), len(self.height)), dtype=np.float32)  # (q, s)
        share[np.arange(len(self.width)), self.piece] = self.width
        return np.asarray(within.astype(np.float32) @ share, dtype=np.float64)

    def _within(self, costs: FloatArray) -> NDArray[np.bool_]:
        """Whether a candidate is within each point on every cost: (m, q)."""
        within = costs[:, :1] <= self.start[:, 0]
        for ours, theirs in zip(costs.T[1:], self.start.T[1:], strict=True):
            within &= ours[:, None] <= theirs
        return np.asarray(within)

    def at(self, costs: FloatArray) -> FloatArray:
        """Warped f at scaled costs (m, k): shape (m,)."""
        if self.piece is None:
            step = np.searchsorted(self.start[:, 0], costs[:, 0], side="right") - 1
            return np.asarray(self.height[np.maximum(step, 0)])
        least = np.where(self._within(costs), self.height[self.piece], np.inf).min(axis=1)
        return np.asarray(np.where(np.isfinite(least), least, self.height.max()))


def expected_gain(
    area: Area,
    warp: Warp,
    costs: FloatArray,
    mean: FloatArray,
    sd: FloatArray,
    bounds: tuple[FloatArray, FloatArray] | None = None,
) -> FloatArray:
    """Expected gain of every candidate.

    Args:
        area: Of the boundary so far.
        warp: Between accuracy and the belief.
        costs: Scaled costs, shape (m, k).
        mean: Of warped accuracy, shape (m,).
        sd: Of warped accuracy, positive, shape (m,).
        bounds: Warped lo and hi, each of shape (m,), infinite where the order says nothing.

    Returns:
        Shape (m,), non-negative.
    """
    measure = area.beyond(costs)  # (m, s)
    mean, sd = mean[:, None], np.maximum(sd, 1e-9)[:, None]
    if bounds is None:
        each = warp.excess(mean, sd, area.height)  # (m, s)
        return np.asarray((measure * each).sum(axis=1))
    lo, hi = bounds[0][:, None], np.maximum(bounds[0], bounds[1])[:, None]
    from_level = np.maximum(area.height, lo)  # (m, s)
    sure = warp.back(from_level) - warp.back(area.height)  # (lo - f)⁺
    each = sure + warp.excess(mean, sd, from_level)
    each -= warp.excess(mean, sd, np.maximum(hi, from_level))
    return np.asarray((measure * np.maximum(each, 0.0)).sum(axis=1))
