"""The DF backbone space (POP paper, sections 3.1 to 3.3, arXiv:1903.03777).

Notation:
    s  stage 3, 4, 5 (the searched residual stages)
    w  width of a block, from the ascending set W: its output channels, or of a bottleneck block
       the channels between its conv1x1
    T_s,w(x)  number of blocks of stage s that are at least w wide

Widths never decrease along the network, so T determines the architecture, and x ≺ y ("shallower
and narrower") ⇔ T(x) ≤ T(y) componentwise and T(x) ≠ T(y): x can be made from y by deleting and
narrowing blocks.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, IntDistribution

from optuna_pop.errors import ArchitectureError, InputError
from optuna_pop.spaces.backbone_costs import BackboneCosts
from optuna_pop.spaces.backbone_paths import BackbonePaths
from optuna_pop.spaces.base import FloatArray, IntArray, ParamValue, Rows, Space, vector_type
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.spaces.ranking import BackboneRanking

PAPER_WIDTHS = (64, 128, 256, 512, 1024)
_FIRST_STAGE = 3  # stages 1 and 2 are the stem
_STRIDE = 2  # of the stem's convolutions and of each stage's first block
_BOTTLENECK = "bottleneck"
_EXPANSION, _MOST_EXPANDED = 4, 1024


@dataclass(frozen=True, slots=True)
class BackboneArchitecture:
    """Widths of the residual blocks, stage by stage.

    Attributes:
        stages: For stages 3, 4, 5 the width of each block, e.g. DF1 is
            ``((64, 64, 64), (128, 128, 128), (256, 256, 256, 512))``.
    """

    stages: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        return " | ".join(
            ", ".join(f"{width}x{len(list(run))}" for width, run in itertools.groupby(stage))
            for stage in self.stages
        )

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of all blocks, from the first to the last."""
        return tuple(itertools.chain.from_iterable(self.stages))


DF1 = BackboneArchitecture(((64,) * 3, (128,) * 3, (256,) * 3 + (512,)))
"""DF1 as released: depth 23, 746.7 MMACs at 224x224."""
DF2 = BackboneArchitecture(
    ((64,) * 2 + (128,), (128,) * 10 + (256,), (256,) * 4 + (512,) * 2),
)
"""DF2 as released: depth 43, 1,774.3 MMACs at 224x224."""


def bottleneck_channels(width: int) -> int:
    """Return the output channels of a bottleneck block: four times its width, at most 1024.

    So it is in DF2A, where widths 128, 256 and 512 give 512, 1024 and 1024. A block never gives
    fewer channels than its width.
    """
    return max(width, min(_EXPANSION * width, _MOST_EXPANDED))


class BackboneSpace(Space[BackboneArchitecture]):
    """DF-style backbones: stem, three or more stages of residual blocks, pooled linear head.

    Args:
        widths: Widths a block may have.
        max_depths: Largest number of blocks per stage; each stage has at least one.
        input_shape: (channels, height, width) of the network's input.
        classes: Outputs of the head.
        stem: Channels of the two stride-2 convolutions; by default half the smallest width and
            the smallest width, which gives the paper's 32 and 64.
        block: Registered kind of the residual blocks, or one kind for each stage: DF2A is DF2 in
            the blocks ("basic", "bottleneck", "bottleneck").

    Raises:
        InputError: if an argument cannot be used.
    """

    def __init__(
        self,
        widths: Sequence[int] = PAPER_WIDTHS,
        max_depths: Sequence[int] = (4, 6, 4),
        *,
        input_shape: tuple[int, int, int] = (3, 224, 224),
        classes: int = 1000,
        stem: tuple[int, int] | None = None,
        block: str | Sequence[str] = "basic",
    ) -> None:
        self.widths = tuple(sorted(set(widths)))
        self.max_depths = tuple(max_depths)
        self.input_shape = input_shape
        self.classes = classes
        self.kinds = (block,) * len(self.max_depths) if isinstance(block, str) else tuple(block)
        if not self.widths or self.widths[0] < 1:
            raise InputError(f"widths must be positive integers but got {tuple(widths)}")
        if not self.max_depths or min(self.max_depths) < 1:
            raise InputError(f"max_depths must each be at least 1 but got {self.max_depths}")
        if len(self.kinds) != len(self.max_depths):
            raise InputError(
                f"block must be one kind, or one for each of {len(self.max_depths)} stages, "
                f"but is {self.kinds}"
            )
        if classes < 1 or min(input_shape) < 1:
            raise InputError(
                f"classes and input_shape must be positive but got {classes}, {input_shape}"
            )
        self._type = vector_type(max(self.max_depths))
        self._ranking = BackboneRanking(self.max_depths, len(self.widths))
        if self._ranking.size > sys.maxsize:
            raise InputError(
                f"max_depths {self.max_depths} with {len(self.widths)} widths give "
                f"{self._ranking.size:,} architectures, more than can be numbered: make the "
                "depths smaller or the widths fewer"
            )
        self.stem = stem or (max(1, self.widths[0] // 2), self.widths[0])
        down = _STRIDE ** (len(self.stem) + len(self.max_depths))
        if min(input_shape[1:]) < down:
            raise InputError(
                f"input_shape {input_shape} is too small: {len(self.max_depths)} stages need "
                f"at least {down} x {down} pixels"
            )

    # --- vectors ---------------------------------------------------------------------------

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """T_s,w in words, stage by stage, from the narrowest width to the widest."""
        return tuple(
            f"stage{stage}_blocks_at_least_{width}"
            for stage in self._stages
            for width in self.widths
        )

    @property
    def _stages(self) -> range:
        return range(_FIRST_STAGE, _FIRST_STAGE + len(self.max_depths))

    def __len__(self) -> int:
        return self._ranking.size

    def vectors_at(self, rows: NDArray[np.integer[Any]]) -> IntArray:
        """Return T of some rows; see ``Space.vectors_at``."""
        return self._ranking.vectors(self._checked(rows), self._type)

    def rows_of(self, vectors: IntArray) -> Rows:
        """Return the row of each T, or -1; see ``Space.rows_of``."""
        return self._ranking.rows(self._checked_vectors(vectors)).astype(np.intp, copy=False)

    def at(self, row: int) -> BackboneArchitecture:
        """Return the architecture in row ``row``; see ``Space.at``."""
        counts = self.vectors_at(np.array([row])).reshape(len(self.max_depths), len(self.widths))
        return BackboneArchitecture(tuple(self._stage(stage) for stage in counts.tolist()))

    def _stage(self, at_least: list[int]) -> tuple[int, ...]:
        """Widths of one stage from its numbers of blocks at least so wide."""
        exactly = [n - wider for n, wider in zip(at_least, [*at_least[1:], 0], strict=True)]
        runs = ((width,) * n for width, n in zip(self.widths, exactly, strict=True))
        return tuple(itertools.chain.from_iterable(runs))

    def vector(self, architecture: BackboneArchitecture) -> tuple[int, ...]:
        """Return T of an architecture, also of one that is deeper than this space allows.

        Raises:
            ArchitectureError: if it has other stages or widths, or widths that decrease.
        """
        widths = architecture.widths
        if (
            len(architecture.stages) != len(self.max_depths)
            or not all(architecture.stages)
            or not set(widths) <= set(self.widths)
            or list(widths) != sorted(widths)
        ):
            raise ArchitectureError(
                f"{architecture} does not fit: {len(self.max_depths)} stages of at least one "
                f"block, widths from {self.widths}, never decreasing"
            )
        return tuple(
            sum(block >= width for block in stage)
            for stage in architecture.stages
            for width in self.widths
        )

    # --- Optuna parameters -----------------------------------------------------------------

    def distributions(self) -> dict[str, BaseDistribution]:
        """One depth per stage, and per width the number of blocks narrower than it."""
        found: dict[str, BaseDistribution] = {
            f"stage{stage}_depth": IntDistribution(1, most)
            for stage, most in zip(self._stages, self.max_depths, strict=True)
        }
        for width in self.widths[1:]:
            found[f"blocks_below_width_{width}"] = IntDistribution(0, sum(self.max_depths))
        return found

    def params(self, architecture: BackboneArchitecture) -> dict[str, ParamValue]:
        """Return the parameter values of an architecture."""
        self.row(architecture)  # refuses what lies outside
        values: dict[str, ParamValue] = {
            f"stage{stage}_depth": len(blocks)
            for stage, blocks in zip(self._stages, architecture.stages, strict=True)
        }
        for width in self.widths[1:]:
            narrower = sum(block < width for block in architecture.widths)
            values[f"blocks_below_width_{width}"] = narrower
        return values

    def from_params(self, params: Mapping[str, ParamValue]) -> BackboneArchitecture:
        """Return the architecture for any parameter values.

        A width's number of narrower blocks is raised to that of the width before it and cut at
        the number of blocks there are.
        """
        depths = [cast("int", params[f"stage{stage}_depth"]) for stage in self._stages]
        below = [cast("int", params[f"blocks_below_width_{width}"]) for width in self.widths[1:]]
        below = [min(count, sum(depths)) for count in itertools.accumulate(below, max)]
        ends = zip(self.widths, [*below, sum(depths)], [0, *below], strict=True)
        widths = [width for width, end, start in ends for _ in range(start, end)]
        starts = [0, *itertools.accumulate(depths)]
        return BackboneArchitecture(
            tuple(tuple(widths[a:b]) for a, b in itertools.pairwise(starts)),
        )

    # --- blocks ----------------------------------------------------------------------------

    def blocks(self, architecture: BackboneArchitecture) -> tuple[BlockConfig, ...]:
        """Return stem, residual blocks and head; the network's order of execution."""
        found = list(self._stem_blocks)
        before = None
        for stage, widths in enumerate(architecture.stages):
            for number, width in enumerate(widths):
                found.append(self._block(stage, before, width, first=number == 0))
                before = width
        found.append(self._head(architecture.widths[-1]))
        return tuple(found)

    def block_configs(self) -> tuple[BlockConfig, ...]:
        """Return every block configuration some architecture needs, sorted."""
        return self._block_configs

    @cached_property
    def _block_configs(self) -> tuple[BlockConfig, ...]:
        found = {*self._stem_blocks, *(self._head(width) for width in self.widths)}
        for stage, most in enumerate(self.max_depths):
            for width in self.widths:
                narrower = [before for before in self.widths if before <= width]
                entries = narrower if stage else [None]
                found |= {self._block(stage, before, width, first=True) for before in entries}
                if most > 1:
                    found |= {self._block(stage, before, width, first=False) for before in narrower}
        return tuple(sorted(found))

    def sum_blocks(
        self, cost_of: Callable[[BlockConfig], float], vectors: IntArray | None = None
    ) -> FloatArray:
        """Add up a cost per block configuration, without a loop over architectures.

        Vectors must be of the space, which is not checked; see ``Space.sum_blocks``.
        """
        costs = self._costs(cost_of)
        if vectors is not None:
            return costs.sums(self._checked_vectors(vectors))
        self._refuse_enumeration()
        total = np.empty(len(self))
        for rows in self._chunks():
            total[rows[0] : rows[-1] + 1] = costs.sums(self.vectors_at(rows))
        return total

    def paths(self, cost_of: Callable[[BlockConfig], float]) -> BackbonePaths:
        """Prepare to draw architectures by cost; see ``CountedSpace.paths``."""
        return BackbonePaths(self._costs(cost_of), self.max_depths, self._ranking)

    def _costs(self, cost_of: Callable[[BlockConfig], float]) -> BackboneCosts:
        known = {block: cost_of(block) for block in self.block_configs()}

        def cost(stage: int, before: int | None, width: int, *, first: bool) -> float:
            if (before is None) != (first and stage == 0) or (before or 0) > width:
                return np.nan
            return known.get(self._block(stage, before, width, first=first), np.nan)

        def costs(stage: int, width: int, *, first: bool) -> list[float]:
            feeders = (None, *self.widths)
            return [cost(stage, before, width, first=first) for before in feeders]

        blocks = [
            [[costs(stage, width, first=first) for first in (True, False)] for width in self.widths]
            for stage in range(len(self.max_depths))
        ]
        return BackboneCosts(
            stem=sum(known[block] for block in self._stem_blocks),
            blocks=np.array(blocks),
            heads=np.array([np.nan, *(known[self._head(width)] for width in self.widths)]),
        )

    @cached_property
    def _sizes(self) -> list[tuple[int, int]]:
        """(height, width) of the input and after each stride-2 step."""
        sizes = [self.input_shape[1:]]
        for _ in range(len(self.stem) + len(self.max_depths)):
            h, w = sizes[-1]
            sizes.append((-(-h // _STRIDE), -(-w // _STRIDE)))
        return sizes

    @cached_property
    def _stem_blocks(self) -> tuple[BlockConfig, ...]:
        channels = (self.input_shape[0], *self.stem)
        return tuple(
            BlockConfig("conv", channels[i], *self._sizes[i], channels[i + 1], *self._sizes[i + 1])
            for i in range(len(self.stem))
        )

    def _block(self, stage: int, before: int | None, width: int, *, first: bool) -> BlockConfig:
        """Configuration of a block; ``before`` is the width of the block before, None the stem."""
        size_out = self._sizes[len(self.stem) + stage + 1]
        size_in = self._sizes[len(self.stem) + stage] if first else size_out
        kind, c_out = self.kinds[stage], self._channels(stage, width)
        c_in = self.stem[-1]
        if before is not None:
            c_in = self._channels(stage - 1 if first else stage, before)
        options: tuple[tuple[str, int], ...] = ()
        if kind == _BOTTLENECK:
            # Where the stride or the channels ask for a projection, no option needs to.
            forced = c_in == c_out and size_in == size_out and before != width
            options = ((("project", 1),) if forced else ()) + (("width", width),)
        return BlockConfig(kind, c_in, *size_in, c_out, *size_out, options)

    def _channels(self, stage: int, width: int) -> int:
        """Output channels of a stage's blocks of a width."""
        return bottleneck_channels(width) if self.kinds[stage] == _BOTTLENECK else width

    def _head(self, width: int) -> BlockConfig:
        c_in = self._channels(-1, width)
        return BlockConfig("head", c_in, *self._sizes[-1], self.classes, 1, 1)

    # --- identity --------------------------------------------------------------------------

    def spec(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {
            "space": "backbone",
            "widths": list(self.widths),
            "max_depths": list(self.max_depths),
            "input_shape": list(self.input_shape),
            "classes": self.classes,
            "stem": list(self.stem),
            "block": self.kinds[0] if len(set(self.kinds)) == 1 else list(self.kinds),
        }
