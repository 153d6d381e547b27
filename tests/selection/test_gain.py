from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_pop.selection.gain import Area, expected_gain
from optuna_pop.selection.warping import Warp

WARP = Warp(100.0)


def area_by_grid(costs: np.ndarray, accuracy: np.ndarray, floor: float, points: int) -> np.ndarray:
    """f on a fine grid of scaled cost."""
    at = (np.arange(points) + 0.5) / points
    reached = np.where(costs[:, None] <= at, accuracy[:, None], floor)
    return np.maximum(reached.max(axis=0), floor)


@pytest.mark.parametrize("bounds", [None, (52.0, 88.0), (75.0, 78.0), (40.0, 60.0)])
def test_closed_form_against_monte_carlo(bounds: tuple[float, float] | None) -> None:
    rng = np.random.default_rng(0)
    costs = np.array([0.1, 0.4, 0.7, 0.2])
    accuracy = np.array([60.0, 75.0, 80.0, 55.0])
    candidates = np.array([0.05, 0.4, 0.55, 0.9])
    mean, sd = WARP(np.array([58.0, 76.0, 79.0, 85.0])), np.array([0.1, 0.2, 0.3, 0.05])
    area = Area.under(costs[:, None], WARP(accuracy), float(WARP(np.array(50.0))))
    given = None if bounds is None else tuple(WARP(np.full(4, b)) for b in bounds)
    exact = expected_gain(area, WARP, candidates[:, None], mean, sd, given)  # type: ignore[arg-type]

    f = area_by_grid(costs, accuracy, 50.0, 2_000)
    at = (np.arange(2_000) + 0.5) / 2_000
    for i, cost in enumerate(candidates):
        y = WARP.back(mean[i] + sd[i] * rng.standard_normal(20_000))
        if bounds is not None:
            y = np.clip(y, *bounds)
        levels, measure = np.unique(f[at >= cost], return_counts=True)
        lift = np.maximum(y[:, None] - levels, 0.0) @ measure / 2_000
        assert exact[i] == pytest.approx(lift.mean(), rel=0.02, abs=2e-3)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 99)), min_size=1, max_size=12))
@settings(max_examples=100)
def test_area_is_the_staircase(points: list[tuple[float, float]]) -> None:
    costs, accuracy = np.array(points).T
    area = Area.under(costs[:, None], accuracy, float(accuracy.min()))
    assert area.width.sum() == pytest.approx(1.0)
    for t in np.linspace(0.0, 1.0, 7):
        reached = accuracy[costs <= t]
        expected = max(reached.max(), accuracy.min()) if len(reached) else accuracy.min()
        assert area.at(np.array([[t]]))[0] == expected


def test_two_costs_count_only_what_both_reach() -> None:
    area = Area.under(np.array([[0.0, 0.0]]), WARP(np.array([50.0])), float(WARP(np.array(50.0))))
    sure = np.full(2, 1e-6)
    mean = WARP(np.array([60.0, 60.0]))
    gain = expected_gain(area, WARP, np.array([[0.5, 0.5], [0.0, 0.0]]), mean, sure)
    assert gain[1] == pytest.approx(10.0, rel=1e-3)
    assert gain[0] == pytest.approx(10.0 / 4, rel=0.05), "a quarter of the square is as slow"


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=8, unique=True))
def test_warp_is_the_same_for_fractions_and_percentages(fractions: list[float]) -> None:
    a = np.array(fractions)
    if np.ptp(a) < 1e-6:
        return
    as_fraction, as_percent = Warp.of(a)(a), Warp.of(100 * a)(100 * a)
    assert np.diff(as_percent) == pytest.approx(np.diff(as_fraction), abs=1e-6)
    assert Warp.of(a).back(as_fraction) == pytest.approx(a)
