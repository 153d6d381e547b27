"""What a network consists of, as drawings and notes show it: its stages and their widths."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.spaces.df import backbone_of

DECODER = ("pyramid", "control", "control", "control", "fusion", "fusion", "score")
"""Kinds of DF-Seg's decoder (POP paper, Figure 6), in order of execution."""


@dataclass(frozen=True)
class Stage:
    """Blocks of a network that belong together.

    Attributes:
        name: ``stage 3``, or the kind of a single block: ``head``, ``pyramid``.
        blocks: In order of execution, at least one.
    """

    name: str
    blocks: tuple[BlockConfig, ...]

    @property
    def pixels(self) -> str:
        """Height and width of the output, ``28×28``."""
        _, height, width = self.blocks[-1].output_shape
        return f"{height}×{width}"

    @property
    def runs(self) -> list[tuple[int, int]]:
        """Width of neighbouring blocks that are equally wide, and how many there are."""
        return [
            (width, len(list(blocks)))
            for width, blocks in itertools.groupby(self.blocks, key=width_of)
        ]

    @property
    def words(self) -> str:
        """Widths and depths, ``64×2, 128``."""
        return ", ".join(f"{width}×{n}" if n > 1 else str(width) for width, n in self.runs)


def width_of(block: BlockConfig) -> int:
    """Width of a block as the search space counts it: inside, where it is a bottleneck."""
    return dict(block.options).get("width", block.c_out)


def backbone_stages(blocks: Sequence[BlockConfig]) -> list[Stage]:
    """Divide stages 1 to 5 of a network; each begins with the block that halves the resolution."""
    stages: list[list[BlockConfig]] = []
    for block in backbone_of(blocks):
        if not stages or block.stride > 1:
            stages.append([])
        stages[-1].append(block)
    return [Stage(f"stage {number}", tuple(part)) for number, part in enumerate(stages, start=1)]


def all_stages(blocks: Sequence[BlockConfig]) -> list[Stage]:
    """Divide a whole network; behind the backbone each block stands alone.

    DF-Seg's controllers are called ``C3``, ``C4`` and ``C5`` and its fusion nodes by what they
    fuse.
    """
    backbone = backbone_stages(blocks)
    rest = blocks[sum(len(stage.blocks) for stage in backbone) :]
    names = [block.kind for block in rest]
    if is_decoder(rest):
        last = len(backbone)
        c3, c4, c5 = (f"C{stage}" for stage in (last - 2, last - 1, last))
        names[1:6] = [c3, c4, c5, f"{c5} + {c4}", f"{c4} + {c3}"]
    return [*backbone, *(Stage(name, (b,)) for name, b in zip(names, rest, strict=True))]


def is_decoder(rest: Sequence[BlockConfig]) -> bool:
    """Whether these blocks, which follow a backbone, are DF-Seg's decoder."""
    kinds = tuple(block.kind for block in rest)
    return kinds in (DECODER, (*DECODER, "upsample"))
