"""Networks from block configurations, and their size (POP paper, section 3.1, arXiv:1903.03777)."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol, runtime_checkable

from optuna_pop.errors import ArchitectureError, needs_extra
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.spaces.df import backbone_of
from optuna_pop.trainables.blocks import build_block, input_shapes

with needs_extra("train"):
    import torch
    from torch import Tensor, nn

_SIDE_PATH = "shortcut"
_random_state = threading.Lock()


class ShapeSpec(NamedTuple):
    """A map of features.

    Attributes:
        channels: Its channels.
        stride: Pixels of the input for one of it, along each axis.
    """

    channels: int
    stride: int


class Network(nn.Sequential):
    """Blocks in order of execution, ``network[i]`` built from ``network.configs[i]`` alone.

    Attributes:
        configs: The configurations, whose shapes chain.
    """

    def __init__(self, configs: Sequence[BlockConfig]) -> None:
        self._check(configs)
        super().__init__(*(build_block(config) for config in configs))
        self.configs = tuple(configs)

    def _check(self, configs: Sequence[BlockConfig]) -> None:
        check_chain(configs)

    @property
    def backbone(self) -> tuple[nn.Module, ...]:
        """Blocks of stages 1 to 5, before the head or the decoder."""
        return tuple(self)[: len(backbone_of(self.configs))]

    def forward_with(self, x: Tensor, place: int) -> tuple[Tensor, Tensor]:
        """Map as ``forward`` does, and give the output of a block of the backbone, too."""
        kept = x
        for number, block in enumerate(self):
            x = block(x)
            if number == place:
                kept = x
        return x, kept

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Say what a decoder can take from the backbone.

        Returns:
            Channels and stride of the last block at each resolution, by stage: "stage1", ...
        """
        first, found = self.configs[0], {}
        for config in backbone_of(self.configs):
            found[config.output_shape[1:]] = config.c_out
        return {
            f"stage{stage}": ShapeSpec(channels, math.ceil(first.h_in / size[0]))
            for stage, (size, channels) in enumerate(found.items(), start=1)
        }


class SegmentationNetwork(Network):
    """A backbone with DF-Seg's decoder (POP paper, section 3.5, Figure 6).

    Built from the blocks of ``optuna_pop.spaces.df.segmentation_blocks``: backbone, pyramid
    pooling, three width controllers, two fusions, score and, at full size, up-sampling.

    Attributes:
        configs: The configurations, in order of execution.
    """

    def __init__(self, configs: Sequence[BlockConfig]) -> None:
        super().__init__(configs)
        self._features = [config.kind for config in configs].index("pyramid")
        # Stages 3 and 4 end where the resolution of their controllers was last seen.
        controls = self.configs[self._features + 1 : self._features + 3]
        self._taps = tuple(self._last_with(config.input_shape) for config in controls)

    def _check(self, configs: Sequence[BlockConfig]) -> None:
        kinds = [config.kind for config in configs]
        decoder = ["pyramid", *["control"] * 3, *["fusion"] * 2, "score"]
        features = kinds.index("pyramid") if "pyramid" in kinds else 0
        if not features or kinds[features:] not in (decoder, [*decoder, "upsample"]):
            raise ArchitectureError(
                f"a segmentation network is a backbone, then {', '.join(decoder)} and perhaps "
                f"upsample, but this is {', '.join(kinds)}"
            )
        check_chain(configs[: features + 1])

    def _last_with(self, shape: tuple[int, int, int]) -> int:
        for place in reversed(range(self._features)):
            if self.configs[place].output_shape == shape:
                return place
        raise ArchitectureError(f"no block of the backbone gives the {shape} that a control takes")

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to scores (n, classes, h, w), or at 1/8 without up-sampling."""
        return self._decode(self._backbone(x, self._taps))

    def forward_with(self, x: Tensor, place: int) -> tuple[Tensor, Tensor]:
        """Map as ``forward`` does, and give the output of a block of the backbone, too."""
        kept = self._backbone(x, (*self._taps, place))
        return self._decode(kept), kept[place]

    def _backbone(self, x: Tensor, wanted: tuple[int, ...]) -> dict[int, Tensor]:
        """Outputs of the wanted blocks of the backbone, and of its last, by place."""
        kept = {}
        for place, block in enumerate(list(self)[: self._features]):
            x = block(x)
            if place in wanted:
                kept[place] = x
        return {**kept, self._features - 1: x}

    def _decode(self, kept: dict[int, Tensor]) -> Tensor:
        pyramid, c3, c4, c5, fuse4, fuse3, *ends = list(self)[self._features :]
        high, middle = (kept[place] for place in self._taps)
        low = pyramid(kept[self._features - 1])
        out: Tensor = fuse3(fuse4(c5(low), c4(middle)), c3(high))
        for end in ends:
            out = end(out)
        return out


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """What a network is made of.

    Attributes:
        macs: Multiply-accumulates of one forward pass of one sample, in convolutions and the
            classifier.
        parameters: Trainable numbers, batch norm's included.
        depth: Convolutions on the main path, and the classifier.
    """

    macs: int
    parameters: int
    depth: int


@runtime_checkable
class ResidualBlock(Protocol):
    """A block whose part beside the shortcut can start with less weight."""

    def weigh_residual(self, weight: float) -> None:
        """Set the weight of the last batch norm beside the shortcut."""


def build_network(
    blocks: Sequence[BlockConfig], *, seed: int = 0, residual_init: float = 1.0
) -> Network:
    """Build a network, initialised as in ResNet: kaiming normal (fan out) convolutions.

    Args:
        blocks: Block configurations in order; any sub-sequence of a network, also a single one.
        seed: The same seed gives the same weights; torch's global random state is left alone.
        residual_init: Weight that the last batch norm beside each shortcut starts with. Below
            the usual 1, depth slows the first steps down less; 0 starts from shortcuts alone.

    Returns:
        A network in training mode, on the CPU, from (n, *blocks[0].input_shape) to
        (n, *blocks[-1].output_shape), or to logits (n, classes) where the last block is a head.
        Blocks of a decoder after a backbone give a ``SegmentationNetwork``.

    Raises:
        ArchitectureError: if there is no block, or shapes do not chain.
        UnknownNameError: if no block is registered for a kind.
    """
    with _own_randomness(seed):
        network = _of(blocks)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if residual_init != 1 and isinstance(module, ResidualBlock):
                module.weigh_residual(residual_init)
    return network


def _of(blocks: Sequence[BlockConfig]) -> Network:
    decoder = len(blocks) > 1 and any(block.kind == "fusion" for block in blocks)
    return SegmentationNetwork(blocks) if decoder else Network(blocks)


def check_chain(blocks: Sequence[BlockConfig]) -> None:
    """Refuse blocks that do not feed one another.

    Raises:
        ArchitectureError: if there is no block, or a block's input is not the output before it.
    """
    if not blocks:
        raise ArchitectureError("a network needs at least one block but got none")
    for number, (before, after) in enumerate(pairwise(blocks), start=1):
        if before.output_shape != after.input_shape:
            raise ArchitectureError(
                f"block {number} ({after}) takes {after.input_shape} "
                f"but block {number - 1} ({before}) gives {before.output_shape}"
            )


def network_size(blocks: Sequence[BlockConfig]) -> NetworkSize:
    """Count MACs, parameters and depth from the modules, without allocating weights.

    Depth counts as DF1 (23) and DF2 (43) were counted: every convolution on the main path and
    the classifier; projections on shortcuts are left out. MACs count them.

    Raises:
        ArchitectureError: as ``build_network``.
    """
    with torch.device("meta"):
        network = _of(blocks).eval()
        macs: list[int] = []
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_hook(
                    lambda layer, _, out: macs.append(_layer_macs(layer, out))
                )
        with torch.no_grad():
            inputs = (torch.empty(1, *shape) for shape in input_shapes(blocks[0]))
            (network[0] if len(network) == 1 else network)(*inputs)
    return NetworkSize(
        macs=sum(macs),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        depth=sum(
            isinstance(module, nn.Conv2d | nn.Linear) and _SIDE_PATH not in name.split(".")
            for name, module in network.named_modules()
        ),
    )


def count_macs(blocks: Sequence[BlockConfig]) -> int:
    """Return ``network_size(blocks).macs``."""
    return network_size(blocks).macs


def count_parameters(blocks: Sequence[BlockConfig]) -> int:
    """Return ``network_size(blocks).parameters``."""
    return network_size(blocks).parameters


def depth(blocks: Sequence[BlockConfig]) -> int:
    """Return ``network_size(blocks).depth``."""
    return network_size(blocks).depth


def _layer_macs(layer: nn.Module, out: Tensor) -> int:
    """One multiply-accumulate per output number and per weight that it sums over."""
    weight = layer.get_parameter("weight")
    return out.numel() * weight[0].numel()


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed torch's CPU randomness inside the block only; threads of this module take turns."""
    with _random_state:
        before = torch.default_generator.get_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.default_generator.set_state(before)
