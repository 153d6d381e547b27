"""Settings of data sets and recipes, given by name and often in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

from optuna_pop.errors import InputError, UnknownNameError

T = TypeVar("T")


def with_settings(maker: Callable[..., T], values: Mapping[str, Any], what: str) -> T:
    """Make a dataclass from values, which are read as the types of its fields.

    Args:
        maker: The dataclass; anything else has no settings.
        values: By name, also in words ("3", "true", [1, 2]).
        what: What it is, for messages.

    Raises:
        UnknownNameError: if there is no such setting.
        InputError: if a value cannot be used.
    """
    known = [field.name for field in fields(maker)] if is_dataclass(maker) else []
    for name in values:
        if not known:
            raise InputError(f"{what} has no settings, but {name!r} was given")
        if name not in known:
            raise UnknownNameError(f"setting of {what}", name, known)
    if not values:
        return maker()
    from pydantic import TypeAdapter, ValidationError

    try:
        adapter: TypeAdapter[T] = TypeAdapter(cast("type[T]", maker))
        return adapter.validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":  # one of our own, which says all
            raise InputError(str(first["ctx"]["error"])) from error
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{what}: {where}: {first['msg']} (got {first['input']!r})") from error
