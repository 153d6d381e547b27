from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optuna_pop.order import PrunedSet
from optuna_pop.order.certificate import certify

GRID = np.array(list(itertools.product(range(3), range(3))), dtype=np.int16)
N = len(GRID)


@given(
    st.lists(st.integers(0, 6).map(float), min_size=N, max_size=N),
    st.lists(st.integers(0, 6).map(float), min_size=N, max_size=N),
    st.sets(st.integers(0, N - 1)),
    st.sampled_from([0.0, 1.0]),
)
def test_upper_bound_and_counts_by_definition(
    lat: list[float], acc: list[float], trained: set[int], tau: float
) -> None:
    pruned = PrunedSet(GRID, np.array(lat), tau)
    for row in trained:
        pruned.add(GRID[row], lat[row], acc[row])
    mask = np.isin(np.arange(N), list(trained))
    found = certify(pruned, np.array(lat), mask)
    assert found.trained + found.pruned + found.open == found.architectures == N
    assert found.settled == sum(m in trained or pruned.hi[m] <= pruned.reach[m] for m in range(N))
    for t in np.arange(0.0, 7.0, 0.5):
        could = [pruned.hi[m] + tau for m in range(N) if m not in trained and lat[m] <= t]
        at = np.searchsorted(found.costs, t, side="right") - 1
        assert (found.upper[at] if at >= 0 else -np.inf) == max(could, default=-np.inf)
    assert (np.diff(found.upper) > 0).all()


@given(
    st.lists(st.integers(0, 30).map(float), min_size=N, max_size=N),
    st.sets(st.integers(0, N - 1), min_size=1),
)
def test_no_unseen_architecture_passes_the_bound_while_the_order_holds(
    lat: list[float], trained: set[int]
) -> None:
    acc = GRID.sum(axis=1).astype(float)
    pruned = PrunedSet(GRID, np.array(lat))
    for row in trained:
        pruned.add(GRID[row], lat[row], acc[row])
    found = certify(pruned, np.array(lat), np.isin(np.arange(N), list(trained)))
    for m in set(range(N)) - trained:
        at = np.searchsorted(found.costs, lat[m], side="right") - 1
        assert acc[m] <= found.upper[at]
