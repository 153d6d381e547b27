"""What every space of architectures offers: vectors ↔ architectures ↔ Optuna parameters.

Notation:
    n  number of architectures in the space
    d  number of components of an order vector
    x ≺ y  ⇔  vector(x) ≤ vector(y) in every component and vector(x) ≠ vector(y)

A space is a set of integer vectors under the componentwise order; see ``optuna_pop.order``.
Architectures are addressed by their row in ``vectors()``, which is the same in every process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import BaseTrial

from optuna_pop.errors import ArchitectureError, InputError
from optuna_pop.fingerprint import fingerprint
from optuna_pop.order.index import VectorIndex
from optuna_pop.spaces.blocks import BlockConfig

A = TypeVar("A")
IntArray: TypeAlias = NDArray[np.int16]
FloatArray: TypeAlias = NDArray[np.float64]
ParamValue: TypeAlias = int | float | str | bool | None

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
    def vectors(self) -> IntArray:
        """All order vectors, one row an architecture, always in the same sequence.

        Returns:
            Read-only array of shape (n, d).
        """

    @abstractmethod
    def at(self, row: int) -> A:
        """Return the architecture in row ``row`` of ``vectors()``."""

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

    def sum_blocks(self, cost_of: Callable[[BlockConfig], float]) -> FloatArray:
        """Add up a cost per block configuration over every architecture.

        Args:
            cost_of: Cost of one block configuration; called once for each.

        Returns:
            Array of shape (n,), in the sequence of ``vectors()``.
        """
        known = {block: cost_of(block) for block in self.block_configs()}
        sums = [sum(known[b] for b in self.blocks(self.at(row))) for row in range(len(self))]
        return np.array(sums, dtype=np.float64)

    # --- what follows from it --------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.vectors())

    def row(self, architecture: A) -> int:
        """Return the row of an architecture in ``vectors()``.

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
        found = self._index.find(np.array([vector], dtype=np.int64))
        return int(found[0]) if found[0] >= 0 else None

    def rows_of(self, vectors: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
        """Rows of vectors (m, d), shape (m,); -1 where the space has none such."""
        return self._index.find(vectors)

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

    @cached_property
    def _index(self) -> VectorIndex:
        return VectorIndex(self.vectors())

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


def freeze(vectors: NDArray[Any]) -> IntArray:
    """Return the vectors as a read-only int16 array of shape (n, d).

    Raises:
        InputError: if a component does not fit into 16 bits.
    """
    if vectors.size and (vectors.min() < 0 or vectors.max() > np.iinfo(np.int16).max):
        raise InputError(
            f"order vectors must lie in [0, 32767] but range over "
            f"[{vectors.min()}, {vectors.max()}]: use ranks instead of raw values"
        )
    frozen = np.ascontiguousarray(vectors, dtype=np.int16)
    frozen.setflags(write=False)
    return frozen
