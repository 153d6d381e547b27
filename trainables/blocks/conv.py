"""``conv``: conv3x3, batch norm, ReLU; stages 1 and 2 of the backbone (POP paper, section 3.1)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.blocks import BLOCKS, check_config


def conv_bn(c_in: int, c_out: int, *, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution without bias, padded to keep size / stride, and its batch norm."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
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
