"""The project's errors: each message names the value, the place and the mend.

``OptunaPopError`` is the root. What a caller got wrong is an ``InputError``, which is a
``ValueError`` too, so code that knows nothing of this project still handles it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager


class OptunaPopError(Exception):
    """Root of every error this project raises on purpose."""


class InputError(OptunaPopError, ValueError):
    """A value given by the user cannot be used."""


class UnknownNameError(InputError):
    """A name that no registered block, data set, engine or space has."""

    def __init__(self, what: str, name: str, known: list[str]) -> None:
        super().__init__(f"unknown {what} {name!r}: choose one of {', '.join(sorted(known))}")


class ArchitectureError(InputError):
    """An architecture, vector or parameter set lies outside its space."""


class CostError(InputError):
    """The costs do not fit the space or the cost range."""


class TableError(InputError):
    """A latency table cannot be read, or belongs to something else."""


class MissingBlockError(TableError):
    """The table holds no latency for a block configuration that an architecture needs."""


class StudyError(InputError):
    """The study was made for another space, table, data or set of directions."""


class StorageError(OptunaPopError):
    """A storage cannot be reached or written."""


class TrackingError(StorageError):
    """MLflow cannot be reached or written."""


class DataError(InputError):
    """A data set is missing, damaged or does not fit the space."""


class EngineError(OptunaPopError):
    """An inference engine cannot run here, or failed while it ran."""


class OutOfMemoryError(OptunaPopError, RuntimeError):
    """A training does not fit into the memory of its device."""


class OrderWarning(UserWarning):
    """The trained architectures contradict the order too much to prune on it."""


class MissingExtraError(OptunaPopError, ImportError):
    """An optional dependency is not installed."""


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a failed import inside the block into an error that says what to install.

    Args:
        extra: Name of the optional dependency group in ``pyproject.toml``.

    Raises:
        MissingExtraError: if a package that the group brings is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        top = (error.name or "").partition(".")[0]
        if not top or top == "optuna_pop" or _is_installed(top):
            raise  # A broken installation or our own mistake, not a missing extra.
        raise MissingExtraError(
            f"{top} is not installed; get it with: pip install 'optuna-pop[{extra}]'"
        ) from error


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ValueError, ModuleNotFoundError):  # blocked by whoever imports us
        return False
