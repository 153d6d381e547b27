from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_pop.order import Staircase, boundary_mask, staircase
from tests.order import algorithm1

networks = st.lists(
    st.tuples(st.integers(1, 6).map(float), st.integers(0, 6).map(float)), min_size=1, max_size=25
)


@given(networks)
def test_boundary_is_equation_6(points: list[tuple[float, float]]) -> None:
    cost, accuracy = np.array(points).T
    mask = boundary_mask(cost, accuracy)
    expected = algorithm1.boundary(list(range(len(points))), cost.tolist(), accuracy.tolist())
    assert set(np.flatnonzero(mask).tolist()) == expected


@given(networks)
def test_staircase_is_the_running_maximum(points: list[tuple[float, float]]) -> None:
    cost, accuracy = np.array(points).T
    f = Staircase.of(cost, accuracy)
    for t in np.arange(0.5, 7.0, 0.5):
        reached = accuracy[cost <= t]
        expected = reached.max() if len(reached) else -np.inf
        assert f(np.array([t]))[0] == expected
    assert (np.diff(f.costs) > 0).all()
    assert (np.diff(f.accuracies) > 0).all()


@given(networks)
def test_staircase_rows_lie_on_the_boundary(points: list[tuple[float, float]]) -> None:
    cost, accuracy = np.array(points).T
    assert boundary_mask(cost, accuracy)[staircase(cost, accuracy)].all()


@given(st.lists(st.tuples(*[st.integers(0, 3).map(float)] * 3), min_size=1, max_size=20))
def test_two_costs_against_pareto_definition(points: list[tuple[float, ...]]) -> None:
    array = np.array(points)
    costs, accuracy = array[:, :2], array[:, 2]
    held = set(staircase(costs, accuracy).tolist())
    values = {tuple(p) for p in points}
    best = {
        p
        for p in values
        if not any(q != p and q[0] <= p[0] and q[1] <= p[1] and q[2] >= p[2] for q in values)
    }
    assert {points[row] for row in held} == best
    assert len(held) == len(best), "equals are held once"


def test_equals_keep_the_first_trained() -> None:
    assert staircase(np.array([1.0, 1.0]), np.array([5.0, 5.0])).tolist() == [0]


def test_equation_6_keeps_ties() -> None:
    # Equal cost, different accuracy: neither is strictly faster, so Eq. 6 keeps both.
    assert boundary_mask(np.array([1.0, 1.0]), np.array([5.0, 6.0])).all()


def test_nothing_is_as_fast() -> None:
    f = Staircase.of(np.array([2.0]), np.array([50.0]))
    assert f(np.array([1.0, 2.0, 3.0])).tolist() == pytest.approx([-np.inf, 50.0, 50.0])
