"""Finding the rows of a space by their vectors.

Notation beyond ``optuna_pop.order``:
    code  pseudo-random hash of a vector: Σ vector_i · multiplier_i mod 2^64
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optuna_pop.order.relation import Vectors

Rows = NDArray[np.intp]


class VectorIndex:
    """Finds rows by vector.

    Args:
        vectors: Shape (n, d); of equal rows the first is found.
    """

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        draws = np.random.default_rng(20190619).integers(2**63, size=(vectors.shape[1],))
        self._multipliers = [np.uint64(2 * int(draw) + 1) for draw in draws]
        codes = self._codes(vectors)  # (n,)
        rows = np.argsort(codes)  # not stable, which is several times as fast
        codes = codes[rows]
        same = np.flatnonzero(codes[1:] == codes[:-1])
        if len(same):
            same = np.union1d(same, same + 1)
            rows[same] = rows[same][np.lexsort((rows[same], codes[same]))]
        few = len(rows) <= np.iinfo(np.int32).max
        self._rows = rows.astype(np.int32) if few else rows
        self._codes_sorted = codes

    def _codes(self, vectors: Vectors) -> NDArray[np.uint64]:
        codes = np.zeros(len(vectors), dtype=np.uint64)
        for column, multiplier in zip(vectors.T, self._multipliers, strict=True):
            codes += column.astype(np.int64).astype(np.uint64) * multiplier
        return codes

    def rows_of(self, vectors: Vectors) -> Rows:
        """Row of each of ``vectors`` (m, d), shape (m,); -1 where there is none."""
        at = np.searchsorted(self._codes_sorted, self._codes(vectors)).clip(max=len(self._rows) - 1)
        rows = self._rows[at].astype(np.intp)
        there = (self._vectors[rows] == vectors).all(axis=1)
        return np.where(there, rows, -1)
