"""A pruner for studies of accuracy and cost; the implementation is the package ``optuna-pop``."""

from optuna_pop import CurveTrial
from optuna_pop import OrderedSpace
from optuna_pop import POPPruner
from optuna_pop import POPSampler


__all__ = ["CurveTrial", "OrderedSpace", "POPPruner", "POPSampler"]
