"""Samples that lie in memory, and such that are read from files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna_pop.errors import DataError, needs_extra
from optuna_pop.trainables.data.augment import Augmentation
from optuna_pop.trainables.data.base import Samples, Statistics

with needs_extra("train"):
    import torch

if TYPE_CHECKING:
    from torch import Tensor


class TensorSamples(Samples):
    """Samples in memory.

    Args:
        x: Images (n, c, h, w): uint8, normalised as they are taken, or float32 and normalised.
        y: Labels, int64 (n,) or, for segmentation, of any integer type (n, h, w).
        statistics: To normalise uint8 by.
        augmentation: Of those taken with a seed.
        crop: (height, width) of those taken with a seed; whole images by default.

    Raises:
        DataError: if there are not as many labels as images, or sizes differ.
    """

    y: Tensor

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        statistics: Statistics | None = None,
        augmentation: Augmentation | None = None,
        crop: tuple[int, int] | None = None,
    ) -> None:
        if len(x) != len(y):
            raise DataError(f"there are {len(x)} images but {len(y)} labels")
        if y.ndim == 3 and x.shape[2:] != y.shape[1:]:
            raise DataError(
                f"images have {_pixels(x.shape[2:])} pixels but masks {_pixels(y.shape[1:])}"
            )
        self.x, self.y = x, y
        self._statistics, self._augmentation, self._crop = statistics, augmentation, crop

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: Tensor, seed: int | None = None) -> tuple[Tensor, Tensor]:
        """Return some samples."""
        return prepare(
            self.x[indices],
            self.y[indices].long(),
            self._statistics,
            self._augmentation if seed is not None else None,
            self._crop,
            seed,
        )


class FileSamples(Samples):
    """Samples that are read one by one; those of a batch have one size as they are returned."""

    def take(self, indices: Tensor, seed: int | None = None) -> tuple[Tensor, Tensor]:
        """Return some samples."""
        found = [
            self.read(int(index), None if seed is None else seed + place)
            for place, index in enumerate(indices)
        ]
        sizes = {tuple(image.shape) for image, _ in found}
        if len(sizes) > 1:
            raise DataError(f"images of one batch have different sizes: {sorted(sizes)}")
        return torch.stack([x for x, _ in found]), torch.stack([y for _, y in found])

    @abstractmethod
    def read(self, index: int, seed: int | None) -> tuple[Tensor, Tensor]:
        """Return one sample: float32 (c, h, w), and int64 () or (h, w)."""


def prepare(
    x: Tensor,
    y: Tensor,
    statistics: Statistics | None,
    augmentation: Augmentation | None,
    crop: tuple[int, int] | None,
    seed: int | None,
) -> tuple[Tensor, Tensor]:
    """Augment and normalise a batch.

    Args:
        x: uint8 or float32 (n, c, h, w).
        y: int64 (n,) or (n, h, w).
        statistics: Of uint8.
        augmentation: None for none.
        crop: (height, width); used with an augmentation only.
        seed: Of the augmentation.
    """
    generator = torch.Generator().manual_seed(0 if seed is None else seed)
    if x.dtype == torch.uint8:
        x = x.float() / 255
        if augmentation is not None:
            x = augmentation.recolour(x, generator)
        if statistics is not None:
            mean, deviation = (torch.tensor(values).view(1, -1, 1, 1) for values in statistics)
            x = (x - mean) / deviation
    if augmentation is None:
        return x, y
    size = (x.shape[2], x.shape[3]) if crop is None else crop
    x, masks = augmentation.warp(x, y if y.ndim == 3 else None, size, generator)
    return x, y if masks is None else masks


def _pixels(size: Sequence[int]) -> str:
    return "x".join(map(str, size))
