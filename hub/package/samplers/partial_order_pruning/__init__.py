"""Partial Order Pruning as a sampler; the implementation is the package ``optuna-pop``."""

from optuna_pop import BackboneSpace
from optuna_pop import DecoderSpace
from optuna_pop import OrderedArchitecture
from optuna_pop import OrderedSpace
from optuna_pop import PoolSpace
from optuna_pop import POPSampler
from optuna_pop import Space
from optuna_pop import StopWhenBoundaryUnchanged
from optuna_pop import StopWhenGainBelow


__all__ = [
    "BackboneSpace",
    "DecoderSpace",
    "OrderedArchitecture",
    "OrderedSpace",
    "POPSampler",
    "PoolSpace",
    "Space",
    "StopWhenBoundaryUnchanged",
    "StopWhenGainBelow",
]
