"""Costs of backbones that add up over their blocks (POP paper, section 3.2, arXiv:1903.03777).

Notation beyond ``optuna_pop.spaces.backbone``:
    run     blocks of one stage and one width: its first block may widen, the others repeat it
    feeder  what a block's input comes from: 0 is the stem, 1 + j a block of width number j
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from optuna_pop.spaces.base import FloatArray, IntArray


@dataclass(frozen=True)
class BackboneCosts:
    """Costs by what the blocks are; nan where no architecture has such a block.

    Attributes:
        stem: Of all stem blocks.
        blocks: By stage, width, whether it is another than the stage's first block, and feeder;
            shape (stages, widths, 2, 1 + widths).
        heads: By feeder, shape (1 + widths,).
    """

    stem: float
    blocks: FloatArray
    heads: FloatArray

    def sums(self, vectors: IntArray) -> FloatArray:
        """Costs (m,) of the architectures that have the vectors T (m, d)."""
        stages, widths = self.blocks.shape[:2]
        at_least = vectors.T.reshape(stages, widths, -1)
        total = np.full(len(vectors), self.stem)
        feeder = np.zeros(len(vectors), dtype=np.intp)
        for stage in range(stages):
            # 0, then 1 + widths: where the costs of what is not the stage's first block begin.
            started = np.zeros(len(vectors), dtype=np.intp)
            for j in range(widths):
                wider = at_least[stage, j + 1] if j + 1 < widths else 0
                count = at_least[stage, j] - wider  # (m,) blocks of exactly this width
                here = count > 0
                first = self.blocks[stage, j].reshape(-1)[started + feeder]
                total += np.where(here, first + (count - 1) * self.repeats[stage, j], 0.0)
                feeder[here] = j + 1
                started[here] = 1 + widths
        return np.asarray(total + self.heads[feeder])

    @cached_property
    def repeats(self) -> FloatArray:
        """Cost of a block that repeats the one before it, 0 where none can; (stages, widths)."""
        return np.nan_to_num(np.diagonal(self.blocks[:, :, 1, 1:], axis1=1, axis2=2))
