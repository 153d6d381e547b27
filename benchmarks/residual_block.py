"""A block of one's own: the residual block of Channel-Bench-Macro, as an example of a small class.

Two conv3x3 with batch norm; the width between them is the option ``width``; the shortcut is the
identity.
"""

from __future__ import annotations

from torch import Tensor, nn

from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.blocks import BLOCKS, check_config
from optuna_pop.trainables.blocks.conv import conv_bn


@BLOCKS.register("residual")
class ResidualBlock(nn.Module):
    """c channels to ``width`` and back to c, beside the identity."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        check_config(config, options=("width",))
        width = dict(config.options)["width"]
        self.conv1 = conv_bn(config.c_in, width, kernel=3)
        self.conv2 = conv_bn(width, config.c_out, kernel=3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to the same shape."""
        out: Tensor = self.relu(x + self.conv2(self.relu(self.conv1(x))))
        return out
