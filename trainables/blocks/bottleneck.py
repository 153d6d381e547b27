"""``bottleneck``: the residual block of DF2A, as in ResNet-50 (POP paper, section 4.1)."""

from __future__ import annotations

from torch import Tensor, nn

from optuna_pop.errors import ArchitectureError
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.blocks import BLOCKS, check_config
from optuna_pop.trainables.blocks.conv import conv_bn


@BLOCKS.register("bottleneck")
class BottleneckBlock(nn.Module):
    """conv1x1, conv3x3, conv1x1, each with batch norm, beside a shortcut.

    ReLU follows the first two and the sum. Options of the configuration: ``width``, the channels
    inside; ``project=1`` puts a projection on the shortcut even where shapes agree, as DF2A has
    it wherever the width changes.

    Args:
        config: The stride of the conv3x3 and of the shortcut follows from the sizes.

    Raises:
        ArchitectureError: if the shapes do not fit together, or there is no positive width.
    """

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        check_config(config, options=("project", "width"))
        options = dict(config.options)
        width = options.get("width", 0)
        if width < 1:
            raise ArchitectureError(f"block {config} needs its inner width: add 'width=N'")
        self.conv1 = conv_bn(config.c_in, width, kernel=1)
        self.conv2 = conv_bn(width, width, kernel=3, stride=config.stride)
        self.conv3 = conv_bn(width, config.c_out, kernel=1)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if config.stride != 1 or config.c_in != config.c_out or options.get("project"):
            self.shortcut = conv_bn(config.c_in, config.c_out, kernel=1, stride=config.stride)

    def weigh_residual(self, weight: float) -> None:
        """Start with this weight in the last batch norm beside the shortcut."""
        nn.init.constant_(self.conv3.get_parameter("bn.weight"), weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c_in, h_in, w_in) to (n, c_out, h_out, w_out)."""
        inner = self.conv3(self.relu(self.conv2(self.relu(self.conv1(x)))))
        out: Tensor = self.relu(inner + self.shortcut(x))
        return out
