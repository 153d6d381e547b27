"""Random scale, stretch, crop, flip and colour (POP paper, section 4.1), a batch at a time.

All changes of geometry are one resampling. Notation:
    n        samples
    (h, w)   size of a source image; (h', w') of what is cut out of it
    s, r     scale and stretch of a sample: its content becomes s·√r times as wide, s/√r as high
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from optuna_pop.errors import InputError
from optuna_pop.trainables.data.base import VOID

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How samples are changed at random in training.

    Attributes:
        scale: Smallest and largest size of the content; log-uniform.
        stretch: Largest ratio of horizontal to vertical scale, and of the reverse; log-uniform.
        shift: How far a crop may reach beyond the image, in pixels of the image.
        flip: Whether half of the samples are mirrored.
        colour: Largest change of brightness, contrast and saturation, as a share.

    Raises:
        InputError: if a setting cannot be used.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    stretch: float = 1.0
    shift: int = 0
    flip: bool = False
    colour: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise InputError(f"augmentation: scale must be (smallest, largest), not {self.scale}")
        if not 1 <= self.stretch < math.inf:
            raise InputError(f"augmentation: stretch must be 1 or more, not {self.stretch}")
        if self.shift < 0 or not 0 <= self.colour < 1:
            raise InputError(
                f"augmentation: shift must be 0 or more and colour from 0 to below 1, not "
                f"{self.shift} and {self.colour}"
            )

    def spec(self) -> dict[str, Any]:
        """Describe it in JSON types."""
        return {**asdict(self), "scale": list(self.scale)}

    def warp(
        self, x: Tensor, y: Tensor | None, size: tuple[int, int], generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Cut a part out of each image, scaled, stretched and mirrored at random.

        Args:
            x: float32 (n, c, h, w), normalised, as beyond an image lie zeros.
            y: int64 (n, h, w), or None. Beyond an image lies ``VOID``.
            size: (h', w').
            generator: Source of randomness.

        Returns:
            float32 (n, c, h', w'), and int64 (n, h', w') where there was a y.
        """
        import torch
        from torch.nn import functional

        if size == tuple(x.shape[2:]) and (self.scale, self.stretch, self.shift) == ((1, 1), 1, 0):
            return self._mirror(x, y, generator)
        n, (h, w) = len(x), x.shape[2:]
        low, high = (math.log(bound) for bound in self.scale)
        scale = torch.empty(n).uniform_(low, high, generator=generator).exp()
        bend = math.log(self.stretch) / 2
        root = torch.empty(n).uniform_(-bend, bend, generator=generator).exp()
        # What is cut out, in pixels of the source.
        wide, tall = size[1] / (scale * root), size[0] * root / scale
        theta = torch.zeros(n, 2, 3)
        for axis, (part, whole) in enumerate(((wide, w), (tall, h))):
            free = (whole - part).abs() / 2 + self.shift
            # Whole pixels, so that what is only moved stays sharp.
            away = (free * torch.empty(n).uniform_(-1, 1, generator=generator)).round()
            away = torch.where(scale * root == 1, away, away + (whole - part) / 2 % 1)
            theta[:, axis, axis] = part / whole
            theta[:, axis, 2] = 2 * away / whole
        if self.flip:
            theta[torch.rand(n, generator=generator) < 0.5, 0, 0] *= -1
        grid = functional.affine_grid(theta, [n, 1, *size], align_corners=False)
        image = functional.grid_sample(x, grid, mode="bilinear", align_corners=False)
        if y is None:
            return image, None
        inside = (y - VOID).float()[:, None]  # zeros beyond an image become VOID
        label = functional.grid_sample(inside, grid, mode="nearest", align_corners=False)
        return image, label[:, 0].round().long() + VOID

    def _mirror(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        import torch

        if not self.flip:
            return x, y
        chosen = torch.rand(len(x), generator=generator) < 0.5
        x = torch.where(chosen[:, None, None, None], x.flip(-1), x)
        return x, None if y is None else torch.where(chosen[:, None, None], y.flip(-1), y)

    def recolour(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Change brightness, contrast and, of RGB, saturation of each image.

        Args:
            x: float32 (n, c, h, w) from 0 to 1.
            generator: Source of randomness.
        """
        import torch

        if not self.colour:
            return x

        def factor() -> Tensor:
            change = torch.empty(len(x), 1, 1, 1)
            return 1 + change.uniform_(-self.colour, self.colour, generator=generator)

        grey = x.mean(dim=1, keepdim=True)
        x = x if x.shape[1] == 1 else grey + (x - grey) * factor()
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        return ((mean + (x - mean) * factor()) * factor()).clamp(0, 1)
