"""Counts and draws by cost against lists of every path and every architecture."""

from __future__ import annotations

import itertools
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from optuna_pop.errors import InputError
from optuna_pop.spaces import BackboneSpace, BlockConfig, DecoderSpace
from optuna_pop.spaces.backbone_paths import _graph as backbone_graph
from optuna_pop.spaces.costs import CountedSpace, cost_draws
from optuna_pop.spaces.counting import PathCounter
from optuna_pop.spaces.graph import Graph

SMALL = BackboneSpace((8, 16, 32), (2, 3, 2), input_shape=(3, 64, 96))  # 259 architectures
Floats = NDArray[np.float64]


def work(block: BlockConfig) -> float:
    """A cost with a wide range, like latency."""
    return 0.3 + float(block.c_in * block.c_out * block.h_out * block.w_out) ** 0.8 / 1e3


class Blocks:
    def block_cost(self, block: BlockConfig) -> float:
        return work(block)


def graph(nodes: int, edges: list[tuple[int, int, float]]) -> Graph:
    sources, targets, costs = (np.array(column) for column in zip(*edges, strict=True))
    return Graph(nodes, 0, nodes - 1, sources, targets, costs.astype(float), np.arange(len(edges)))


def every_path(of: Graph) -> list[tuple[tuple[int, ...], float]]:
    found = []
    open_paths: list[tuple[int, tuple[int, ...], float]] = [(of.start, (), 0.0)]
    while open_paths:
        node, labels, cost = open_paths.pop()
        if node == of.end:
            found.append((labels, cost))
            continue
        for edge in np.flatnonzero(of.sources == node).tolist():
            step = (int(of.targets[edge]), (*labels, edge), cost + float(of.costs[edge]))
            open_paths.append(step)
    return found


edges = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 6), st.sampled_from([0.0, 0.5, 1.0, 7.3, 100.0])),
    max_size=12,
).map(lambda some: [(a, b, c) for a, b, c in some if a < b])


@given(edges, st.integers(1, 40), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_any_graph_is_counted_and_drawn_as_its_list(
    some: list[tuple[int, int, float]], bins: int, seed: int
) -> None:
    of = graph(7, [(0, 6, 3.0), *some])
    paths = every_path(of)
    costs = np.array([cost for _, cost in paths])
    counter = PathCounter(of, bins)
    assert counter.size == len(paths) == counter.count(0, bins + 9)
    assert counter.lowest == pytest.approx(costs.min())
    assert counter.highest == pytest.approx(costs.max())
    rng = np.random.default_rng(seed)
    low = rng.uniform(costs.min() - 1, costs.max() + 1, 50)
    high = low + rng.uniform(-1, 30, 50)
    draws = counter.draw(low, high, rng)
    inside = (costs >= low[:, None]) & (costs <= high[:, None])
    np.testing.assert_array_equal(draws.found, inside.any(axis=1))
    known = dict(paths)
    for labels, cost, a, b in zip(draws.labels, draws.costs, low, high, strict=True):
        if not np.isnan(cost):
            assert a <= cost <= b
            assert known[tuple(labels[labels >= 0].tolist())] == pytest.approx(cost)


def test_counts_by_bin_equal_brute_force() -> None:
    rng = np.random.default_rng(1)
    layers = [(0,), (1, 2), (3, 4, 5), (6, 7), (8, 9), (10,)]
    pairs = [pair for a, b in itertools.pairwise(layers) for pair in itertools.product(a, b)]
    of = graph(11, [(a, b, float(rng.integers(0, 9))) for a, b in [*pairs, (0, 3), (2, 9)]])
    costs = np.array([cost for _, cost in every_path(of)])
    span = int(costs.max() - costs.min())
    counter = PathCounter(of, span)  # bins of width 1: whole costs are never rounded
    assert counter.width == 1.0
    for first, last in itertools.combinations_with_replacement(range(-2, span + 3), 2):
        above = costs - costs.min()
        assert counter.count(first, last) == ((above >= first) & (above <= last)).sum()


@pytest.mark.parametrize("share", [(0.0, 1.0), (0.2, 0.6), (0.45, 0.5), (0.0, 0.03)])
def test_draws_are_uniform_over_every_architecture_of_an_interval(
    share: tuple[float, float],
) -> None:
    costs = SMALL.sum_blocks(work)
    low, high = np.quantile(costs, share)
    inside = np.flatnonzero((costs >= low) & (costs <= high))
    m = 60 * len(inside)
    rows, drawn = SMALL.paths(work).draw_within(
        np.full(m, low), np.full(m, high), np.random.default_rng(7)
    )
    np.testing.assert_array_equal(drawn, costs[rows])
    np.testing.assert_array_equal(np.unique(rows), inside)
    assert chisquare(np.bincount(rows, minlength=len(SMALL))[inside]).pvalue > 0.01


def test_many_proposals_are_uniform_too() -> None:
    """Wide bins make most proposals fail, so that every round is used."""
    paths = SMALL.paths(work)
    paths.counter = PathCounter(backbone_graph(SMALL._costs(work), SMALL.max_depths)[0], bins=3)
    costs = SMALL.sum_blocks(work)
    low, high = np.quantile(costs, (0.5, 0.56))
    inside = np.flatnonzero((costs >= low) & (costs <= high))
    m = 100 * len(inside)
    rows, _ = paths.draw_within(np.full(m, low), np.full(m, high), np.random.default_rng(3))
    assert (rows >= 0).mean() > 0.99
    counts = np.bincount(rows[rows >= 0], minlength=len(SMALL))[inside]
    assert chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize(
    "space",
    [
        SMALL,
        BackboneSpace((8,), (3, 2), stem=(4, 6)),
        BackboneSpace((8, 16), (4,)),
        BackboneSpace((8, 16, 24, 32), (1, 1, 1, 1)),
        BackboneSpace((8, 16), (1,)),
    ],
    ids=str,
)
def test_each_architecture_is_one_path_of_its_cost(space: BackboneSpace) -> None:
    costs = space.sum_blocks(work)
    paths = space.paths(work)
    assert paths.counter.size == len(space)
    assert costs[paths.cheapest] == pytest.approx(costs.min())
    assert costs[paths.dearest] == pytest.approx(costs.max())
    assert paths.counter.lowest == pytest.approx(costs.min())
    assert paths.counter.highest == pytest.approx(costs.max())
    # An interval that holds a single cost gives an architecture of just this cost.
    rows, drawn = paths.draw_within(costs, costs, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn, costs)
    np.testing.assert_array_equal(costs[rows], costs)


def test_one_cost_for_all_and_costs_of_zero() -> None:
    for cost in (0.0, 2.5):
        space = BackboneSpace((8, 16), (1, 1))  # all architectures have as many blocks
        paths = space.paths(lambda block, cost=cost: cost)  # type: ignore[misc]
        total = space.sum_blocks(lambda block, cost=cost: cost)[0]  # type: ignore[misc]
        rows, drawn = paths.draw_within(
            np.full(600, total), np.full(600, total), np.random.default_rng(0)
        )
        assert (drawn == total).all()
        assert chisquare(np.bincount(rows, minlength=len(space))).pvalue > 0.01


def test_empty_intervals_are_reported() -> None:
    paths = SMALL.paths(work)
    low = np.array([paths.counter.highest * 1.01, -np.inf, 5.0, np.nan, -np.inf, 1e308])
    high = np.array([np.inf, paths.counter.lowest * 0.99, 4.0, 9.0, np.inf, np.inf])
    rows, costs = paths.draw_within(low, high, np.random.default_rng(0))
    assert (rows >= 0).tolist() == [False, False, False, False, True, False]
    assert np.isnan(costs).tolist() == [True, True, True, True, False, True]
    rows, costs = paths.draw_within(low[:0], high[:0], np.random.default_rng(0))
    assert rows.shape == costs.shape == (0,)


def test_draws_repeat_with_the_seed() -> None:
    paths = SMALL.paths(work)
    low, high = np.full(40, paths.counter.lowest), np.full(40, paths.counter.highest)
    again = [paths.draw_within(low, high, np.random.default_rng(5))[0] for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_a_huge_space_is_drawn_from_quickly() -> None:
    space = BackboneSpace(max_depths=(20, 20, 20))
    tracemalloc.start()
    paths = space.paths(work)
    rng = np.random.default_rng(0)
    extremes = np.log([paths.counter.lowest, paths.counter.highest])
    middle = np.exp(rng.uniform(extremes[0], extremes[1], 1500))
    low, high = middle * 0.975, middle * 1.025
    rows, costs = paths.draw_within(low, high, rng)
    assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    tracemalloc.stop()
    assert paths.counter.size == len(space)
    assert (rows >= 0).mean() > 0.99
    there = rows >= 0
    assert ((costs >= low) & (costs <= high))[there].all()
    np.testing.assert_array_equal(
        space.sum_blocks(work, space.vectors_at(rows[there])), costs[there]
    )
    start = time.perf_counter()
    paths.draw_within(low, high, rng)
    assert time.perf_counter() - start < 1.0  # 40 ms where nothing else runs


def test_who_can_be_drawn_from() -> None:
    assert isinstance(SMALL, CountedSpace)
    assert not isinstance(DecoderSpace(), CountedSpace)
    draws = cost_draws(SMALL, Blocks())
    assert draws is not None
    assert draws.cheapest == SMALL.sum_blocks(work).argmin()
    assert cost_draws(SMALL, lambda architecture: 1.0) is None
    assert cost_draws(DecoderSpace(), Blocks()) is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PathCounter(graph(3, [(0, 1, 1.0)])), "between 1 and"),
        (lambda: PathCounter(graph(2, [(0, 1, np.inf)])), "finite"),
        (lambda: PathCounter(graph(3, [(0, 2, 1.0), (2, 1, 1.0)])), "from 2 to 1"),
        (lambda: PathCounter(graph(2, [(0, 5, 1.0)])), "0 to 1"),
        (lambda: PathCounter(graph(2, [(0, 1, 1.0)]), bins=0), "bins"),
        (
            lambda: PathCounter(graph(65, [(i, i + 1, 0.0) for i in range(64)] * 2)),
            "18,446,744,073,709,551,616",
        ),
        (lambda: SMALL.paths(lambda block: float("nan")), "finite"),
    ],
)
def test_errors_name_value_and_mend(build: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()  # type: ignore[operator]
