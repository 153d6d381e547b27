from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_pop.order import EnumeratedRegion, PartialOrderSearch, PrunedSet, precedes
from optuna_pop.order.pruning import TrainedSet
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


def test_bounds_of_a_few_are_those_of_all() -> None:
    rng = np.random.default_rng(3)
    for known in (True, False):
        lat, acc = rng.integers(0, 6, (N, 2)).astype(float), rng.integers(0, 6, N).astype(float)
        kept, seen = PrunedSet(GRID, lat if known else 2), TrainedSet(3, 2)
        for row in rng.permutation(N)[:9].tolist():
            kept.add(GRID[row], lat[row], acc[row])
            seen.add(GRID[row], lat[row], acc[row])
        some = rng.permutation(N)[:7]
        a, b = kept.at(some), seen.bounds(GRID[some], lat[some] if known else None)
        for name in ("hi", "lo", "reach", "floor"):
            assert getattr(a, name).tolist() == getattr(b, name).tolist(), name


@given(levels, levels, trainings)
def test_unknown_costs_are_floored_by_precedents(
    lat: list[float], acc: list[float], trained: list[int]
) -> None:
    found = PrunedSet(GRID, 1)
    for row in trained:
        found.add(GRID[row], lat[row], acc[row])
    for m in range(N):
        below = [lat[w] for w in trained if precedes(GRID[w].tolist(), GRID[m].tolist())]
        floor = max(below, default=-np.inf)
        assert found.floor[m, 0] == floor
        assert found.reach[m] == max((acc[y] for y in trained if lat[y] <= floor), default=-np.inf)


def search_of(rows: np.ndarray | None, costs: np.ndarray) -> PartialOrderSearch:
    return PartialOrderSearch(EnumeratedRegion(GRID, costs[:, None], rows), 0.0)


def test_choice_is_uniform_over_what_is_left() -> None:
    search = search_of(None, np.arange(N, dtype=float))
    search.add(N - 1, GRID[-1], float(N - 1), 60.0)
    search.add(0, GRID[0], 0.0, 60.0)  # equally good and faster: all between are pruned
    assert search.left(np.arange(N), np.array([], dtype=int)).tolist() == [N - 1]
    assert search.choose({N - 1}, np.random.default_rng(0), uniform) is None
    assert search.exhausted({N - 1})

    fresh = search_of(np.arange(3, N), np.ones(N))
    rng = np.random.default_rng(0)
    drawn = [fresh.choose({0, 3, 4}, rng, uniform) for _ in range(5_000)]
    counts = np.bincount(np.array(drawn), minlength=N)
    assert counts[:5].sum() == 0
    expected = 5_000 / (N - 5)
    # Chi-square with 12 degrees of freedom stays below 45 but once in 10^5 seeds.
    assert ((counts[5:] - expected) ** 2 / expected).sum() < 45


def test_large_and_small_regions_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ŝ too large to keep P for gives the same P, and ends when nothing is left."""
    rng = np.random.default_rng(0)
    lat, acc = rng.random(N), GRID.sum(axis=1) + rng.random(N)
    small = search_of(None, lat)
    monkeypatch.setattr("optuna_pop.order.search.KEPT", 4)
    monkeypatch.setattr("optuna_pop.order.search._CHUNK", 5)
    large = search_of(None, lat)
    taken: set[int] = set()
    while (row := large.choose(taken, rng, uniform)) is not None:
        assert row not in small.pruned()
        taken.add(row)
        for search in (small, large):
            search.add(row, GRID[row], lat[row], acc[row])
        assert large.pruned().tolist() == small.pruned().tolist()
    assert small.exhausted(taken)
    assert large.exhausted(taken)
