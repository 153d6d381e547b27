"""Rows are computed, not looked up: they must be what a list of the space would give."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optuna_pop.errors import CostError, InputError
from optuna_pop.order.index import VectorIndex
from optuna_pop.spaces import BackboneSpace, DecoderSpace, OrderedSpace, PoolSpace, Space
from optuna_pop.spaces.base import CHUNK, freeze
from optuna_pop.spaces.costs import costs_at, costs_of

HUGE = BackboneSpace(max_depths=(20, 20, 20))
RULED = OrderedSpace(
    {"a": [1, 2, 3], "b": [1, 2, 3, 4]}, valid=lambda v: bool(int(v["a"]) + int(v["b"]) < 6)
)
SPACES: list[Space[object]] = [RULED, DecoderSpace(), BackboneSpace((8, 16), (2, 2, 2))]  # type: ignore[list-item]


def listed(max_depths: tuple[int, ...], widths: int) -> NDArray[np.int64]:
    """T of every backbone by itertools, in the sequence that studies have recorded."""
    found = []
    for depths in itertools.product(*(range(1, most + 1) for most in max_depths)):
        for below in itertools.combinations_with_replacement(range(sum(depths) + 1), widths - 1):
            ends = list(itertools.accumulate(depths))
            counts = [
                max(0, end - max(end - depth, narrower))
                for end, depth in zip(ends, depths, strict=True)
                for narrower in (0, *below)
            ]
            found.append(counts)
    return np.array(found)


depths = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


@given(depths, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_rank_and_unrank_agree_with_the_list(max_depths: tuple[int, ...], widths: int) -> None:
    space = BackboneSpace([8 * (j + 1) for j in range(widths)], max_depths)
    expected = listed(max_depths, widths)
    rows = np.arange(len(expected))
    assert len(space) == len(expected)
    np.testing.assert_array_equal(space.vectors(), expected)
    np.testing.assert_array_equal(space.vectors_at(rows[::-1]), expected[::-1])
    np.testing.assert_array_equal(space.rows_of(expected), rows)


@given(st.data())
@settings(max_examples=60)
def test_vectors_that_are_none_have_no_row(data: st.DataObject) -> None:
    space = BackboneSpace((8, 16, 32), (2, 3))
    near = st.integers(-2, 5)
    vector = data.draw(st.lists(near | st.integers(-(2**63), 2**63 - 1), min_size=6, max_size=6))
    known = {tuple(row): i for i, row in enumerate(space.vectors().tolist())}
    assert space.rows_of(np.array([vector]))[0] == known.get(tuple(vector), -1)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_every_vector_around_a_space_is_judged_rightly(space: Space[object]) -> None:
    known = {tuple(row): i for i, row in enumerate(space.vectors().tolist())}
    if len(space.dimensions) > 3:
        every = itertools.product(range(3), repeat=len(space.dimensions))
    else:
        every = itertools.product(range(-1, 8), repeat=len(space.dimensions))
    around = np.array(list(every))
    expected = [known.get(tuple(vector), -1) for vector in around.tolist()]
    np.testing.assert_array_equal(space.rows_of(around), expected)
    assert sorted(row for row in expected if row >= 0) == list(range(len(space)))
    rows = np.array([len(space) - 1, 0, 0])
    np.testing.assert_array_equal(space.vectors_at(rows), space.vectors()[rows])
    assert space.vectors_at(rows[:0]).shape == (0, len(space.dimensions))
    assert not len(space.rows_of(space.vectors()[:0]))


def test_spaces_of_many_pieces_are_listed_whole() -> None:
    space = BackboneSpace((8, 16, 32, 64), (8, 8))
    wide = BackboneSpace((8, 16, 32), (40, 40))
    assert len(wide) > CHUNK, "several pieces"
    for one in (space, wide):
        rows = np.arange(len(one))
        np.testing.assert_array_equal(one.rows_of(one.vectors()), rows)
        assert not one.vectors().flags.writeable
    sizes = wide.sum_blocks(lambda b: float(b.c_out))
    some = np.arange(0, len(wide), 997)
    np.testing.assert_array_equal(
        wide.sum_blocks(lambda b: float(b.c_out), wide.vectors_at(some)), sizes[some]
    )


@pytest.mark.parametrize(("most", "kind"), [(127, np.int8), (128, np.int16)])
def test_smallest_type_without_overflow(most: int, kind: type[np.generic]) -> None:
    space = BackboneSpace((8, 16), (most,))
    assert space.vectors().dtype == kind
    assert space.vectors().flags.f_contiguous
    assert space.vectors().max() == most
    known = dict.fromkeys(space.block_configs(), 1.0)
    blocks = [len(space.blocks(space.at(row))) for row in range(0, len(space), 50)]
    assert space.sum_blocks(known.__getitem__)[::50].tolist() == blocks
    levels = OrderedSpace({"a": list(range(most + 1)), "b": [0, 1]}, valid=lambda v: v["b"] == 0)
    assert levels.vectors().dtype == kind
    assert levels.from_params({"a": most, "b": 1})["a"] == most
    assert freeze(np.array([[most]])).dtype == kind


@given(st.integers(0, len(HUGE) - 1))
@settings(max_examples=50)
def test_a_huge_space_answers_without_being_listed(row: int) -> None:
    architecture = HUGE.at(row)
    assert HUGE.row(architecture) == row
    assert HUGE.from_params(HUGE.params(architecture)) == architecture
    assert HUGE.row_of_vector(HUGE.vector(architecture)) == row
    assert HUGE.architecture(HUGE.vector(architecture)) == architecture


def test_a_huge_space_is_quick_and_refuses_to_be_listed() -> None:
    assert len(HUGE) == 683_637_800
    rows = np.random.default_rng(0).integers(0, len(HUGE), 2500)
    start = time.perf_counter()
    np.testing.assert_array_equal(HUGE.rows_of(HUGE.vectors_at(rows)), rows)
    assert time.perf_counter() - start < 0.5  # 2 ms where nothing else runs
    for listing in (HUGE.vectors, lambda: HUGE.sum_blocks(lambda b: 1.0)):
        with pytest.raises(InputError, match=r"683,637,800 .* 10,000,000.*vectors_at"):
            listing()
    costs = HUGE.sum_blocks(lambda b: float(b.c_in), HUGE.vectors_at(rows[:20]))
    expected = [sum(b.c_in for b in HUGE.blocks(HUGE.at(int(row)))) for row in rows[:20]]
    assert costs.tolist() == expected
    big = OrderedSpace({f"p{i}": list(range(50)) for i in range(8)})
    assert len(big) == 50**8
    assert big.row(big.at(50**8 - 1)) == 50**8 - 1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: HUGE.vectors_at(np.array([0, len(HUGE)])), "row 683637800 lies outside"),
        (lambda: HUGE.vectors_at(np.array([-1])), "row -1 lies outside"),
        (lambda: HUGE.vectors_at(np.array([0.5])), "integers"),
        (lambda: HUGE.at(-1), "row -1"),
        (lambda: DecoderSpace().at(216), "row 216"),
        (lambda: PoolSpace([[1]]).at(-1), "row -1"),
        (lambda: DecoderSpace().rows_of(np.zeros((3, 2), dtype=int)), r"\(m, 3\)"),
        (lambda: BackboneSpace((8, 16), (40_000,)), "40000"),
        (lambda: BackboneSpace(range(1, 41), (60, 60)), "more than can be numbered"),
        (lambda: OrderedSpace({f"p{i}": range(50) for i in range(12)}), "more than can be numbe"),
        (
            lambda: OrderedSpace({f"p{i}": range(50) for i in range(5)}, valid=lambda v: True),
            "312,500,000",
        ),
        (lambda: PoolSpace([[-1]]), "negative"),
    ],
)
def test_errors_name_value_and_mend(build: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()  # type: ignore[operator]


def test_index_finds_the_first_of_equal_vectors() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, 3, size=(500, 4)).astype(np.int8)
    first: dict[tuple[int, ...], int] = {}
    for row, vector in enumerate(vectors.tolist()):
        first.setdefault(tuple(vector), row)
    index = VectorIndex(vectors)
    asked = rng.integers(-1, 4, size=(300, 4))
    expected = [first.get(tuple(vector), -1) for vector in asked.tolist()]
    assert index.rows_of(asked).tolist() == expected


def test_costs_at_rows_are_those_of_the_whole_space() -> None:
    space = BackboneSpace((8, 16), (2, 2, 2))

    class Model:
        def costs(self, space: Space[object], rows: object = None) -> NDArray[np.float64]:
            vectors = None if rows is None else space.vectors_at(rows)
            return space.sum_blocks(lambda b: float(b.c_out), vectors)

    rows = np.array([3, 0, 3, 7])
    whole = costs_of(space, Model())[:, 0]
    every = [space.blocks(space.at(row)) for row in range(len(space))]
    by_hand = [float(sum(b.c_out for b in blocks)) for blocks in every]
    assert whole.tolist() == by_hand
    for cost in (Model(), whole, lambda a: sum(b.c_out for b in space.blocks(a))):
        assert costs_at(space, cost, rows)[:, 0].tolist() == whole[rows].tolist()
    with pytest.raises(CostError, match="shape"):
        costs_at(space, np.ones(3), rows)
    with pytest.raises(CostError, match=r"16x1 \| 16x1 \| 16x1 is inf"):
        costs_at(space, lambda a: np.inf if a == space.at(0) else 1.0, rows)
