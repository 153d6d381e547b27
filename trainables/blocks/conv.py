"""``conv``: conv3x3, batch norm, ReLU; stages 1 and 2 of the backbone (POP paper, section 3.1)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.blocks import BLOCKS, check_config

_SAFE_CHANNELS = 16


class PointwiseConv(nn.Conv2d):
    """conv1x1 whose weight gradient is safe on the CPU for few input channels.

    oneDNN's gradient of a strided conv1x1 in channels-last format writes past its memory below 8
    input channels with AVX2, below 16 with AVX-512 (oneDNN issue 6035), and the process dies.
    So where a gradient is wanted, the pixels that the stride skips are dropped first and the
    convolution has stride 1, which is the same computation.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch
        """Map (n, c_in, h, w) to (n, c_out, h / stride, w / stride), rounded up."""
        unsafe = (
            self.in_channels < _SAFE_CHANNELS
            and torch.is_grad_enabled()
            and not torch.onnx.is_in_onnx_export()
        )
        if not unsafe:
            return super().forward(input)
        step_h, step_w = self.stride
        return functional.conv2d(input[:, :, ::step_h, ::step_w], self.weight)


def conv_bn(c_in: int, c_out: int, *, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution without bias, padded to keep size / stride, and its batch norm."""
    convolution = PointwiseConv if kernel == 1 else nn.Conv2d
    conv = convolution(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(c_out)))


@BLOCKS.register("conv")
def conv_block(config: BlockConfig) -> nn.Module:
    """Return conv3x3 with the configuration's stride, batch norm and ReLU.

    Raises:
        ArchitectureError: if the shapes do not fit together.
    """
    check_config(config)
    block = conv_bn(config.c_in, config.c_out, kernel=3, stride=config.stride)
    block.add_module("relu", nn.ReLU(inplace=True))
    return block
