"""Blocks of the DF-Seg decoder (POP paper, section 3.5 and Figure 6).

``control`` (a width controller), ``pyramid`` (pyramid pooling), ``fusion`` (of a low and a high
resolution), ``score`` (classes for each pixel) and ``upsample``.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from optuna_pop.errors import ArchitectureError
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.blocks import BLOCKS, Shape, check_options
from optuna_pop.trainables.blocks.conv import conv_bn

PYRAMID_LEVELS = 4
PYRAMID_WIDTH = 128


def _conv_bn_relu(c_in: int, c_out: int, *, kernel: int) -> nn.Sequential:
    block = conv_bn(c_in, c_out, kernel=kernel)
    block.add_module("relu", nn.ReLU(inplace=True))
    return block


def _check(config: BlockConfig, *, same_size: bool, options: tuple[str, ...] = ()) -> None:
    check_options(config, options)
    if min(config.input_shape + config.output_shape) < 1:
        raise ArchitectureError(f"block {config} has a size below 1: all must be positive")
    if same_size and config.input_shape[1:] != config.output_shape[1:]:
        raise ArchitectureError(
            f"block {config}: a {config.kind} keeps height and width, so its output must be "
            f"{config.h_in}x{config.w_in} pixels"
        )


@BLOCKS.register("control")
def control(config: BlockConfig) -> nn.Module:
    """Return a width controller: conv1x1, batch norm, ReLU.

    Raises:
        ArchitectureError: if the output has another height or width than the input.
    """
    _check(config, same_size=True)
    return _conv_bn_relu(config.c_in, config.c_out, kernel=1)


@BLOCKS.register("score")
def score(config: BlockConfig) -> nn.Module:
    """Return conv3x3 with bias, from features to one map a class.

    Raises:
        ArchitectureError: if the output has another height or width than the input.
    """
    _check(config, same_size=True)
    return nn.Sequential(
        OrderedDict(conv=nn.Conv2d(config.c_in, config.c_out, kernel_size=3, padding=1))
    )


@BLOCKS.register("upsample")
class Upsample(nn.Module):
    """Bilinear up-sampling to the output's height and width.

    Raises:
        ArchitectureError: if channels change, or the output is smaller than the input.
    """

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        _check(config, same_size=False)
        if config.c_in != config.c_out or config.h_out < config.h_in or config.w_out < config.w_in:
            raise ArchitectureError(
                f"block {config}: up-sampling keeps channels and makes height and width larger"
            )
        self.size = config.output_shape[1:]

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h_in, w_in) to (n, c, h_out, w_out)."""
        return functional.interpolate(x, self.size, mode="bilinear", align_corners=False)


@BLOCKS.register("fusion")
class Fusion(nn.Module):
    """Joins a low resolution to a high one; the output has the shape of the high input.

    conv1x1 of the low input to the high one's channels, batch norm, ReLU, bilinear up-sampling,
    concatenation, conv3x3, batch norm, ReLU.

    Args:
        config: Its input is the low one, (c_in, h_in, w_in); the high one is like the output.

    Raises:
        ArchitectureError: if the output is smaller than the low input.
    """

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        _check(config, same_size=False)
        if config.h_out < config.h_in or config.w_out < config.w_in:
            raise ArchitectureError(
                f"block {config}: a fusion's output has the height and width of its high input, "
                "which are not below those of its low one"
            )
        self.proj = _conv_bn_relu(config.c_in, config.c_out, kernel=1)
        self.conv = _conv_bn_relu(2 * config.c_out, config.c_out, kernel=3)
        self.size = config.output_shape[1:]

    @staticmethod
    def input_shapes(config: BlockConfig) -> tuple[Shape, ...]:
        """Return the shapes of the low and the high input."""
        return config.input_shape, config.output_shape

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Map (n, c_in, h_in, w_in) and (n, c_out, h_out, w_out) to the latter's shape."""
        raised = functional.interpolate(
            self.proj(low), self.size, mode="bilinear", align_corners=False
        )
        out: Tensor = self.conv(torch.cat([raised, high], dim=1))
        return out


@BLOCKS.register("pyramid")
class PyramidPooling(nn.Module):
    """Pyramid pooling at four levels, concatenated with the input.

    Level i averages over squares of h/2^i pixels (rounded down, at least 1; those at the edge may
    be cut off), so a 32x64 map gives 1x2, 2x4, 4x8 and 8x16 bins. Each goes through conv1x1 to
    128 channels (option ``inner``), batch norm and ReLU, and is up-sampled bilinearly; conv3x3,
    batch norm and ReLU follow the concatenation.

    Raises:
        ArchitectureError: if the output has another height or width than the input.
    """

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        _check(config, same_size=True, options=("inner",))
        inner = dict(config.options).get("inner", PYRAMID_WIDTH)
        self.kernels = [max(1, config.h_in >> level) for level in range(PYRAMID_LEVELS)]
        self.levels = nn.ModuleList(
            _conv_bn_relu(config.c_in, inner, kernel=1) for _ in self.kernels
        )
        self.conv = _conv_bn_relu(config.c_in + PYRAMID_LEVELS * inner, config.c_out, kernel=3)
        self.size = config.output_shape[1:]

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c_in, h, w) to (n, c_out, h, w)."""
        parts = [x]
        for kernel, level in zip(self.kernels, self.levels, strict=True):
            ragged = any(size % kernel for size in self.size)
            pooled = functional.avg_pool2d(
                x, kernel, ceil_mode=ragged, count_include_pad=not ragged
            )
            parts.append(
                functional.interpolate(
                    level(pooled), self.size, mode="bilinear", align_corners=False
                )
            )
        out: Tensor = self.conv(torch.cat(parts, dim=1))
        return out
