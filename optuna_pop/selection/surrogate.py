"""Surrogates: what the trained let one expect of accuracy, and of cost where that is not known.

Notation:
    n, m, d, k   trained architectures, queried ones, components of a vector, cost columns
    w            warped accuracy, see ``warping``                                     (n,)

The process is not told that accuracy and cost rise with the order: bounds from the order are
applied to the belief afterwards (``optuna_pop.selection.gain``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optuna_pop.selection.process import GaussianProcess, SurrogateError
from optuna_pop.selection.scaling import Scaling
from optuna_pop.selection.warping import Warp

FloatArray: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.integer[Any]]


class Surrogate:
    """Gaussian process of warped accuracy over log-levels and log-cost.

    Args:
        scaling: Of Ŝ.

    Attributes:
        warp: Of the last fit.
    """

    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling
        self.warp = Warp(1.0)
        self.process = GaussianProcess(scaling.log_range)

    def fit(
        self, vectors: Vectors, costs: FloatArray, accuracy: FloatArray, *, refit: bool = True
    ) -> None:
        """Condition on trained architectures.

        Args:
            vectors: Shape (n, d).
            costs: Shape (n, k).
            accuracy: Shape (n,), finite.
            refit: Whether the kernel's parameters are fitted again; else the last ones are kept.

        Raises:
            SurrogateError: if there are fewer than two architectures or two accuracies.
        """
        if len(accuracy) < 2 or not np.isfinite(accuracy).all() or np.ptp(accuracy) == 0:
            raise SurrogateError("a surrogate needs two finite accuracies that differ")
        self.warp = Warp.of(accuracy)
        inputs = self.scaling.inputs(vectors, costs)  # (n, p)
        self.process.fit(inputs, self.warp(accuracy), refit=refit)

    @property
    def trained_mean(self) -> FloatArray:
        """Belief of w at the trained, shape (n,)."""
        return self.process.at_observed

    def predict(self, vectors: Vectors, costs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Belief of w: mean (m,) and sd (m,) for vectors (m, d) and costs (m, k)."""
        return self.process.predict(self.scaling.inputs(vectors, costs))


@dataclass
class CostSurrogate:
    """Belief of costs that are known only after training: a process of log-cost for each.

    Args:
        scaling: Of Ŝ; of it the log-levels are used.
    """

    scaling: Scaling
    _processes: list[GaussianProcess | float] = field(default_factory=list)
    _log: list[bool] = field(default_factory=list)

    def fit(self, vectors: Vectors, costs: FloatArray, *, refit: bool = True) -> None:
        """Condition on trained architectures: vectors (n, d) and costs (n, k)."""
        u = self.scaling.levels(vectors)
        before = self._processes
        self._processes, self._log = [], []
        for i, column in enumerate(costs.T):
            self._log.append(bool((column > 0).all()))
            values = np.log(column) if self._log[i] else column
            old = before[i] if i < len(before) else None
            process = old if isinstance(old, GaussianProcess) else None
            try:
                process = process or GaussianProcess(self.scaling.log_range)
                process.fit(u, values, refit=refit)
                self._processes.append(process)
            except (SurrogateError, np.linalg.LinAlgError):
                self._processes.append(float(values.mean()))  # one cost for all, as far as known

    def predict(self, vectors: Vectors) -> FloatArray:
        """Costs to expect of vectors (m, d), shape (m, k)."""
        u = self.scaling.levels(vectors)
        found = np.empty((len(vectors), len(self._processes)))
        for i, process in enumerate(self._processes):
            values = process if isinstance(process, float) else process.predict(u)[0]
            found[:, i] = np.exp(values) if self._log[i] else values
        return found
