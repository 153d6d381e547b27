from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_pop.order import EnumeratedRegion, PartialOrderSearch, PrunedSet
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
    search = PartialOrderSearch(EnumeratedRegion(GRID, np.array(lat)[:, None]), tau)
    for row in trained:
        pruned.add(GRID[row], lat[row], acc[row])
        search.add(row, GRID[row], lat[row], acc[row])
    found = certify(search)
    assert found.exact
    assert found.trained + found.pruned + found.open == found.architectures == N
    assert found.settled == sum(m in trained or pruned.hi[m] <= pruned.reach[m] for m in range(N))
    for t in np.arange(0.0, 7.0, 0.5):
        could = [pruned.hi[m] + tau for m in range(N) if m not in trained and lat[m] <= t]
        assert found.upper[0](np.array(t)) == max(could, default=-np.inf)


@given(
    st.lists(st.integers(0, 30).map(float), min_size=N, max_size=N),
    st.sets(st.integers(0, N - 1), min_size=1),
)
def test_no_unseen_architecture_passes_the_bound_while_the_order_holds(
    lat: list[float], trained: set[int]
) -> None:
    acc = GRID.sum(axis=1).astype(float)
    search = PartialOrderSearch(EnumeratedRegion(GRID, np.array(lat)[:, None]), 0.0)
    for row in trained:
        search.add(row, GRID[row], lat[row], acc[row])
    found = certify(search)
    for m in set(range(N)) - trained:
        assert acc[m] <= found.upper[0](np.array(lat[m]))


def test_sample_of_a_large_space_says_about_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.array(list(itertools.product(range(8), repeat=4)), dtype=np.int16)
    lat = 1.0 + vectors.sum(axis=1)
    found = {}
    for kept in (500_000, 10):
        monkeypatch.setattr("optuna_pop.order.search.KEPT", kept)
        monkeypatch.setattr("optuna_pop.order.certificate.KEPT", kept)
        search = PartialOrderSearch(EnumeratedRegion(vectors, lat[:, None]), 0.5)
        for row in range(0, len(vectors), 200):
            search.add(row, vectors[row], lat[row], float(np.sqrt(lat[row]).round(1)))
        found[kept] = certify(search)
    exact, sampled = found[500_000], found[10]
    assert exact.exact
    assert not sampled.exact
    assert sampled.share_settled == pytest.approx(exact.share_settled, abs=0.02)
    assert sampled.trained == exact.trained
