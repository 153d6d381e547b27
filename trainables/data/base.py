"""What training asks of a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from optuna_pop.fingerprint import fingerprint

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Images and labels, the held-out ones kept apart from the first step on.

    Attributes:
        train_x: float32 (n, c, h, w).
        train_y: int64 (n,), from 0 to classes - 1.
        held_out_x: float32 (m, c, h, w).
        held_out_y: int64 (m,).
    """

    train_x: Tensor
    train_y: Tensor
    held_out_x: Tensor
    held_out_y: Tensor


class DataSet(ABC):
    """A data set for classification.

    Attributes:
        name: Its registered name.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""

    @abstractmethod
    def load(self) -> Split:
        """Return all samples, the same ones at every call; callers do not change them.

        Raises:
            DataError: if something is missing or damaged.
            MissingExtraError: if a package is not installed.
        """

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """Describe the settings in JSON types; equal settings give equal descriptions."""

    @abstractmethod
    def content_digest(self) -> str:
        """Return a digest of the source from which the samples are made.

        Raises:
            DataError: as ``load``.
        """

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with the source or the settings."""
        return fingerprint([self.name, self.spec(), self.content_digest()])
