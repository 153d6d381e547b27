"""Inference engines, found by name; a new one is one file in this folder."""

from optuna_pop.profiling.engines.base import Engine, EngineInfo
from optuna_pop.registry import Registry

ENGINES: Registry[type[Engine]] = Registry("engine", __name__)
"""Engine classes by name. A module of this folder imports its library only when it is used."""

__all__ = ["ENGINES", "Engine", "EngineInfo"]
