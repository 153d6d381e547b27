"""``head``: stage 6, global average pool and the linear classifier (POP paper, section 3.1)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from optuna_pop.errors import ArchitectureError
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.blocks import BLOCKS, check_options


@BLOCKS.register("head")
def head(config: BlockConfig) -> nn.Module:
    """Return a classifier from (n, c_in, h_in, w_in) to logits (n, c_out).

    Raises:
        ArchitectureError: if the output is not 1x1.
    """
    check_options(config, ())
    if (config.h_out, config.w_out) != (1, 1):
        raise ArchitectureError(f"block {config}: a head's output is 1x1, its classes as channels")
    return nn.Sequential(
        OrderedDict(
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            linear=nn.Linear(config.c_in, config.c_out),
        )
    )
