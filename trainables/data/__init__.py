"""Data sets by name. To add one, add a file here with a ``DataSet`` that registers itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

from optuna_pop.errors import InputError
from optuna_pop.registry import Registry
from optuna_pop.trainables.data.base import VOID, DataSet, Samples, Split

DATA_SETS: Registry[Callable[..., DataSet]] = Registry("data set", __name__)
"""Data sets by name: ``DATA_SETS["digits"]()`` has its default settings."""


def make_data_set(name: str, settings: Mapping[str, Any] | None = None) -> DataSet:
    """Return a data set by name.

    Args:
        name: Its registered name.
        settings: Settings that differ from the default, by name; words are read as their type.

    Raises:
        UnknownNameError: if there is no such data set.
        InputError: if a setting is unknown or cannot be used.
    """
    maker = DATA_SETS[name]
    if not settings:
        return maker()
    known: list[str] = [field.name for field in fields(maker)] if is_dataclass(maker) else []
    for key in settings:
        if key not in known:
            raise InputError(
                f"data set {name} has no setting {key!r}: it has {', '.join(known) or 'none'}"
            )
    from pydantic import TypeAdapter, ValidationError

    try:
        adapter: TypeAdapter[DataSet] = TypeAdapter(cast("type[DataSet]", maker))
        return adapter.validate_python(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"data set {name}: {where or 'settings'}: {first['msg']} (got {first['input']!r})"
        ) from error


__all__ = ["DATA_SETS", "VOID", "DataSet", "Samples", "Split", "make_data_set"]
