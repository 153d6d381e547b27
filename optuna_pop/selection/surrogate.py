"""Surrogate of accuracy: a Gaussian process over log-levels and log-cost; NumPy and SciPy only.

Notation:
    n, m, d, k   trained architectures, queried ones, components of a vector, cost columns
    u            log-levels: log(1 + level - lowest level), scaled to [0, 1]          (n, d)
    c            log-cost scaled to [0, 1]                                            (n, k)
    x = [u, c]   inputs, p = d + k                                                    (n, p)
    w            warped accuracy, see ``warping``; z = (w - centre) / scale           (n,)
    K            kernel = 1 + a·slope + b·linear + g·additive + h·full                (n, n)
        slope    mean(x) mean(x'): one slope common to all inputs
        linear   x·x' / p: a slope for each input
        additive mean over inputs but cost of Matérn 5/2 with length 1: a sum over single levels
        full     Matérn 5/2 with a length for each input
    θ            log standard deviations and log lengths, at their maximum a posteriori

Accuracy follows the number of precedents, whose log is a sum of log-levels; hence the inputs and
the slopes. K is not told that accuracy rises with the order: bounds from the order are applied to
the belief afterwards (``optuna_pop.selection.gain``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from optuna_pop.selection.warping import Warp

FloatArray: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.integer[Any]]

_ROOT5 = float(np.sqrt(5.0))
_JITTER = 1e-8
_FIT_ROWS = 200  # θ is fitted to at most so many architectures


class SurrogateError(ValueError):
    """The data do not determine a surrogate."""


def _matern(r: FloatArray) -> FloatArray:
    return (1.0 + _ROOT5 * r + 5.0 / 3.0 * r * r) * np.exp(-_ROOT5 * r)


@dataclass(frozen=True)
class Scaling:
    """Maps vectors and costs of one space to inputs x in [0, 1].

    Attributes:
        lowest: Lowest level of each component, shape (d,).
        log_range: log(1 + highest - lowest), shape (d,); 1 where a component never varies.
        log_cost: Whether costs are all positive, so that their log is used.
        cost_low: Smallest (log-)cost, shape (k,).
        cost_range: Range of (log-)cost, shape (k,); 1 where it never varies.
    """

    lowest: FloatArray
    log_range: FloatArray
    log_cost: bool
    cost_low: FloatArray
    cost_range: FloatArray

    @classmethod
    def of(cls, vectors: Vectors, costs: FloatArray) -> Scaling:
        """Take the ranges of a whole space: vectors (n, d), costs (n, k)."""
        lowest = vectors.min(axis=0).astype(np.float64)  # (d,)
        log_range = np.log1p(vectors.max(axis=0) - lowest)  # (d,)
        low, high = costs.min(axis=0), costs.max(axis=0)  # (k,)
        log_cost = bool((low > 0).all())
        if log_cost:
            low, high = np.log(low), np.log(high)
        spread = high - low
        return cls(
            lowest,
            np.where(log_range > 0, log_range, 1.0),
            log_cost,
            low,
            np.where(spread > 0, spread, 1.0),
        )

    def costs(self, costs: FloatArray) -> FloatArray:
        """Scale costs (n, k) to c (n, k)."""
        values = np.log(costs) if self.log_cost else costs
        return np.asarray((values - self.cost_low) / self.cost_range)

    def inputs(self, vectors: Vectors, costs: FloatArray) -> FloatArray:
        """Scale vectors (n, d) and costs (n, k) to x (n, p)."""
        u = np.log1p(np.maximum(vectors - self.lowest, 0.0)) / self.log_range  # (n, d)
        return np.concatenate([u, self.costs(costs)], axis=1)  # (n, p)


@dataclass(frozen=True)
class Prior:
    """Gaussian priors (mean, sd) of the entries of θ, with z standardised and x in [0, 1]."""

    slope: tuple[float, float] = (0.0, 1.0)
    linear: tuple[float, float] = (-1.5, 1.0)
    additive: tuple[float, float] = (-1.0, 1.0)
    full: tuple[float, float] = (-1.5, 1.0)
    length: tuple[float, float] = (0.5, 0.7)
    each_length: tuple[float, float] = (0.0, 0.5)  # of one input, on top of the common length
    noise: tuple[float, float] = (-2.0, 1.0)

    def arrays(self, inputs: int) -> tuple[FloatArray, FloatArray]:
        """Means and sds in the sequence of θ, each of shape (6 + p,)."""
        entries = [self.slope, self.linear, self.additive, self.full, self.length]
        entries += [self.each_length] * inputs + [self.noise]
        values = np.array(entries, dtype=np.float64)
        return values[:, 0], values[:, 1]


class _Posterior:
    """Negative log posterior of θ and its gradient, for inputs (n, p) and z (n,)."""

    def __init__(self, x: FloatArray, z: FloatArray, d: int, prior: Prior) -> None:
        self.z = z
        self.n, self.p = x.shape
        self.mean, self.sd = prior.arrays(self.p)
        apart = np.abs(x[:, None] - x)  # (n, n, p)
        common = x.mean(axis=1)  # (n,)
        self.fixed = np.stack(  # slope, linear, additive, each (n, n)
            [np.outer(common, common), x @ x.T / self.p, _matern(apart[..., :d]).mean(axis=2)]
        ).reshape(3, -1)
        self.apart2 = (apart * apart).reshape(-1, self.p)  # (n n, p)

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        n, p = self.n, self.p
        size = np.exp(2.0 * theta[:4])
        noise = float(np.exp(2.0 * theta[-1]))
        inverse2 = np.exp(-2.0 * (theta[4] + theta[5 : 5 + p]))  # (p,)
        r2 = self.apart2 @ inverse2  # (n n,)
        r = np.sqrt(r2)
        decay = np.exp(-_ROOT5 * r)
        full = size[3] * (1.0 + _ROOT5 * r + 5.0 / 3.0 * r2) * decay
        kernel = (1.0 + size[:3] @ self.fixed + full).reshape(n, n)
        kernel[np.diag_indices(n)] += noise + _JITTER
        try:
            low = cholesky(kernel, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        inverse = cho_solve((low, True), np.eye(n), check_finite=False)
        weights = inverse @ self.z  # (n,)
        a = (inverse - np.outer(weights, weights)).ravel()  # (n n,)
        off = (theta - self.mean) / self.sd
        value = 0.5 * self.z @ weights + np.log(np.diag(low)).sum() + 0.5 * off @ off
        by_length = 0.5 * ((a * decay * (1.0 + _ROOT5 * r)) @ self.apart2) * inverse2
        by_length *= size[3] * 5.0 / 3.0  # (p,)
        slope = np.concatenate(
            [
                size[:3] * (self.fixed @ a),
                [a @ full, by_length.sum()],
                by_length,
                [noise * a[:: n + 1].sum()],
            ]
        )
        return float(value), slope + off / self.sd


@dataclass
class Surrogate:
    """Gaussian process of warped accuracy.

    Args:
        scaling: Of the whole space.
        prior: Of the kernel's parameters.
        steps: Most steps of the optimiser in one fit of θ.

    Attributes:
        theta: Fitted θ, shape (6 + p,); empty before the first fit.
        warp: Of the last fit.
    """

    scaling: Scaling
    prior: Prior = field(default_factory=Prior)
    steps: int = 40
    theta: FloatArray = field(default_factory=lambda: np.empty(0))
    warp: Warp = field(default_factory=lambda: Warp(1.0))
    _roots: dict[int, tuple[int, FloatArray]] = field(default_factory=dict)

    def fit(
        self, vectors: Vectors, costs: FloatArray, accuracy: FloatArray, *, refit: bool = True
    ) -> None:
        """Condition on trained architectures.

        Args:
            vectors: Shape (n, d).
            costs: Shape (n, k).
            accuracy: Shape (n,), finite.
            refit: Whether θ is fitted again; else the last one is kept.

        Raises:
            SurrogateError: if there are fewer than two architectures or two accuracies.
        """
        if len(accuracy) < 2 or not np.isfinite(accuracy).all() or np.ptp(accuracy) == 0:
            raise SurrogateError("a surrogate needs two finite accuracies that differ")
        self.warp = Warp.of(accuracy)
        warped = self.warp(accuracy)  # (n,)
        self._d = vectors.shape[1]
        self._centre, self._scale = float(warped.mean()), float(warped.std())
        self._x = self.scaling.inputs(vectors, costs)  # (n, p)
        z = (warped - self._centre) / self._scale  # (n,)
        if refit or len(self.theta) != 6 + self._x.shape[1]:
            self._fit_theta(z)
        kernel = self._kernel(self._x, self._x)  # (n, n)
        noise = np.exp(2.0 * self.theta[-1])
        self._low = cholesky(kernel + (noise + _JITTER) * np.eye(len(z)), lower=True)
        self._weights = cho_solve((self._low, True), z)  # (n,)
        self.noise_sd = float(np.sqrt(noise)) * self._scale  # warped units
        self.trained_mean = self._centre + self._scale * (kernel @ self._weights)  # (n,)

    def _fit_theta(self, z: FloatArray) -> None:
        x = self._x
        if len(z) > _FIT_ROWS:
            keep = np.argsort(-z, kind="stable")
            best, rest = keep[: _FIT_ROWS // 2], keep[_FIT_ROWS // 2 :]
            keep = np.concatenate([best, rest[:: -(-2 * len(rest) // _FIT_ROWS)]])
            x, z = x[keep], z[keep]
        posterior = _Posterior(x, z, self._d, self.prior)
        start = posterior.mean
        if len(self.theta) == len(start) and posterior(self.theta)[0] < posterior(start)[0]:
            start = self.theta
        best = minimize(
            posterior, start, jac=True, method="L-BFGS-B", options={"maxiter": self.steps}
        )
        if not np.isfinite(best.x).all():
            raise SurrogateError("the fit of the kernel failed")
        self.theta = np.asarray(best.x)

    def _kernel(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """K between x (m, p) and y (n, p), shape (m, n)."""
        p = x.shape[1]
        size = np.exp(2.0 * self.theta[:4])
        left, right = self._features(x, size), self._features(y, size)
        kernel = left @ right.T  # (m, n)
        length = np.exp(self.theta[4] + self.theta[5 : 5 + p])
        a, b = x / length, y / length
        r2 = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * (a @ b.T)
        r = np.sqrt(np.maximum(r2, 0.0))
        r *= _ROOT5
        kernel += size[3] * (1.0 + r + r * r / 3.0) * np.exp(-r)
        return kernel

    def _features(self, x: FloatArray, size: FloatArray) -> FloatArray:
        """Features whose inner products are the kernel but its full part."""
        m, p = x.shape
        parts = [np.ones((m, 1)), np.sqrt(size[0]) * x.mean(axis=1)[:, None]]
        parts.append(np.sqrt(size[1] / p) * x)
        for i in range(self._d):
            levels, root = self._level_root(i)
            at = np.rint(np.expm1(x[:, i] * self.scaling.log_range[i])).astype(np.intp)
            parts.append(np.sqrt(size[2] / self._d) * root[at.clip(0, levels)])
        return np.concatenate(parts, axis=1)

    def _level_root(self, i: int) -> tuple[int, FloatArray]:
        """Highest level of component i above the lowest, and a root of its additive kernel."""
        if i not in self._roots:
            levels = round(float(np.expm1(self.scaling.log_range[i])))
            u = np.log1p(np.arange(levels + 1.0)) / self.scaling.log_range[i]
            table = _matern(np.abs(u[:, None] - u)) + 1e-8 * np.eye(levels + 1)
            self._roots[i] = (levels, cholesky(table, lower=True))
        return self._roots[i]

    def predict(self, vectors: Vectors, costs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Belief of warped accuracy: mean (m,) and sd (m,) for vectors (m, d) and costs (m, k)."""
        return self._predict(self.scaling.inputs(vectors, costs))

    def _predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        cross = self._kernel(x, self._x)  # (m, n)
        mean = cross @ self._weights  # (m,)
        solved = solve_triangular(self._low, cross.T, lower=True, check_finite=False)  # (n, m)
        size = np.exp(2.0 * self.theta[:4])
        prior = 1.0 + size[0] * x.mean(axis=1) ** 2 + size[1] * (x * x).mean(axis=1)
        prior += size[2] + size[3]
        variance = np.maximum(prior - np.einsum("nm,nm->m", solved, solved), 1e-12)
        return self._centre + self._scale * mean, self._scale * np.sqrt(variance)
