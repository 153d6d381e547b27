"""The decoder space: widths of DF-Seg's three width controllers (POP paper, section 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna_pop.errors import ArchitectureError, InputError
from optuna_pop.spaces.base import ParamValue
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.spaces.df import CITYSCAPES, Blocks, at_input, df_features, segmentation_blocks
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
        backbone: "df1", "df2" or "df2a", or keys of the blocks of stages 1 to 5 of any other, for
            images of any size. With one, architectures are made of blocks, those of the
            whole network, and a latency table gives their cost.
        input_shape: (channels, height, width) of the images.
        full_size: Whether the score is up-sampled to the size of the images.

    Raises:
        InputError: if an argument is not positive, or there is no such backbone.
    """

    def __init__(
        self,
        classes: int = 19,
        widths: Sequence[int] = PAPER_WIDTHS,
        *,
        backbone: str | Sequence[str] | None = None,
        input_shape: tuple[int, int, int] = CITYSCAPES,
        full_size: bool = True,
    ) -> None:
        self.backbone: str | tuple[str, ...] | None = None
        self.input_shape, self.full_size = input_shape, full_size
        self._features: Blocks | None = None
        if isinstance(backbone, str):
            self.backbone, self._features = backbone, df_features(backbone, input_shape)
        elif backbone is not None:
            self.backbone = tuple(backbone)
            given = [BlockConfig.from_key(key) for key in backbone]
            self._features = at_input(given, input_shape)
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
        own: dict[str, object] = {
            "space": "decoder",
            "classes": self.classes,
            "widths": list(self.widths),
        }
        if self.backbone is not None:
            named = isinstance(self.backbone, str)
            own["backbone"] = self.backbone if named else list(self.backbone)
            own["full_size"] = self.full_size
            own["input_shape"] = list(self.input_shape)
        return own

    def blocks(self, architecture: DecoderArchitecture) -> tuple[BlockConfig, ...]:
        """Return the blocks of backbone and decoder, in order of execution.

        Raises:
            InputError: if the space has no backbone.
        """
        if self._features is None:
            return super().blocks(architecture)
        size = self.input_shape if self.full_size else None
        return segmentation_blocks(self._features, architecture.widths, self.classes, size)
