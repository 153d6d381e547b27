"""What a learning curve can still gain, from curves of finished trainings.

Notation:
    v_i(s)   accuracy that training i reported at step s
    b_i(s)   best of v_i up to step s
    w        warp of accuracy, see ``warping``
    g_i(s)   late gain w(Acc_i) - w(b_i(s)): what i gained from step s on, until it was over
    x_i      1, w(b_i(s)) and features such as log-cost, each but the 1 standardised       (p,)
    β        ridge regression of g on x; h leverage: x' (X'X + λ)⁻¹ x
    e_i      g_i - x_i β without i: the late gain of i beyond what the others let one expect
    u(s)     w⁻¹( w(b(s)) + x β + √(1 + h) · 1.25 · largest e_i ): what a running one may reach

A network that stands lower has more to gain, and small ones gain less; once that is taken into
account late gains differ little, from early on. With the largest e_i of n finished trainings that
are drawn like the running one, its own is larger with probability 1 / (n + 1) at any one step;
hence the quarter more. Trainings that were stopped have no late gain; those left are the better
ones, which errs on the side of going on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from optuna_pop.selection.warping import Warp

FloatArray: TypeAlias = NDArray[np.float64]

_MARGIN = 1.25
_RIDGE = 1.0  # λ: as much as one training of a standard feature


class LateGains:
    """Late gains of finished trainings.

    Args:
        quantile: Of the e_i, in (0, 1]; 1 is the largest.
        least: So many finished trainings must tell of a step, else nothing is said of it.
    """

    def __init__(self, quantile: float = 1.0, least: int = 8) -> None:
        if not 0 < quantile <= 1:
            raise ValueError(f"quantile must lie in (0, 1] but got {quantile}")
        if least < 1:
            raise ValueError(f"least must be at least 1 but got {least}")
        self.quantile = quantile
        self.least = least
        self._steps: list[NDArray[np.intp]] = []
        self._best: list[FloatArray] = []
        self._final: list[float] = []
        self._features: list[tuple[float, ...]] = []

    def __len__(self) -> int:
        return len(self._final)

    def add(self, curve: Mapping[int, float], final: float, features: Sequence[float] = ()) -> None:
        """Take a finished training into account; one without a usable curve is left out.

        Args:
            curve: Accuracy by step.
            final: Acc, as the objective returned it.
            features: Of the network, as many for each.
        """
        steps = sorted(step for step, value in curve.items() if math.isfinite(value))
        if not steps or not math.isfinite(final):
            return
        self._steps.append(np.array(steps))
        self._best.append(np.maximum.accumulate([curve[step] for step in steps]))
        self._final.append(final)
        self._features.append(tuple(features))

    def reach(self, curve: Mapping[int, float], features: Sequence[float] = ()) -> float:
        """Best final accuracy to expect of a running training; +inf if little is known.

        Args:
            curve: Accuracy by step, up to now.
            features: Of the network.
        """
        steps = [step for step, value in curve.items() if math.isfinite(value)]
        if not steps:
            return math.inf
        found = self._at(max(steps), len(features))
        if len(found) < self.least:
            return math.inf
        best = max(curve[step] for step in steps)
        b, final = found[:, 0], found[:, 1]
        seen = np.concatenate([b, final, [best]])
        if np.ptp(seen) == 0:
            return best
        warp = Warp.of(seen)
        w = warp(b)
        x = np.column_stack([w, found[:, 2:]])
        now = np.array([float(warp(np.array(best))), *features])
        gain = _largest(x, warp(final) - w, now, self.quantile)
        return max(best, float(warp.back(now[0] + gain)))

    def _at(self, step: int, features: int) -> FloatArray:
        """b, Acc and features of those that had begun by a step and still ran: (n, 2 + ...)."""
        found = [
            (best[np.searchsorted(steps, step, side="right") - 1], final, *theirs)
            for steps, best, final, theirs in zip(
                self._steps, self._best, self._final, self._features, strict=True
            )
            if steps[0] <= step <= steps[-1] and len(theirs) == features
        ]
        return np.array(found, dtype=np.float64).reshape(len(found), 2 + features)


def _largest(x: FloatArray, gain: FloatArray, now: FloatArray, quantile: float) -> float:
    """X β + √(1 + h) · quantile of e, for inputs x (n, p) without the 1, and ``now`` (p,)."""
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-9 * (1.0 + np.abs(centre)), scale, np.inf)
    design = np.column_stack([np.ones(len(x)), (x - centre) / scale])
    at = np.concatenate([[1.0], (now - centre) / scale])
    penalty = np.diag([0.0] + [_RIDGE] * x.shape[1])
    inverse = np.linalg.inv(design.T @ design + penalty)
    beta = inverse @ design.T @ gain
    leverage = np.einsum("np,pq,nq->n", design, inverse, design)
    e = (gain - design @ beta) / np.maximum(1.0 - leverage, 1e-3)
    beyond = max(0.0, float(np.quantile(e, quantile, method="higher")))
    return float(at @ beta + np.sqrt(1.0 + at @ inverse @ at) * _MARGIN * beyond)
