"""``basic``: the residual block of stages 3 to 5 (POP paper, section 3.1), as in ResNet-18."""

from __future__ import annotations

from torch import Tensor, nn

from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.blocks import BLOCKS, check_config
from optuna_pop.trainables.blocks.conv import conv_bn


@BLOCKS.register("basic")
class BasicBlock(nn.Module):
    """Two conv3x3 with batch norm beside a shortcut; ReLU after the first and after the sum.

    The shortcut is the identity where shapes agree, else conv1x1 with batch norm. What lies under
    ``shortcut`` does not count towards a network's depth.

    Args:
        config: The stride of the first convolution and of the shortcut follows from the sizes.

    Raises:
        ArchitectureError: if the shapes do not fit together.
    """

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        check_config(config)
        c_in, c_out, stride = config.c_in, config.c_out, config.stride
        self.conv1 = conv_bn(c_in, c_out, kernel=3, stride=stride)
        self.conv2 = conv_bn(c_out, c_out, kernel=3)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = conv_bn(c_in, c_out, kernel=1, stride=stride)

    def weigh_residual(self, weight: float) -> None:
        """Start with this weight in the last batch norm beside the shortcut."""
        nn.init.constant_(self.conv2.get_parameter("bn.weight"), weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c_in, h_in, w_in) to (n, c_out, h_out, w_out)."""
        inner = self.conv2(self.relu(self.conv1(x)))
        out: Tensor = self.relu(inner + self.shortcut(x))
        return out
