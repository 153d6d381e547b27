"""The componentwise order on integer vectors (notation: ``optuna_pop.order``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.integer[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]


def precedes(x: Sequence[int], y: Sequence[int]) -> bool:
    """Whether x ≺ y (POP paper, section 3.3)."""
    pairs = list(zip(x, y, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def precedents(vectors: Vectors, y: Vectors) -> BoolArray:
    """Which rows x of ``vectors`` have x ≺ y.

    Args:
        vectors: Shape (n, d).
        y: Shape (d,).

    Returns:
        Shape (n,).
    """
    below = np.ones(len(vectors), dtype=np.bool_)
    for column, value in zip(vectors.T, y, strict=True):
        below &= column <= value
    return _without_equal(below, vectors, y)


def successors(vectors: Vectors, x: Vectors) -> BoolArray:
    """Which rows y of ``vectors`` have x ≺ y; shapes as for ``precedents``."""
    above = np.ones(len(vectors), dtype=np.bool_)
    for column, value in zip(vectors.T, x, strict=True):
        above &= column >= value
    return _without_equal(above, vectors, x)


def _without_equal(found: BoolArray, vectors: Vectors, vector: Vectors) -> BoolArray:
    rows = np.flatnonzero(found)
    found[rows[(vectors[rows] == vector).all(axis=1)]] = False
    return found


def comparable_pairs(vectors: Vectors) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All pairs of rows with x ≺ y; memory grows with n².

    Returns:
        Row numbers of the x and of the y, each of shape (pairs,).
    """
    below = np.ones((len(vectors), len(vectors)), dtype=np.bool_)  # (x, y): x ≤ y
    for column in np.ascontiguousarray(vectors.T):
        below &= column[:, None] <= column
    x, y = np.nonzero(below & ~below.T)
    return x, y
