"""Named parts (blocks, data sets, engines): one small class each, found by name."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from optuna_pop.errors import OptunaPopError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps names to parts; a name is never silently overwritten.

    Args:
        what: What the parts are, for messages ("data set").
        package: Dotted name of the package whose modules register the parts. They are imported
            at the first look-up, so adding a part is adding one file to that package.
        group: Of entry points; each names a module of another package that registers parts.
    """

    def __init__(self, what: str, package: str, group: str | None = None) -> None:
        self._group = group
        self._what = what
        self._package = package
        self._parts: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers its argument under ``name``."""

        def add(part: T) -> T:
            if name in self._parts and self._parts[name] is not part:
                raise OptunaPopError(
                    f"{self._what} {name!r} is registered twice: by {self._parts[name]!r} "
                    f"and by {part!r}; rename one"
                )
            self._parts[name] = part
            return part

        return add

    def names(self) -> list[str]:
        """Return the registered names, sorted."""
        self._load()
        return sorted(self._parts)

    def __getitem__(self, name: str) -> T:
        self._load()
        if name not in self._parts:
            raise UnknownNameError(self._what, name, list(self._parts))
        return self._parts[name]

    def _load(self) -> None:
        if self._loaded:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__, prefix=f"{self._package}."):
            importlib.import_module(module.name)
        for point in entry_points(group=self._group) if self._group else ():
            try:
                point.load()
            except Exception as error:  # somebody else's code; the rest must stay usable
                warnings.warn(
                    f"{self._what} {point.name!r} ({point.value}) cannot be loaded: {error}",
                    stacklevel=3,
                )
        self._loaded = True
