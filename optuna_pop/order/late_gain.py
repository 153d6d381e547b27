"""What a learning curve can still gain, from curves of finished trainings.

Notation beyond ``optuna_pop.order``:
    v_i(s)   accuracy that training i reported at step s
    b_i(s)   best of v_i up to step s
    g_i(s)   late gain Acc_i - b_i(s): what i gained from step s on, until its training was over
    u(s)     b(s) + quantile of g_i(s) over finished i: what a running training may still reach

With the largest late gain (quantile 1) of n finished trainings that are drawn like the running
one, its own late gain is larger with probability 1 / (n + 1) at any one step. Trainings that were
stopped have no late gain; those left are the better ones, which errs on the side of going on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np


class LateGains:
    """Late gains of finished trainings.

    Args:
        quantile: Of the late gains, in (0, 1]; the value at or above it counts.
        least: So many finished trainings must tell of a step, else nothing is said of it.
    """

    def __init__(self, quantile: float = 1.0, least: int = 8) -> None:
        if not 0 < quantile <= 1:
            raise ValueError(f"quantile must lie in (0, 1] but got {quantile}")
        if least < 1:
            raise ValueError(f"least must be at least 1 but got {least}")
        self.quantile = quantile
        self.least = least
        self._steps: list[np.ndarray] = []
        self._best: list[np.ndarray] = []
        self._final: list[float] = []

    def __len__(self) -> int:
        return len(self._final)

    def add(self, curve: Mapping[int, float], final: float) -> None:
        """Take a finished training into account; one without a usable curve is left out.

        Args:
            curve: Accuracy by step.
            final: Acc, as the objective returned it.
        """
        steps = sorted(step for step, value in curve.items() if math.isfinite(value))
        if not steps or not math.isfinite(final):
            return
        self._steps.append(np.array(steps))
        self._best.append(np.maximum.accumulate([curve[step] for step in steps]))
        self._final.append(final)

    def at(self, step: int) -> np.ndarray:
        """Late gains from a step on, of the trainings that had begun by then and still ran."""
        found = [
            final - best[np.searchsorted(steps, step, side="right") - 1]
            for steps, best, final in zip(self._steps, self._best, self._final, strict=True)
            if steps[0] <= step <= steps[-1]
        ]
        return np.array(found, dtype=np.float64)

    def reach(self, curve: Mapping[int, float]) -> float:
        """What a running training may still reach, u at its last step; +inf if little is known."""
        steps = [step for step, value in curve.items() if math.isfinite(value)]
        if not steps:
            return math.inf
        gains = self.at(max(steps))
        if len(gains) < self.least:
            return math.inf
        best = max(curve[step] for step in steps)
        return best + max(0.0, float(np.quantile(gains, self.quantile, method="higher")))
