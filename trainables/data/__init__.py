"""Data sets by name. To add one, add a file here with a ``DataSet`` that registers itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optuna_pop.registry import Registry
from optuna_pop.trainables.data.base import VOID, DataSet, Samples, Split
from optuna_pop.trainables.settings import with_settings

DATA_SETS: Registry[Callable[..., DataSet]] = Registry("data set", __name__)
"""Data sets by name: ``DATA_SETS["digits"]()`` has its default settings."""


def make_data_set(name: str, settings: Mapping[str, Any] | None = None) -> DataSet:
    """Return a data set by name.

    Args:
        name: Its registered name.
        settings: Settings that differ from the default, by name; words are read as their type.

    Raises:
        UnknownNameError: if there is no such data set, or it has no such setting.
        InputError: if a setting cannot be used.
    """
    return with_settings(DATA_SETS[name], settings or {}, f"data set {name}")


__all__ = ["DATA_SETS", "VOID", "DataSet", "Samples", "Split", "make_data_set"]
