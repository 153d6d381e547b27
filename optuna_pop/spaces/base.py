"""What every space of architectures offers: vectors ↔ architectures ↔ Optuna parameters.

Notation:
    n  number of architectures in the space
    m  number of those that are asked for
    d  number of components of an order vector
    x ≺ y  ⇔  vector(x) ≤ vector(y) in every component and vector(x) ≠ vector(y)

A space is a set of integer vectors under the componentwise order; see ``optuna_pop.order``.
Architectures are addressed by their row, 0 … n - 1, which is the same in every process. Spaces may
be far too large to be listed: what walks a whole space is only for up to ``MOST_ENUMERATED``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import BaseTrial

from optuna_pop.errors import ArchitectureError, InputError
from optuna_pop.fingerprint import fingerprint
from optuna_pop.spaces.blocks import BlockConfig

A = TypeVar("A")
IntArray: TypeAlias = NDArray[np.integer[Any]]
Rows: TypeAlias = NDArray[np.intp]
FloatArray: TypeAlias = NDArray[np.float64]
ParamValue: TypeAlias = int | float | str | bool | None

MOST_ENUMERATED = 10_000_000
"""Spaces of more architectures are never listed."""
CHUNK = 1 << 16
"""Rows worked on at once where a whole space is walked: few enough for a processor's cache."""
ARCHITECTURE_ATTR = "architecture"
"""User attribute of a trial that shows its architecture in words."""


class Space(ABC, Generic[A]):
    """A finite set of architectures under a partial order."""

    # --- what a concrete space says of itself ---------------------------------------------

    @property
    @abstractmethod
    def dimensions(self) -> tuple[str, ...]:
        """Names of the d vector components."""

    @abstractmethod
    def __len__(self) -> int:
        """Return n, without listing the space."""

    @abstractmethod
    def vectors_at(self, rows: NDArray[np.integer[Any]]) -> IntArray:
        """Return the order vectors of some rows.

        Args:
            rows: Shape (m,), each in [0, n).

        Returns:
            Shape (m, d), of the type of ``vectors()``: widen it before adding or multiplying.

        Raises:
            InputError: if a row lies outside.
        """

    @abstractmethod
    def rows_of(self, vectors: IntArray) -> Rows:
        """Return the rows that hold some vectors, the first of several.

        Args:
            vectors: Shape (m, d), any integers.

        Returns:
            Shape (m,); -1 where the space has no such vector.

        Raises:
            InputError: if the vectors have another number of components.
        """

    @abstractmethod
    def at(self, row: int) -> A:
        """Return the architecture in row ``row``.

        Raises:
            InputError: if the row lies outside [0, n).
        """

    @abstractmethod
    def vector(self, architecture: A) -> tuple[int, ...]:
        """Return the d components of an architecture's order vector."""

    @abstractmethod
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna parameters that describe an architecture, by name."""

    @abstractmethod
    def params(self, architecture: A) -> dict[str, ParamValue]:
        """Return the values of the parameters that give exactly this architecture."""

    @abstractmethod
    def from_params(self, params: Mapping[str, ParamValue]) -> A:
        """Return the architecture for any values within ``distributions()``.

        Samplers that do not know the space may combine values that no architecture has; those
        are mapped to an architecture nearby, the same one every time, never to an invalid one.
        """

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """Describe the space in JSON types; equal spaces give equal descriptions."""

    def blocks(self, architecture: A) -> tuple[BlockConfig, ...]:
        """Return the block configurations an architecture consists of, in order.

        Raises:
            InputError: if architectures of this space are not made of blocks.
        """
        raise InputError(
            f"{type(self).__name__} has no block configurations for {architecture}: "
            "give the cost as a function of the architecture instead of a latency table"
        )

    def block_configs(self) -> tuple[BlockConfig, ...]:
        """Return every block configuration some architecture needs, sorted."""
        found = {block for row in range(len(self)) for block in self.blocks(self.at(row))}
        return tuple(sorted(found))

    def sum_blocks(
        self, cost_of: Callable[[BlockConfig], float], vectors: IntArray | None = None
    ) -> FloatArray:
        """Add up a cost per block configuration over architectures.

        Args:
            cost_of: Cost of one block configuration; called once for each.
            vectors: Those of the architectures, shape (m, d); of the whole space by default.

        Returns:
            Array of shape (m,), or (n,) in the sequence of the rows.

        Raises:
            InputError: if architectures of this space are not made of blocks, or the whole space
                is too large to be listed.
            ArchitectureError: if a vector is none of the space's.
        """
        known = {block: cost_of(block) for block in self.block_configs()}
        if vectors is None:
            self._refuse_enumeration()
            wanted: Iterable[A] = (self.at(row) for row in range(len(self)))
        else:
            wanted = (self.architecture(tuple(vector)) for vector in vectors.tolist())
        sums = [sum(known[b] for b in self.blocks(architecture)) for architecture in wanted]
        return np.array(sums, dtype=np.float64)

    # --- what follows from it --------------------------------------------------------------

    def vectors(self) -> IntArray:
        """All order vectors, one row an architecture, always in the same sequence.

        Returns:
            Read-only array of shape (n, d), in Fortran order, of the smallest integer type.

        Raises:
            InputError: if there are more than ``MOST_ENUMERATED``.
        """
        return self._vectors

    @cached_property
    def _vectors(self) -> IntArray:
        self._refuse_enumeration()
        some = self.vectors_at(np.zeros(1, dtype=np.intp))
        found = np.empty((len(self), some.shape[1]), dtype=some.dtype, order="F")
        for rows in self._chunks():
            found[rows[0] : rows[-1] + 1] = self.vectors_at(rows)
        found.setflags(write=False)
        return found

    def _chunks(self) -> Iterator[Rows]:
        """All rows, ascending, in pieces."""
        for start in range(0, len(self), CHUNK):
            yield np.arange(start, min(start + CHUNK, len(self)))

    def _refuse_enumeration(self) -> None:
        if len(self) > MOST_ENUMERATED:
            raise InputError(
                f"{self} is too large to be listed (at most {MOST_ENUMERATED:,}): ask for single "
                "rows, for instance with vectors_at(rows), or make the space smaller"
            )

    def _checked(self, rows: NDArray[np.integer[Any]]) -> Rows:
        """Return rows as an index; refuses those outside."""
        rows = np.asarray(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise InputError(
                f"rows must be integers of shape (m,) but have shape {rows.shape} "
                f"and type {rows.dtype}"
            )
        outside = (rows < 0) | (rows >= len(self))
        if outside.any():
            raise InputError(
                f"row {rows[outside][0]} lies outside {self}: rows run from 0 to {len(self) - 1}"
            )
        return rows.astype(np.intp, copy=False)

    def _checked_vectors(self, vectors: IntArray) -> IntArray:
        vectors = np.asarray(vectors)
        d = len(self.dimensions)
        if vectors.ndim != 2 or vectors.shape[1] != d or vectors.dtype.kind not in "iu":
            raise InputError(
                f"vectors of {self} must be integers of shape (m, {d}) but have shape "
                f"{vectors.shape} and type {vectors.dtype}"
            )
        return vectors

    def row(self, architecture: A) -> int:
        """Return the row of an architecture.

        Raises:
            ArchitectureError: if the architecture lies outside the space.
        """
        vector = self.vector(architecture)
        row = self.row_of_vector(vector)
        if row is None:
            raise ArchitectureError(f"{architecture} (vector {vector}) lies outside {self}")
        return row

    def row_of_vector(self, vector: tuple[int, ...]) -> int | None:
        """Return the row that holds a vector, or None where the space has none such."""
        found = int(self.rows_of(np.array([vector], dtype=np.int64))[0])
        return None if found < 0 else found

    def architecture(self, vector: tuple[int, ...]) -> A:
        """Return the architecture that has a vector.

        Raises:
            ArchitectureError: if no architecture of the space has it.
        """
        row = self.row_of_vector(vector)
        if row is None:
            raise ArchitectureError(f"no architecture of {self} has the vector {vector}")
        return self.at(row)

    def suggest(self, trial: BaseTrial) -> A:
        """Suggest an architecture with whatever sampler the trial's study has.

        The architecture is also written in words to the trial's user attributes.
        """
        values: dict[str, ParamValue] = {}
        for name, distribution in self.distributions().items():
            values[name] = _suggest(trial, name, distribution)
        architecture = self.from_params(values)
        trial.set_user_attr(ARCHITECTURE_ATTR, str(architecture))
        return architecture

    @cached_property
    def fingerprint(self) -> str:
        """Short digest of ``spec()``: equal for equal spaces in any process."""
        return fingerprint(self.spec())

    def __str__(self) -> str:
        return f"{type(self).__name__}({len(self):,} architectures)"


def _suggest(trial: BaseTrial, name: str, distribution: BaseDistribution) -> ParamValue:
    match distribution:
        case IntDistribution(low=low, high=high, step=step):
            return trial.suggest_int(name, low, high, step=step)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case _:
            raise InputError(f"parameter {name!r} has an unsupported distribution {distribution}")


def vector_type(most: int) -> type[np.int8 | np.int16]:
    """Return the smallest type of order vectors whose components reach from 0 to ``most``.

    Raises:
        InputError: if that does not fit into 16 bits.
    """
    if most > np.iinfo(np.int16).max:
        raise InputError(
            f"components of order vectors must lie in [0, 32767] but reach {most}: "
            "use ranks instead of raw values"
        )
    return np.int8 if most <= np.iinfo(np.int8).max else np.int16


def freeze(vectors: NDArray[Any]) -> IntArray:
    """Return the vectors as a read-only array of shape (n, d), column after column.

    The type is int8 where every component is at most 127, else int16.

    Raises:
        InputError: if a component does not fit into 16 bits.
    """
    low, high = (int(vectors.min()), int(vectors.max())) if vectors.size else (0, 0)
    if low < 0:
        raise InputError(f"components of order vectors must not be negative but reach {low}")
    frozen: IntArray = np.array(vectors, dtype=vector_type(high), order="F")
    frozen.setflags(write=False)
    return frozen
