"""Inference engines, found by name; a new one is one file in this folder.

A package elsewhere adds one by an entry point of the group ``optuna_pop.engines``, which names a
module that registers it.
"""

from optuna_pop.profiling.engines.base import (
    PRECISIONS,
    Engine,
    EngineInfo,
    EngineOptions,
    LayerTime,
    Precision,
    Timing,
)
from optuna_pop.registry import Registry

ENGINES: Registry[type[Engine]] = Registry("engine", __name__, group="optuna_pop.engines")
"""Engine classes by name. A module of this folder imports its library only when it is used."""

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "Engine",
    "EngineInfo",
    "EngineOptions",
    "LayerTime",
    "Precision",
    "Timing",
]
