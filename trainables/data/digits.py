"""``digits``: scikit-learn's handwritten digits, warped and up-sampled.

Plain, the 1,797 images of 8x8 pixels are so easy that every network reaches the same accuracy.
Random rotation, scale, shift and noise make them hard enough that larger networks do better,
while a training takes seconds and nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.trainables.data import DATA_SETS
from optuna_pop.trainables.data.base import DataSet, Split, Statistics

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_FULL_INK = 16.0  # largest grey value of the source


@DATA_SETS.register("digits")
@dataclass(frozen=True, slots=True)
class Digits(DataSet):
    """Handwritten digits under random warps, deterministic for its settings.

    Images are divided into training and held-out ones before they are warped, so no warp of a
    held-out image is ever trained on. Several warps of each held-out image lower the noise of
    the accuracy.

    Attributes:
        size: Height and width of the warped images, pixels.
        copies: Warps of each training image.
        held_out_share: Share of the source images held out.
        held_out_copies: Warps of each held-out image.
        rotation: Largest rotation to either side, degrees.
        scale: Smallest and largest size of the digit relative to the image.
        shift: Largest shift to either side along each axis, as a share of the image.
        noise: Standard deviation of the noise added to each pixel; ink is 1, paper 0.
        seed: Decides the division, the warps and the noise.

    Raises:
        InputError: if a setting cannot be used.
    """

    size: int = 48
    copies: int = 10
    held_out_share: float = 0.3
    held_out_copies: int = 6
    rotation: float = 30.0
    scale: tuple[float, float] = (0.6, 1.0)
    shift: float = 0.15
    noise: float = 0.2
    seed: int = 0

    name: ClassVar[str] = "digits"

    def __post_init__(self) -> None:
        for setting in ("size", "copies", "held_out_copies"):
            if getattr(self, setting) < 1:
                raise InputError(
                    f"digits: {setting} must be at least 1, not {getattr(self, setting)}"
                )
        if not 0 < self.held_out_share < 1:
            raise InputError(
                f"digits: held_out_share must lie between 0 and 1, not {self.held_out_share}"
            )
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"digits: scale must be (smallest, largest) above 0, not {self.scale}")
        for setting in ("rotation", "shift", "noise"):
            if not 0 <= getattr(self, setting) < math.inf:
                raise InputError(
                    f"digits: {setting} must be 0 or more, not {getattr(self, setting)}"
                )

    @property
    def classes(self) -> int:
        """Ten digits."""
        return 10

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(1, size, size)."""
        return (1, self.size, self.size)

    def load(self) -> Split:
        """Return the warped images, normalised to zero mean and unit deviation of the training set.

        Raises:
            MissingExtraError: if scikit-learn or torch is not installed.
        """
        return _warped(self)[0]

    @property
    def statistics(self) -> Statistics:
        """Of the training set; 1 is full ink."""
        return _warped(self)[1]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The digits themselves."""
        return tuple(map(str, range(10)))

    def spec(self) -> dict[str, Any]:
        """Describe the settings in JSON types."""
        return {**asdict(self), "scale": list(self.scale)}

    def content_digest(self) -> str:
        """Return the SHA-256 digest of the source images and labels."""
        images, labels = _source()
        return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()

    def division(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the indices of the training and of the held-out source images."""
        images, _ = _source()
        order = np.random.default_rng(self.seed).permutation(len(images))
        held_out = max(1, round(self.held_out_share * len(images)))
        return np.sort(order[held_out:]), np.sort(order[:held_out])


@lru_cache(maxsize=1)
def _source() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (n, 8, 8) with values from 0 to 1, and labels (n,)."""
    with needs_extra("train"):
        from sklearn.datasets import load_digits
    source = load_digits()
    return (
        (source.images / _FULL_INK).astype(np.float32),
        source.target.astype(np.int64),
    )


@lru_cache(maxsize=2)
def _warped(settings: Digits) -> tuple[Split, Statistics]:
    """Make the samples once per process: every training of a search uses the same ones."""
    with needs_extra("train"):
        import torch
    from optuna_pop.trainables.samples import TensorSamples

    images, labels = _source()
    generator = torch.Generator().manual_seed(settings.seed)
    parts: list[tuple[Tensor, Tensor]] = []
    copies = (settings.copies, settings.held_out_copies)
    for indices, times in zip(settings.division(), copies, strict=True):
        chosen = np.repeat(indices, times)
        x = _warp(torch.from_numpy(images[chosen])[:, None], settings, generator)
        parts.append((x, torch.from_numpy(labels[chosen])))
    train_x = parts[0][0]
    mean, deviation = train_x.mean(), train_x.std()
    for x, _ in parts:
        x.sub_(mean).div_(deviation)
    split = Split(*(TensorSamples(x, y) for x, y in parts))
    return split, ((float(mean),), (float(deviation),))


def _warp(images: Tensor, settings: Digits, generator: torch.Generator) -> Tensor:
    """Rotate, scale, shift and up-sample each image differently, then add noise.

    Args:
        images: (n, 1, 8, 8).
        settings: How far.
        generator: Source of randomness.

    Returns:
        (n, 1, size, size).
    """
    import torch
    from torch.nn import functional

    n = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    angle = torch.deg2rad(uniform(-settings.rotation, settings.rotation))
    zoom = uniform(*settings.scale)
    x, y = (2 * uniform(-settings.shift, settings.shift) for _ in range(2))
    # Where each output pixel reads: the image is moved, so what is read moves the other way.
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    rows = [cos, sin, -cos * x - sin * y, -sin, cos, sin * x - cos * y]
    theta = torch.stack(rows, dim=1).view(n, 2, 3)
    grid = functional.affine_grid(theta, [n, 1, settings.size, settings.size], align_corners=False)
    warped = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    noise = torch.randn(warped.shape, generator=generator)
    return warped + settings.noise * noise
