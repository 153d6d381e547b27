"""How well block latencies predict whole networks (POP paper, section 3.2, Figure 3(a)).

Notation:
    m  number of networks measured
    S  per network the sum of its blocks' latencies, ms, shape (m,)
    n  per network its number of blocks, shape (m,)
    y  per network its measured latency, ms, shape (m,)
    q  latency of the table's shortest block, ms

Correction: y ≈ a·S + b·n. Arrays only; nothing here measures, reads or writes.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from optuna_pop.profiling.records import Correction, Errors, Verification

FloatArray: TypeAlias = NDArray[np.float64]

MIN_NETWORKS = 5
"""Fewer networks say nothing about a fit of two numbers."""


def fit_correction(
    sums: FloatArray, counts: FloatArray, measured: FloatArray, shortest: float
) -> Correction:
    """Fit a·S + b·n to y, minimising the relative error.

    a is not negative, and b is not so negative that the shortest block would cost less than
    nothing. With b = c - a·q both are the non-negative least squares of
    a·(S - q·n) + c·n ≈ y, so there is no special case.

    Args:
        sums: S, shape (m,), m >= 2.
        counts: n, shape (m,).
        measured: y, shape (m,), positive.
        shortest: q.

    Returns:
        The correction with the least squared relative error among the sensible ones.
    """
    from scipy.optimize import nnls

    columns = np.column_stack([sums - shortest * counts, counts]) / measured[:, None]  # (m, 2)
    (a, c), _ = nnls(columns, np.ones(len(measured)))
    return Correction(a=float(a), b=float(c - a * shortest))


def left_out_estimates(
    sums: FloatArray, counts: FloatArray, measured: FloatArray, shortest: float
) -> FloatArray:
    """Estimate each network by the correction fitted to all the others.

    Returns:
        Milliseconds, shape (m,).
    """
    found = np.empty_like(measured)
    for i in range(len(measured)):
        others = np.arange(len(measured)) != i
        fit = fit_correction(sums[others], counts[others], measured[others], shortest)
        found[i] = fit.a * sums[i] + fit.b * counts[i]
    return found


def errors(estimated: FloatArray, measured: FloatArray) -> Errors:
    """Compare estimates with measurements, both in ms and of shape (m,), m >= 1."""
    relative = estimated / measured - 1
    size = np.abs(relative)
    return Errors(
        pearson=_correlation(estimated, measured),
        spearman=_correlation(_ranks(estimated), _ranks(measured)),
        mape=float(100 * size.mean()),
        bias=float(100 * relative.mean()),
        within_5=float((size <= 0.05).mean()),
        within_10=float((size <= 0.10).mean()),
    )


def verify(
    sums: FloatArray, counts: FloatArray, measured: FloatArray, shortest: float
) -> tuple[Verification, Correction | None]:
    """Say how good plain and corrected sums are, and which to use.

    Args:
        sums: S, shape (m,), m >= 1.
        counts: n, shape (m,).
        measured: y, shape (m,), positive.
        shortest: q.

    Returns:
        The verification, and the correction fitted to all networks if corrections improve the
        mean absolute error of networks left out, else None.
    """
    plain = errors(sums, measured)
    if len(measured) < MIN_NETWORKS:
        return Verification(n=len(measured), sums=plain, corrected=None), None
    left_out = errors(left_out_estimates(sums, counts, measured, shortest), measured)
    keep = left_out.mape < plain.mape
    return (
        Verification(n=len(measured), sums=plain, corrected=left_out),
        fit_correction(sums, counts, measured, shortest) if keep else None,
    )


def _correlation(x: FloatArray, y: FloatArray) -> float | None:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / scale, -1, 1)) if scale > 0 else None


def _ranks(values: FloatArray) -> FloatArray:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values), dtype=np.float64)
