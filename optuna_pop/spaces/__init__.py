"""Sets of architectures: vectors ↔ architectures ↔ Optuna parameters."""

from optuna_pop.spaces.backbone import DF1, DF2, BackboneArchitecture, BackboneSpace
from optuna_pop.spaces.base import ARCHITECTURE_ATTR, Space
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.spaces.decoder import DecoderArchitecture, DecoderSpace
from optuna_pop.spaces.grid import OrderedArchitecture, OrderedSpace
from optuna_pop.spaces.pool import Candidate, PoolSpace

__all__ = [
    "ARCHITECTURE_ATTR",
    "DF1",
    "DF2",
    "BackboneArchitecture",
    "BackboneSpace",
    "BlockConfig",
    "Candidate",
    "DecoderArchitecture",
    "DecoderSpace",
    "OrderedArchitecture",
    "OrderedSpace",
    "PoolSpace",
    "Space",
]
