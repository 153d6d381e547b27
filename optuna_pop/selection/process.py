"""Gaussian process over log-levels and log-cost; NumPy and SciPy only.

Notation:
    n, m      observations, queried inputs
    d, p      log-levels, inputs: log-levels and maybe log-costs, all in [0, 1]
    x         inputs, the log-levels first; see ``scaling``                           (n, p)
    v         observed values; z = (v - centre) / scale                               (n,)
    K         kernel = 1 + a·slope + b·linear + g·additive + h·full                   (n, n)
        slope    mean(x) mean(x'): one slope common to all inputs
        linear   x·x' / p: a slope for each input
        additive mean over log-levels of Matérn 5/2 with length 1: a sum over single levels
        full     Matérn 5/2 with a length for each input
    θ         log standard deviations and log lengths, at their maximum a posteriori
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

FloatArray: TypeAlias = NDArray[np.float64]

_ROOT5 = float(np.sqrt(5.0))
_JITTER = 1e-8
_FIT_ROWS = 200  # θ is fitted to at most so many observations
_FARTHEST = 6.0  # θ is sought within so many sd of its prior, where exponentials stay finite
_MOST_LEVELS = 128  # of one component that the additive part tells apart


class SurrogateError(ValueError):
    """The data do not determine a surrogate."""


def _matern(r: FloatArray) -> FloatArray:
    return (1.0 + _ROOT5 * r + 5.0 / 3.0 * r * r) * np.exp(-_ROOT5 * r)


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
        # A step may lead so far off that the kernel overflows: it is refused, without a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                value, slope = self._at(theta)
            except np.linalg.LinAlgError:
                value = np.inf
        if not np.isfinite(value):
            return 1e10, np.zeros_like(theta)
        return value, slope

    def _at(self, theta: FloatArray) -> tuple[float, FloatArray]:
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
        low = cholesky(kernel, lower=True, check_finite=False)
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
class GaussianProcess:
    """Belief of a value over inputs.

    Args:
        log_range: log(1 + highest - lowest level) of each component, shape (d,).
        prior: Of the kernel's parameters.
        steps: Most steps of the optimiser in one fit of θ.

    Attributes:
        theta: Fitted θ, shape (6 + p,); empty before the first fit.
        at_observed: Belief at the observed inputs, shape (n,).
        noise_sd: Of one observation.
    """

    log_range: FloatArray
    prior: Prior = field(default_factory=Prior)
    steps: int = 40
    theta: FloatArray = field(default_factory=lambda: np.empty(0))
    at_observed: FloatArray = field(default_factory=lambda: np.empty(0))
    noise_sd: float = np.inf
    _roots: dict[int, tuple[FloatArray, FloatArray]] = field(default_factory=dict)

    def fit(self, x: FloatArray, values: FloatArray, *, refit: bool = True) -> None:
        """Condition on observations.

        Args:
            x: Shape (n, p).
            values: Shape (n,), finite.
            refit: Whether θ is fitted again; else the last one is kept.

        Raises:
            SurrogateError: if there are fewer than two observations or two values.
        """
        if len(values) < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
            raise SurrogateError("a surrogate needs two finite values that differ")
        self._centre, self._scale = float(values.mean()), float(values.std())
        self._x = x
        z = (values - self._centre) / self._scale  # (n,)
        if refit or len(self.theta) != 6 + x.shape[1]:
            self._fit_theta(z)
        kernel = self._kernel(x, x)  # (n, n)
        noise = np.exp(2.0 * self.theta[-1])
        self._low = cholesky(kernel + (noise + _JITTER) * np.eye(len(z)), lower=True)
        self._weights = cho_solve((self._low, True), z)  # (n,)
        self.noise_sd = float(np.sqrt(noise)) * self._scale
        self.at_observed = self._centre + self._scale * (kernel @ self._weights)  # (n,)

    def _fit_theta(self, z: FloatArray) -> None:
        x = self._x
        if len(z) > _FIT_ROWS:
            keep = np.argsort(-z, kind="stable")
            best, rest = keep[: _FIT_ROWS // 2], keep[_FIT_ROWS // 2 :]
            keep = np.concatenate([best, rest[:: -(-2 * len(rest) // _FIT_ROWS)]])
            x, z = x[keep], z[keep]
        posterior = _Posterior(x, z, len(self.log_range), self.prior)
        start = posterior.mean
        if len(self.theta) == len(start) and posterior(self.theta)[0] < posterior(start)[0]:
            start = self.theta
        low, high = (posterior.mean + side * _FARTHEST * posterior.sd for side in (-1.0, 1.0))
        best = minimize(
            posterior,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=np.column_stack([low, high]),
            options={"maxiter": self.steps},
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
        for i in range(len(self.log_range)):
            between, root = self._level_root(i)
            at = np.searchsorted(between, x[:, i])
            parts.append(np.sqrt(size[2] / len(self.log_range)) * root[at])
        return np.concatenate(parts, axis=1)

    def _level_root(self, i: int) -> tuple[FloatArray, FloatArray]:
        """Midpoints between the log-levels of component i, and a root of its additive kernel.

        Of very many levels, those too near to tell apart share a row of the root.
        """
        if i not in self._roots:
            levels = round(float(np.expm1(self.log_range[i])))
            u = np.log1p(np.arange(levels + 1.0)) / self.log_range[i]
            if len(u) > _MOST_LEVELS:
                u = np.linspace(0.0, 1.0, _MOST_LEVELS)
            table = _matern(np.abs(u[:, None] - u)) + 1e-8 * np.eye(len(u))
            self._roots[i] = ((u[1:] + u[:-1]) / 2.0, cholesky(table, lower=True))
        return self._roots[i]

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Belief at inputs (m, p): mean (m,) and sd (m,)."""
        cross = self._kernel(x, self._x)  # (m, n)
        mean = cross @ self._weights  # (m,)
        solved = solve_triangular(self._low, cross.T, lower=True, check_finite=False)  # (n, m)
        size = np.exp(2.0 * self.theta[:4])
        prior = 1.0 + size[0] * x.mean(axis=1) ** 2 + size[1] * (x * x).mean(axis=1)
        prior += size[2] + size[3]
        variance = np.maximum(prior - np.einsum("nm,nm->m", solved, solved), 1e-12)
        return self._centre + self._scale * mean, self._scale * np.sqrt(variance)
