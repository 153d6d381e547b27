from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_pop.order import PartialOrderSearch, PrunedSet, precedes
from optuna_pop.order.search import uniform
from tests.order import algorithm1

GRID = np.array(list(itertools.product(range(3), range(3), range(2))), dtype=np.int16)
N = len(GRID)

levels = st.lists(st.integers(0, 5).map(float), min_size=N, max_size=N)
trainings = st.lists(st.integers(0, N - 1), min_size=1, max_size=N)
tolerances = st.sampled_from([0.0, 0.5, 1.0, 2.0])


def fast(lat: np.ndarray, acc: np.ndarray, trained: list[int], tau: float) -> PrunedSet:
    found = PrunedSet(GRID, lat, tau)
    for row in trained:
        found.add(GRID[row], lat[row], acc[row])
    return found


@given(levels, levels, trainings, tolerances)
@settings(max_examples=300)
def test_set_for_set_as_algorithm_1(
    lat: list[float], acc: list[float], trained: list[int], tau: float
) -> None:
    mask = fast(np.array(lat), np.array(acc), trained, tau).mask
    expected = algorithm1.pruned(GRID.tolist(), lat, acc, trained, tau)
    assert set(np.flatnonzero(mask).tolist()) == expected


@given(levels, levels, trainings, st.randoms())
def test_sequence_of_trainings_does_not_matter(
    lat: list[float], acc: list[float], trained: list[int], random: object
) -> None:
    shuffled = list(trained)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    a = fast(np.array(lat), np.array(acc), trained, 0.0)
    b = fast(np.array(lat), np.array(acc), shuffled, 0.0)
    assert (a.mask == b.mask).all()


@given(levels, levels, trainings)
def test_pruned_only_grows_and_shrinks_with_tolerance(
    lat: list[float], acc: list[float], trained: list[int]
) -> None:
    before = np.zeros(N, dtype=bool)
    found = PrunedSet(GRID, np.array(lat))
    for row in trained:
        found.add(GRID[row], lat[row], acc[row])
        assert (found.mask >= before).all()
        before = found.mask
    assert (fast(np.array(lat), np.array(acc), trained, 1.0).mask <= before).all()


@given(levels, levels, trainings)
def test_bounds_are_those_of_successors_and_precedents(
    lat: list[float], acc: list[float], trained: list[int]
) -> None:
    found = fast(np.array(lat), np.array(acc), trained, 0.0)
    for m in range(N):
        above = [acc[w] for w in trained if precedes(GRID[m].tolist(), GRID[w].tolist())]
        below = [acc[w] for w in trained if precedes(GRID[w].tolist(), GRID[m].tolist())]
        assert found.hi[m] == min(above, default=np.inf)
        assert found.lo[m] == max(below, default=-np.inf)


@given(trainings, st.lists(st.integers(0, 40).map(float), min_size=N, max_size=N))
def test_nothing_that_lifts_the_boundary_is_pruned_when_the_order_holds(
    trained: list[int], lat: list[float]
) -> None:
    acc = GRID.sum(axis=1).astype(float)  # strictly follows the order
    found = fast(np.array(lat), acc, trained, 0.0)
    f = {t: max((acc[y] for y in trained if lat[y] <= t), default=-np.inf) for t in lat}
    for m in np.flatnonzero(found.mask).tolist():
        assert acc[m] <= f[lat[m]]


def test_two_costs_prune_only_what_is_beaten_on_both() -> None:
    vectors = np.array([[0, 0], [0, 1], [1, 1]], dtype=np.int16)
    costs = np.array([[5.0, 1.0], [4.0, 4.0], [9.0, 9.0]])
    found = PrunedSet(vectors, costs)
    found.add(vectors[2], costs[2], 70.0)
    found.add(vectors[1], costs[1], 70.0)
    # (0, 0) precedes both and is slower than [0, 1] on the first device only.
    assert found.mask.tolist() == [False, True, False]


def test_refuses_what_would_poison_the_bounds() -> None:
    found = PrunedSet(GRID, np.ones(N))
    with pytest.raises(ValueError, match="nan"):
        found.add(GRID[0], 1.0, float("nan"))
    with pytest.raises(ValueError, match="-1"):
        PrunedSet(GRID, np.ones(N), -1.0)


def test_choice_is_uniform_over_what_is_left() -> None:
    search = PartialOrderSearch(GRID, np.arange(N, dtype=float), np.arange(N), 0.0)
    search.add(N - 1, GRID[-1], float(N - 1), 60.0)
    search.add(0, GRID[0], 0.0, 60.0)  # equally good and faster: all between are pruned
    assert search.left(search.positions(set())).tolist() == [N - 1]
    assert search.choose({N - 1}, np.random.default_rng(0), uniform) is None
    assert search.exhausted({N - 1})

    fresh = PartialOrderSearch(GRID, np.ones(N), np.arange(3, N), 0.0)
    rng = np.random.default_rng(0)
    drawn = [fresh.choose({0, 3, 4}, rng, uniform) for _ in range(5_000)]
    counts = np.bincount(np.array(drawn), minlength=N)
    assert counts[:5].sum() == 0
    expected = 5_000 / (N - 5)
    # Chi-square with 12 degrees of freedom stays below 45 but once in 10^5 seeds.
    assert ((counts[5:] - expected) ** 2 / expected).sum() < 45
