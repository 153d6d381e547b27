"""Data sets by name. To add one, add a file here with a ``DataSet`` that registers itself."""

from __future__ import annotations

from collections.abc import Callable

from optuna_pop.registry import Registry
from optuna_pop.trainables.data.base import DataSet, Split

DATA_SETS: Registry[Callable[[], DataSet]] = Registry("data set", __name__)
"""Data sets with their default settings, by name: ``DATA_SETS["digits"]()``."""

__all__ = ["DATA_SETS", "DataSet", "Split"]
