"""The decoder space: widths of DF-Seg's three width controllers (POP paper, section 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna_pop.errors import ArchitectureError, InputError
from optuna_pop.spaces.base import ParamValue
from optuna_pop.spaces.grid import GridSpace

PAPER_WIDTHS = (32, 64, 128, 256, 512)
"""Widths besides K, the number of classes."""


@dataclass(frozen=True, slots=True)
class DecoderArchitecture:
    """Output channels of the width controllers on stages 3, 4 and 5.

    Attributes:
        widths: (C3, C4, C5), e.g. DF1-Seg has (19, 32, 128).
    """

    widths: tuple[int, int, int]

    def __str__(self) -> str:
        return ", ".join(f"C{stage}={width}" for stage, width in enumerate(self.widths, start=3))


class DecoderSpace(GridSpace[DecoderArchitecture]):
    """All settings [C3, C4, C5] of the width controllers, ordered width by width.

    Args:
        classes: K, the number of classes; it is a width too.
        widths: The other widths a controller may have.

    Raises:
        InputError: if an argument is not positive.
    """

    def __init__(self, classes: int = 19, widths: Sequence[int] = PAPER_WIDTHS) -> None:
        self.classes = classes
        self.widths = tuple(sorted({classes, *widths}))
        if self.widths[0] < 1:
            raise InputError(f"classes and widths must be positive but got {classes}, {widths}")
        super().__init__({f"width_C{stage}": self.widths for stage in (3, 4, 5)})

    def _build(self, values: tuple[ParamValue, ...]) -> DecoderArchitecture:
        c3, c4, c5 = (int(str(value)) for value in values)
        return DecoderArchitecture((c3, c4, c5))

    def _values(self, architecture: DecoderArchitecture) -> tuple[ParamValue, ...]:
        if not set(architecture.widths) <= set(self.widths):
            raise ArchitectureError(f"{architecture}: widths must be among {self.widths}")
        return architecture.widths

    def spec(self) -> dict[str, object]:
        """Describe the space in JSON types."""
        return {"space": "decoder", "classes": self.classes, "widths": list(self.widths)}
