"""A second head in the middle of a network, there only while it is trained.

"Additional supervision" (POP paper, section 4.1, arXiv:1903.03777), as in GoogLeNet.
"""

from __future__ import annotations

import math

from optuna_pop.errors import ArchitectureError, needs_extra
from optuna_pop.spaces.df import backbone_of
from optuna_pop.trainables.networks import Network, SegmentationNetwork

with needs_extra("train"):
    import torch
    from torch import Tensor, nn


class WithAuxiliary(nn.Module):
    """A network and a head on its stage 4, as one module.

    Args:
        network: With at least two resolutions in its backbone.
        seed: Of the head's weights.

    Raises:
        ArchitectureError: if the backbone has one resolution only.
    """

    def __init__(self, network: Network, seed: int) -> None:
        super().__init__()
        self.network = network
        sizes = [config.output_shape[1:] for config in backbone_of(network.configs)]
        before = [place for place, size in enumerate(sizes) if size != sizes[-1]]
        if not before:
            raise ArchitectureError("an auxiliary head needs a backbone of several resolutions")
        self._tap = before[-1]
        last = network.configs[-1]
        channels = network.configs[self._tap].c_out
        if isinstance(network, SegmentationNetwork):
            self.head: nn.Module = nn.Conv2d(channels, last.c_out, kernel_size=1)
        else:
            self.head = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, last.c_out)
            )
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.head.parameters():  # without the global random state
            nn.init.uniform_(
                parameter, -1 / math.sqrt(channels), 1 / math.sqrt(channels), generator=generator
            )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (n, c, h, w) to the scores of the network and of the auxiliary head."""
        scores, held = self.network.forward_with(x, self._tap)
        return scores, self.head(held)
