"""A plain list of candidates, each with an order vector."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from optuna.distributions import BaseDistribution, IntDistribution

from optuna_pop.errors import ArchitectureError, InputError
from optuna_pop.order.index import VectorIndex
from optuna_pop.spaces.base import IntArray, ParamValue, Rows, Space, freeze


@dataclass(frozen=True, slots=True)
class Candidate:
    """One entry of a pool.

    Attributes:
        row: Its place in the pool.
        name: What the user calls it.
    """

    row: int
    name: str

    def __str__(self) -> str:
        return self.name


class PoolSpace(Space[Candidate]):
    """Candidates that exist only as listed, e.g. published networks or a tabular benchmark.

    Args:
        vectors: Order vectors, shape (n, d), integers ≥ 0. Candidates with equal vectors are
            allowed; neither precedes the other.
        names: n distinct names; the row numbers by default.
        dimensions: d names of the components.

    Raises:
        InputError: if shapes do not fit or names repeat.
    """

    def __init__(
        self,
        vectors: ArrayLike,
        names: Sequence[str] | None = None,
        dimensions: Sequence[str] | None = None,
    ) -> None:
        array = np.asarray(vectors)
        if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "iu":
            raise InputError(
                f"vectors must be integers of shape (n, d) but have shape {array.shape} "
                f"and type {array.dtype}"
            )
        self._listed = freeze(array)
        self._names = tuple(names) if names is not None else tuple(map(str, range(len(array))))
        self._dimensions = tuple(dimensions or (f"level_{i + 1}" for i in range(array.shape[1])))
        if len(self._names) != len(array) or len(set(self._names)) < len(self._names):
            raise InputError(
                f"names must be {len(array)} distinct texts but {len(self._names)} were given, "
                f"{len(set(self._names))} of them distinct"
            )
        if len(self._dimensions) != array.shape[1]:
            raise InputError(f"dimensions must be {array.shape[1]} names, not {self._dimensions}")

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the vector components."""
        return self._dimensions

    def __len__(self) -> int:
        return len(self._listed)

    def vectors(self) -> IntArray:
        """Return the order vectors as given, shape (n, d)."""
        return self._listed

    def vectors_at(self, rows: NDArray[np.integer[Any]]) -> IntArray:
        """Return the order vectors of some candidates; see ``Space.vectors_at``."""
        return self._listed[self._checked(rows)]

    def rows_of(self, vectors: IntArray) -> Rows:
        """Return the first candidate of each vector, or -1; see ``Space.rows_of``."""
        return self._index.rows_of(self._checked_vectors(vectors))

    @cached_property
    def _index(self) -> VectorIndex:
        return VectorIndex(self._listed)

    def at(self, row: int) -> Candidate:
        """Return the candidate in row ``row`` of the pool.

        Raises:
            InputError: if the row lies outside.
        """
        if not 0 <= row < len(self):
            raise InputError(f"row {row} lies outside {self}: rows run from 0 to {len(self) - 1}")
        return Candidate(row, self._names[row])

    def row(self, architecture: Candidate) -> int:
        """Return a candidate's place in the pool.

        Raises:
            ArchitectureError: if it is of another pool.
        """
        row = architecture.row
        if not 0 <= row < len(self) or self._names[row] != architecture.name:
            raise ArchitectureError(f"candidate {architecture} (row {row}) is not of this pool")
        return row

    def vector(self, architecture: Candidate) -> tuple[int, ...]:
        """Return a candidate's order vector."""
        return tuple(self._listed[self.row(architecture)].tolist())

    def distributions(self) -> dict[str, BaseDistribution]:
        """One integer, the candidate's row; its name is in the trial's attributes."""
        return {"candidate": IntDistribution(0, len(self) - 1)}

    def params(self, architecture: Candidate) -> dict[str, ParamValue]:
        """Return the candidate's row by parameter name."""
        return {"candidate": self.row(architecture)}

    def from_params(self, params: Mapping[str, ParamValue]) -> Candidate:
        """Return the candidate in the given row."""
        return self.at(cast("int", params["candidate"]))

    def spec(self) -> dict[str, Any]:
        """Describe the pool in JSON types, its contents by a digest."""
        digest = hashlib.sha256(self._listed.astype(np.int16).tobytes())
        digest.update("\n".join(self._names).encode())
        return {
            "space": "pool",
            "candidates": len(self),
            "dimensions": list(self._dimensions),
            "content": digest.hexdigest()[:16],
        }
