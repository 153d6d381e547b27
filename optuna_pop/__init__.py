"""Partial Order Pruning for Optuna: the best speed/accuracy boundary of a network family.

Li, Zhou, Pan, Feng, "Partial Order Pruning: for Best Speed/Accuracy Trade-off in Neural
Architecture Search", CVPR 2019, arXiv:1903.03777.
"""

from typing import TYPE_CHECKING, Any

from optuna_pop.callbacks import StopWhenBoundaryUnchanged, StopWhenGainBelow
from optuna_pop.choosing import best_under, fastest_above
from optuna_pop.curves import CurveTrial
from optuna_pop.errors import OptunaPopError, needs_extra
from optuna_pop.findings import Choice, Findings
from optuna_pop.pruner import POPPruner
from optuna_pop.sampler import POPSampler, SpaceExhaustedError
from optuna_pop.spaces import (
    BackboneArchitecture,
    BackboneSpace,
    BlockConfig,
    DecoderArchitecture,
    DecoderSpace,
    OrderedArchitecture,
    OrderedSpace,
    PoolSpace,
    Space,
)

if TYPE_CHECKING:
    from optuna_pop.tracking.tracker import MLflowTracker as MLflowTracker

__all__ = [
    "BackboneArchitecture",
    "BackboneSpace",
    "BlockConfig",
    "Choice",
    "CurveTrial",
    "DecoderArchitecture",
    "DecoderSpace",
    "Findings",
    "OptunaPopError",
    "OrderedArchitecture",
    "OrderedSpace",
    "POPPruner",
    "POPSampler",
    "PoolSpace",
    "Space",
    "SpaceExhaustedError",
    "StopWhenBoundaryUnchanged",
    "StopWhenGainBelow",
    "best_under",
    "fastest_above",
]


def __getattr__(name: str) -> Any:
    """``MLflowTracker``, which needs an extra, so that it is imported only where it is used."""
    if name == "MLflowTracker":
        with needs_extra("mlflow"):
            from optuna_pop.tracking.tracker import MLflowTracker
        return MLflowTracker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
