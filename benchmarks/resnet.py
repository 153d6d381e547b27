"""torchvision's ResNet-18 as blocks, so that our engine trains the very network of the reference.

All of it but the stem is blocks of the paper's networks; the stem is a block of one's own.
"""

from __future__ import annotations

from torch import nn

from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.blocks import BLOCKS, check_config

STEM = 64
WIDTHS = (64, 128, 256, 512)


@BLOCKS.register("resnet-stem")
class ResNetStem(nn.Sequential):
    """conv7x7 of stride 2, batch norm, ReLU, max pooling of stride 2."""

    def __init__(self, config: BlockConfig) -> None:
        check_config(config)
        super().__init__(
            nn.Conv2d(config.c_in, config.c_out, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(config.c_out),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )


def resnet18_blocks(input_shape: tuple[int, int, int], classes: int) -> tuple[BlockConfig, ...]:
    """Return its blocks, for images whose height and width are multiples of 32."""
    c, h, w = input_shape
    found = [BlockConfig("resnet-stem", c, h, w, STEM, h // 4, w // 4)]
    for stage, width in enumerate(WIDTHS):
        for number in range(2):
            stride = 2 if stage and not number else 1
            c, h, w = found[-1].output_shape
            found.append(BlockConfig("basic", c, h, w, width, h // stride, w // stride))
    return (*found, BlockConfig("head", *found[-1].output_shape, classes, 1, 1))
