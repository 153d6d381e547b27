from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optuna_pop.order import comparable_pairs, precedents, precedes, successors

vectors_of_3 = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=30)
vector = st.tuples(*[st.integers(0, 3)] * 3)


@given(vector)
def test_irreflexive(x: tuple[int, ...]) -> None:
    assert not precedes(x, x)


@given(vector, vector)
def test_antisymmetric(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    assert not (precedes(x, y) and precedes(y, x))


@given(vector, vector, vector)
def test_transitive(x: tuple[int, ...], y: tuple[int, ...], z: tuple[int, ...]) -> None:
    if precedes(x, y) and precedes(y, z):
        assert precedes(x, z)


@given(vector, st.integers(0, 2), st.integers(1, 2))
def test_larger_component_succeeds(x: tuple[int, ...], at: int, by: int) -> None:
    y = list(x)
    y[at] += by
    assert precedes(x, y)
    assert not precedes(y, x)


@given(vectors_of_3, vector)
def test_arrays_agree_with_pairs(rows: list[tuple[int, ...]], y: tuple[int, ...]) -> None:
    array = np.array(rows, dtype=np.int16)
    target = np.array(y, dtype=np.int16)
    assert precedents(array, target).tolist() == [precedes(x, y) for x in rows]
    assert successors(array, target).tolist() == [precedes(y, x) for x in rows]


@given(vectors_of_3)
def test_comparable_pairs_are_all_of_them(rows: list[tuple[int, ...]]) -> None:
    x, y = comparable_pairs(np.array(rows, dtype=np.int16))
    expected = {
        (i, j) for i in range(len(rows)) for j in range(len(rows)) if precedes(rows[i], rows[j])
    }
    assert set(zip(x.tolist(), y.tolist(), strict=True)) == expected
