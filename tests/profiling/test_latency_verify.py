from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from optuna_pop.profiling.verify import (
    MIN_NETWORKS,
    FloatArray,
    errors,
    fit_correction,
    left_out_estimates,
    verify,
)


def _networks(seed: int, m: int) -> tuple[FloatArray, FloatArray, float]:
    """Sums and counts of m random networks, and the shortest block."""
    random = np.random.default_rng(seed)
    blocks = random.uniform(0.02, 0.5, size=30)
    counts = random.integers(2, 12, size=m)
    sums = [random.choice(blocks, size=n).sum() for n in counts]
    return np.array(sums), counts.astype(np.float64), float(blocks.min())


@settings(deadline=None)  # the first call imports SciPy
@given(st.integers(0, 10_000), st.floats(0.3, 3.0), st.floats(-0.9, 0.5), st.integers(2, 30))
def test_the_fit_recovers_known_numbers(seed: int, a: float, part: float, m: int) -> None:
    sums, counts, shortest = _networks(seed, m)
    if np.linalg.cond(np.column_stack([sums, counts])) > 1e4:
        return
    b = part * a * shortest  # the shortest block still costs something
    found = fit_correction(sums, counts, a * sums + b * counts, shortest)
    assert found.a == pytest.approx(a, rel=1e-6)
    assert found.b == pytest.approx(b, rel=1e-6, abs=1e-9)


@settings(deadline=None)  # the first call imports SciPy
@given(st.integers(0, 10_000))
def test_the_fit_is_never_senseless(seed: int) -> None:
    sums, counts, shortest = _networks(seed, 8)
    measured = np.random.default_rng(seed).uniform(0.01, 5.0, size=8)
    found = fit_correction(sums, counts, measured, shortest)
    assert found.a >= 0
    assert found.a * shortest + found.b >= -1e-12  # no block below zero


def test_an_overhead_above_the_shortest_block_is_limited() -> None:
    sums, counts, shortest = _networks(1, 20)
    found = fit_correction(sums, counts, sums - 1.5 * shortest * counts, shortest)
    assert found.a * shortest + found.b == pytest.approx(0, abs=1e-12)


def test_a_network_is_not_in_the_fit_that_estimates_it() -> None:
    sums, counts, shortest = _networks(2, 9)
    measured = 1.2 * sums + 0.01 * counts
    wrong = measured.copy()
    wrong[4] *= 7
    estimates = left_out_estimates(sums, counts, wrong, shortest)
    assert estimates[4] == pytest.approx(measured[4])
    assert estimates[3] != pytest.approx(measured[3])  # this fit saw the wrong one


@settings(deadline=None)  # the first call imports SciPy
@given(st.lists(st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)), min_size=3, max_size=30))
def test_errors_agree_with_scipy(pairs: list[tuple[float, float]]) -> None:
    estimated, measured = np.array(pairs).T
    found = errors(estimated, measured)
    relative = [e / m - 1 for e, m in pairs]
    assert found.mape == pytest.approx(100 * np.mean(np.abs(relative)))
    assert found.bias == pytest.approx(100 * np.mean(relative))
    assert found.within_5 == np.mean([abs(r) <= 0.05 for r in relative])
    assert found.within_10 == np.mean([abs(r) <= 0.10 for r in relative])
    if min(np.ptp(estimated), np.ptp(measured)) > 1e-3:
        assert found.pearson == pytest.approx(stats.pearsonr(estimated, measured)[0], abs=1e-6)
        assert found.spearman == pytest.approx(stats.spearmanr(estimated, measured)[0])


def test_correlation_of_equal_numbers_is_undefined() -> None:
    found = errors(np.ones(4), np.array([1.0, 2, 3, 4]))
    assert found.pearson is None
    assert found.spearman is None
    assert errors(np.array([2.0]), np.array([1.0])).mape == 100


def test_a_correction_that_helps_is_kept() -> None:
    sums, counts, shortest = _networks(3, 12)
    noise = np.random.default_rng(0).normal(1, 0.01, size=12)
    found, correction = verify(sums, counts, (1.3 * sums - 0.01 * counts) * noise, shortest)
    assert correction is not None
    assert found.corrected is not None
    assert found.corrected.mape < 3
    assert found.sums.mape > 10
    assert correction.a == pytest.approx(1.3, abs=0.1)


def test_a_correction_that_does_not_help_is_dropped() -> None:
    sums, counts, shortest = _networks(4, 12)
    found, correction = verify(sums, counts, sums.copy(), shortest)
    assert correction is None
    assert found.sums.mape == 0


def test_a_correction_is_kept_only_where_it_improves_networks_left_out() -> None:
    outcomes = set()
    for seed in range(20):
        sums, counts, shortest = _networks(seed, 8)
        noise = np.random.default_rng(seed).normal(1, 0.05, size=8)  # nothing to correct
        found, correction = verify(sums, counts, sums * noise, shortest)
        assert found.corrected is not None
        improves = found.corrected.mape < found.sums.mape
        assert (correction is not None) == improves
        outcomes.add(improves)
    assert outcomes == {True, False}


def test_few_networks_fit_no_correction() -> None:
    sums, counts, shortest = _networks(6, MIN_NETWORKS - 1)
    found, correction = verify(sums, counts, 2 * sums, shortest)
    assert correction is None
    assert found.corrected is None
    assert found.n == MIN_NETWORKS - 1
    assert found.sums.bias == pytest.approx(-50)
