"""Rows of backbones ↔ their vectors, by counting instead of listing.

Notation beyond ``optuna_pop.spaces.backbone``:
    D    blocks of an architecture, over all stages
    b_w  number of blocks narrower than width w, so 0 ≤ b_w ≤ b_w' ≤ D for w < w'
    M(r, x) = C(x + r, r), the number of ways to choose r times, with repeats, from x + 1 things

Architectures stand in the sequence of their depths (those of the last stage change fastest), then
of b (that of the widest width changes fastest). Depths with D blocks have M(widths - 1, D)
architectures; of b_w = v … D for r widths left there are M(r, D - v).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


class BackboneRanking:
    """The sequence of the backbones.

    Args:
        max_depths: Largest number of blocks per stage, each at least 1.
        widths: How many widths there are, at least 1.

    Attributes:
        size: Number of architectures, exact. Beyond 2^63 - 1 only the size can be asked for.
    """

    def __init__(self, max_depths: Sequence[int], widths: int) -> None:
        self._most = tuple(max_depths)
        self._widths = widths
        deepest = sum(max_depths)
        # Architectures by the blocks in the stages so far, 0 … deepest.
        after = [math.comb(depth + widths - 1, widths - 1) for depth in range(deepest + 1)]
        tables = []
        for most in reversed(self._most):
            starts = [
                [0, *itertools.accumulate(after[depth + 1 : depth + most + 1])]
                for depth in range(len(after) - most)
            ]
            after = [row[-1] for row in starts]
            tables.append(starts)
        self.size = after[0]
        if self.size > np.iinfo(np.int64).max:
            return
        # Per stage: rows before each depth of it, by the blocks before it; (blocks, most + 1).
        self._starts: list[Int64] = [np.array(starts) for starts in reversed(tables)]
        # M(r, x), shape (widths, deepest + 1)
        self._ways: Int64 = np.array(
            [[math.comb(x + r, r) for x in range(deepest + 1)] for r in range(widths)]
        )

    def vectors(self, rows: NDArray[np.integer[Any]], dtype: Any = np.int64) -> NDArray[Any]:
        """Return T (m, stages · widths), in Fortran order, of rows (m,) in [0, size)."""
        left = rows.astype(np.int64)
        depth = np.zeros(len(left), dtype=np.int64)  # of the stages so far
        ends = np.empty((len(self._most), len(left)), dtype=np.int64)
        for stage, starts in enumerate(self._starts):
            here = starts[depth]  # (m, most + 1)
            more = (here[:, 1:] <= left[:, None]).sum(axis=1)  # blocks beyond the first
            left -= starts[depth, more]
            depth += more + 1
            ends[stage] = depth
        narrower = np.zeros((self._widths, len(left)), dtype=np.int64)
        rest = depth.copy()  # D - b_w
        for j in range(1, self._widths):
            ways = self._ways[self._widths - j]
            before = ways[rest]
            rest = np.searchsorted(ways, before - left)
            left -= before - ways[rest]
            narrower[j] = depth - rest
        return _counts(ends, narrower, dtype)

    def rows(self, vectors: NDArray[np.integer[Any]]) -> Int64:
        """Return the rows (m,) of T (m, stages · widths), -1 where there is no such backbone."""
        deepest = sum(self._most)
        counts = np.clip(vectors.T, -1, deepest + 1).astype(np.int64)  # keeps what is wrong wrong
        counts = counts.reshape(len(self._most), self._widths, -1)
        depths = counts[:, 0].clip(1, np.array(self._most)[:, None])
        ends = np.cumsum(depths, axis=0)  # (stages, m)
        deep = ends[-1]
        narrower = np.clip(deep - counts.sum(axis=0), 0, deep)  # (widths, m)
        narrower[0] = 0
        again = _counts(ends, narrower, np.int64).T
        fits = (counts.reshape(again.shape) == again).all(axis=0)
        fits &= (np.diff(narrower, axis=0) >= 0).all(axis=0)
        found = np.zeros(len(deep), dtype=np.int64)
        for starts, end, depth in zip(self._starts, ends, depths, strict=True):
            found += starts[end - depth, depth - 1]
        for j in range(1, self._widths):
            ways = self._ways[self._widths - j]
            found += ways[deep - narrower[j - 1]] - ways[deep - narrower[j]]
        return np.where(fits, found, -1)


def _counts(ends: Int64, narrower: Int64, dtype: Any) -> NDArray[Any]:
    """Turn depths and width bounds into T.

    Args:
        ends: Blocks up to the end of each stage, shape (stages, m).
        narrower: b, shape (widths, m), 0 for the first width.
        dtype: Of the result.

    Returns:
        T of shape (m, stages · widths), in Fortran order.
    """
    stages, m = ends.shape
    counts = np.empty((stages, len(narrower), m), dtype=dtype)
    starts = np.zeros_like(ends[0])
    for stage, end in enumerate(ends):
        # Of a stage's blocks, those from position max(start, b) on are wide enough.
        counts[stage] = np.maximum(end - np.maximum(starts, narrower), 0)
        starts = end
    return counts.reshape(stages * len(narrower), m).T
