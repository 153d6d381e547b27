"""Spaces of named parameters, each with its values from weakest to strongest.

Notation:
    level  position of a parameter's value in its sequence, 0 = weakest (fastest, least accurate)

An order vector holds the levels. ``GridSpace`` is the machinery; ``OrderedSpace`` is for users'
own parameters and ``DecoderSpace`` for DF-Seg.
"""

from __future__ import annotations

import itertools
import math
import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from optuna_pop.errors import ArchitectureError, InputError
from optuna_pop.fingerprint import digest
from optuna_pop.spaces.base import (
    MOST_ENUMERATED,
    IntArray,
    ParamValue,
    Rows,
    Space,
    vector_type,
)

A = TypeVar("A")
Direction = Literal["increasing", "decreasing"]


class GridSpace(Space[A]):
    """All combinations of the parameters' values that a rule lets through.

    Args:
        parameters: Values of each parameter from weakest to strongest.
        valid: Rule on the values by name; all combinations pass without one.

    Raises:
        InputError: if a parameter has no or repeated values, or the rule lets nothing through, or
            there are more than ``MOST_ENUMERATED`` combinations to ask a rule about.
    """

    def __init__(
        self,
        parameters: Mapping[str, Sequence[ParamValue]],
        valid: Callable[[dict[str, ParamValue]], bool] | None = None,
    ) -> None:
        self._parameters = {name: tuple(values) for name, values in parameters.items()}
        if not self._parameters:
            raise InputError(f"{type(self).__name__} needs at least one parameter")
        for name, values in self._parameters.items():
            if not values or len(set(values)) < len(values):
                raise InputError(f"parameter {name!r} needs distinct values but got {values}")
        self._levels = [len(values) for values in self._parameters.values()]
        self._type = vector_type(max(self._levels) - 1)
        self._combinations = math.prod(self._levels)
        # Number of each combination that the rule lets through, ascending.
        self._numbers = None if valid is None else self._ruled(valid)
        if self._numbers is not None and not len(self._numbers):
            raise InputError("the validity rule lets no combination through: loosen it")
        if self._combinations > sys.maxsize:
            raise InputError(
                f"the parameters have {self._combinations:,} combinations, more than can be "
                "numbered: give them fewer values"
            )

    def _ruled(self, valid: Callable[[dict[str, ParamValue]], bool]) -> Rows:
        if self._combinations > MOST_ENUMERATED:
            raise InputError(
                f"a validity rule must be asked about each combination, but there are "
                f"{self._combinations:,}, more than {MOST_ENUMERATED:,}: give the parameters "
                "fewer values or leave the rule out"
            )
        names = tuple(self._parameters)
        every = itertools.product(*self._parameters.values())
        passes = (bool(valid(dict(zip(names, values, strict=True)))) for values in every)
        return np.flatnonzero(np.fromiter(passes, dtype=np.bool_, count=self._combinations))

    @abstractmethod
    def _build(self, values: tuple[ParamValue, ...]) -> A: ...

    @abstractmethod
    def _values(self, architecture: A) -> tuple[ParamValue, ...]: ...

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The parameters' names."""
        return tuple(self._parameters)

    def __len__(self) -> int:
        return self._combinations if self._numbers is None else len(self._numbers)

    def vectors_at(self, rows: NDArray[np.integer[Any]]) -> IntArray:
        """Return the levels of some rows; see ``Space.vectors_at``."""
        left = self._checked(rows)
        if self._numbers is not None:
            left = self._numbers[left]
        levels = np.empty((len(left), len(self._levels)), dtype=self._type, order="F")
        for i, values in reversed(list(enumerate(self._levels))):
            left, levels[:, i] = np.divmod(left, values)
        return levels

    def rows_of(self, vectors: IntArray) -> Rows:
        """Return the row of each vector, or -1; see ``Space.rows_of``."""
        vectors = self._checked_vectors(vectors)
        most = np.array(self._levels) - 1
        there = ((vectors >= 0) & (vectors <= most)).all(axis=1)
        numbers = np.zeros(len(vectors), dtype=np.intp)
        for column, values in zip(vectors.T, self._levels, strict=True):
            numbers = numbers * values + np.where(there, column, 0).astype(np.intp)
        if self._numbers is not None:
            rows = np.searchsorted(self._numbers, numbers).clip(max=len(self._numbers) - 1)
            there &= self._numbers[rows] == numbers
            numbers = rows
        return np.where(there, numbers, -1)

    def at(self, row: int) -> A:
        """Return the architecture in row ``row``; see ``Space.at``."""
        levels = self.vectors_at(np.array([row]))[0].tolist()
        pairs = zip(self._parameters.values(), levels, strict=True)
        return self._build(tuple(values[level] for values, level in pairs))

    def vector(self, architecture: A) -> tuple[int, ...]:
        """Return the levels of an architecture's values.

        Raises:
            ArchitectureError: if a value is none of its parameter's.
        """
        pairs = zip(self._parameters.items(), self._values(architecture), strict=True)
        return tuple(self._level(name, value) for (name, _), value in pairs)

    def _level(self, name: str, value: ParamValue) -> int:
        values = self._parameters[name]
        if value not in values:
            raise ArchitectureError(f"{name}={value!r} is none of {values}")
        return values.index(value)

    def distributions(self) -> dict[str, BaseDistribution]:
        """An integer range where the values are evenly spaced integers, else a choice of them."""
        return {name: _distribution(values) for name, values in self._parameters.items()}

    def params(self, architecture: A) -> dict[str, ParamValue]:
        """Return the values of an architecture by parameter name."""
        self.row(architecture)  # refuses what lies outside
        return dict(zip(self._parameters, self._values(architecture), strict=True))

    def from_params(self, params: Mapping[str, ParamValue]) -> A:
        """Return the architecture with these values, or the nearest valid one.

        Nearest is the smallest sum of level differences; of equals the first in ``vectors()``.
        """
        levels = tuple(self._level(name, params[name]) for name in self._parameters)
        row = self.row_of_vector(levels)
        if row is None:
            distance = np.zeros(len(self), dtype=np.int32)
            for column, level in zip(self.vectors().T, levels, strict=True):
                distance += np.abs(column.astype(np.int32) - level)
            row = int(distance.argmin())
        return self.at(row)


@dataclass(frozen=True, slots=True)
class OrderedArchitecture:
    """Values of a user's own parameters.

    Attributes:
        values: (name, value) pairs in the sequence the space was given.
    """

    values: tuple[tuple[str, ParamValue], ...]

    def __getitem__(self, name: str) -> Any:
        for known, value in self.values:
            if known == name:
                return value
        raise KeyError(name)

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.values)


class OrderedSpace(GridSpace[OrderedArchitecture]):
    """Any named parameters, each with a direction along which cost and accuracy grow.

    Args:
        parameters: Values of each parameter, in order.
        directions: "increasing" (the default) where the last value is the strongest (slowest,
            most accurate), "decreasing" where the first is, e.g. for an output stride.
        valid: Rule on the values by name, for combinations that do not exist.

    Raises:
        InputError: if an argument cannot be used.

    Example:
        >>> space = OrderedSpace(
        ...     {"width": [16, 32, 64], "kernel": [3, 5], "output_stride": [8, 16, 32]},
        ...     directions={"output_stride": "decreasing"},
        ... )
        >>> len(space)
        18
    """

    def __init__(
        self,
        parameters: Mapping[str, Sequence[ParamValue]],
        *,
        directions: Mapping[str, Direction] | None = None,
        valid: Callable[[dict[str, ParamValue]], bool] | None = None,
    ) -> None:
        directions = directions or {}
        for name, direction in directions.items():
            if name not in parameters or direction not in ("increasing", "decreasing"):
                raise InputError(
                    f"direction {name!r}: {direction!r} is not one of 'increasing', 'decreasing' "
                    f"for one of the parameters {list(parameters)}"
                )
        super().__init__(
            {
                name: tuple(values)[:: -1 if directions.get(name) == "decreasing" else 1]
                for name, values in parameters.items()
            },
            valid,
        )

    def _build(self, values: tuple[ParamValue, ...]) -> OrderedArchitecture:
        return OrderedArchitecture(tuple(zip(self._parameters, values, strict=True)))

    def _values(self, architecture: OrderedArchitecture) -> tuple[ParamValue, ...]:
        names = [name for name, _ in architecture.values]
        if names != list(self._parameters):
            raise ArchitectureError(
                f"{architecture} has the parameters {names} instead of {list(self._parameters)}"
            )
        return tuple(value for _, value in architecture.values)

    def spec(self) -> dict[str, Any]:
        """Describe the space in JSON types; the rule is described by what it lets through."""
        rule = "all"
        if self._numbers is not None:
            rule = digest(self.vectors().astype(np.int16).tobytes())
        return {
            "space": "ordered",
            "weakest_to_strongest": {name: list(v) for name, v in self._parameters.items()},
            "valid": rule,
        }


def _distribution(values: tuple[ParamValue, ...]) -> BaseDistribution:
    if all(type(value) is int for value in values):
        numbers = sorted(cast("tuple[int, ...]", values))
        steps = {b - a for a, b in itertools.pairwise(numbers)} or {1}
        if len(steps) == 1:
            return IntDistribution(numbers[0], numbers[-1], step=steps.pop())
    return CategoricalDistribution(values)
