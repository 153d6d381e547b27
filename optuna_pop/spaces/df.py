"""The published DF and DF-Seg networks as block configurations (POP paper, sections 3.5 and 4).

arXiv:1903.03777. Shapes only: ``optuna_pop.trainables.networks.build_network`` builds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from optuna_pop.errors import ArchitectureError, UnknownNameError
from optuna_pop.spaces.blocks import BlockConfig

Blocks = tuple[BlockConfig, ...]
Shape = tuple[int, int, int]

IMAGENET: Final[Shape] = (3, 224, 224)
CITYSCAPES: Final[Shape] = (3, 1024, 2048)
PYRAMID_OUT: Final = 512
_STEM: Final = (32, 64)

# Widths of the blocks of stages 3, 4 and 5.
_BASIC: Final = {
    "df1": ((64,) * 3, (128,) * 3, (256,) * 3 + (512,)),
    "df2": ((64,) * 2 + (128,), (128,) * 10 + (256,), (256,) * 4 + (512,) * 2),
}
# Per block of stages 4 and 5 of DF2A: channels inside and out.
_DF2A: Final = (
    ((128, 512),) * 10 + ((256, 1024),),
    ((256, 1024),) * 4 + ((512, 1024),) * 2,
)
# Name: backbone, width controllers (C3, C4, C5), whether the score is up-sampled to full size.
_SEGMENTATION: Final = {
    "df1-seg-d8": ("df1", (19, 32, 128), False),
    "df1-seg": ("df1", (19, 32, 128), True),
    "df2-seg1": ("df2", (19, 19, 32), True),
    "df2-seg2": ("df2", (19, 256, 512), True),
}
BACKBONES: Final = (*_BASIC, "df2a")
NAMES: Final = (*BACKBONES, *_SEGMENTATION)


def df_blocks(name: str, *, input_shape: Shape | None = None, classes: int | None = None) -> Blocks:
    """Return the blocks of a published network, in order of execution.

    Args:
        name: One of ``NAMES``.
        input_shape: (channels, height, width); 3x224x224 for backbones and 3x1024x2048 for
            segmentation by default.
        classes: 1000 or 19 by default. The widths of DF-Seg's controllers that are 19 in the paper
            are the number of classes, whatever it is.

    Raises:
        UnknownNameError: if there is no such network.
        ArchitectureError: if the input is too small.
    """
    if name in BACKBONES:
        features = df_features(name, input_shape or IMAGENET)
        last = features[-1]
        head = BlockConfig("head", *last.output_shape, 1000 if classes is None else classes, 1, 1)
        return (*features, head)
    if name not in _SEGMENTATION:
        raise UnknownNameError("network", name, list(NAMES))
    backbone, widths, full = _SEGMENTATION[name]
    count = 19 if classes is None else classes
    own = [count if width == 19 else width for width in widths]
    shape = input_shape or CITYSCAPES
    return segmentation_blocks(
        df_features(backbone, shape), (own[0], own[1], own[2]), count, shape if full else None
    )


def df_features(name: str, input_shape: Shape) -> Blocks:
    """Return stages 1 to 5 of a backbone, without the head.

    Raises:
        UnknownNameError: if there is no such backbone.
        ArchitectureError: if the input is too small.
    """
    if name not in BACKBONES:
        raise UnknownNameError("backbone", name, list(BACKBONES))
    if min(input_shape) < 1:
        raise ArchitectureError(f"input shape {input_shape} must be positive")
    found: list[BlockConfig] = []
    shape = input_shape
    for width in _STEM:
        shape = _append(found, "conv", shape, width, stride=2)
    basic = _BASIC["df2" if name == "df2a" else name]
    for widths in basic[:1] if name == "df2a" else basic:
        for number, width in enumerate(widths):
            shape = _append(found, "basic", shape, width, stride=2 if number == 0 else 1)
    if name == "df2a":
        before = 0
        for stage in _DF2A:
            for number, (width, out) in enumerate(stage):
                # A projection wherever the width changes, which must be said where shapes agree.
                forced = number > 0 and width != before and shape[0] == out
                extra = (("project", 1),) if forced else ()
                options = (*extra, ("width", width))
                stride = 2 if number == 0 else 1
                shape = _append(found, "bottleneck", shape, out, stride=stride, options=options)
                before = width
    return tuple(found)


def segmentation_blocks(
    features: Sequence[BlockConfig],
    widths: tuple[int, int, int],
    classes: int,
    full_size: Shape | None,
) -> Blocks:
    """Return a backbone with DF-Seg's decoder (Figure 6), in order of execution.

    Args:
        features: Stages 1 to 5 of a backbone.
        widths: Of the controllers on stage 3, stage 4 and the pyramid: C3, C4, C5.
        classes: Maps of the score.
        full_size: The input's shape, if the score shall be up-sampled to its height and width;
            None leaves it at 1/8.

    Raises:
        ArchitectureError: if the backbone has no three resolutions to fuse.
    """
    ends = {block.output_shape[1:]: block.output_shape for block in features}
    if len(ends) < 3:
        raise ArchitectureError(
            f"the decoder fuses three resolutions but the backbone has {sorted(ends)}: give a "
            "larger input"
        )
    stage3, stage4, stage5 = list(ends.values())[-3:]
    pyramid = BlockConfig("pyramid", *stage5, PYRAMID_OUT, *stage5[1:])
    sources = (stage3, stage4, pyramid.output_shape)
    controls = [
        BlockConfig("control", *source, width, *source[1:])
        for source, width in zip(sources, widths, strict=True)
    ]
    c3, c4, c5 = (control.output_shape for control in controls)
    fusions = [BlockConfig("fusion", *c5, *c4), BlockConfig("fusion", *c4, *c3)]
    found = [*features, pyramid, *controls, *fusions]
    found.append(BlockConfig("score", *c3, classes, *c3[1:]))
    if full_size is not None:
        found.append(BlockConfig("upsample", classes, *c3[1:], classes, *full_size[1:]))
    return tuple(found)


def backbone_of(blocks: Sequence[BlockConfig]) -> Blocks:
    """Return stages 1 to 5: what stands before the head or the decoder."""
    return tuple(takewhile(lambda block: block.kind not in ("head", "pyramid"), blocks))


def at_input(blocks: Sequence[BlockConfig], input_shape: Shape) -> Blocks:
    """Return the same network, with the same weights, for images of another size.

    Args:
        blocks: Of a backbone with or without its head, or of a segmentation network.
        input_shape: (channels, height, width).

    Raises:
        ArchitectureError: if it takes other channels.
    """
    if input_shape[0] != blocks[0].c_in:
        raise ArchitectureError(
            f"the network takes {blocks[0].c_in} channels, not {input_shape[0]}"
        )
    end = len(backbone_of(blocks))
    features: list[BlockConfig] = []
    shape = input_shape
    for block in blocks[:end]:
        shape = _append(
            features, block.kind, shape, block.c_out, stride=block.stride, options=block.options
        )
    if end == len(blocks):
        return tuple(features)
    if blocks[end].kind == "head":
        return (*features, BlockConfig("head", *shape, blocks[end].c_out, 1, 1))
    c3, c4, c5 = (block.c_out for block in blocks[end + 1 : end + 4])
    full = input_shape if blocks[-1].kind == "upsample" else None
    return segmentation_blocks(features, (c3, c4, c5), blocks[-1].c_out, full)


def _append(
    found: list[BlockConfig],
    kind: str,
    shape: Shape,
    width: int,
    *,
    stride: int,
    options: tuple[tuple[str, int], ...] = (),
) -> Shape:
    c, h, w = shape
    block = BlockConfig(kind, c, h, w, width, -(-h // stride), -(-w // stride), options)
    found.append(block)
    return block.output_shape
