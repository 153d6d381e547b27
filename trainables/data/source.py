"""Where data sets that are not made here lie: a folder for each below one data root."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from optuna_pop.errors import DataError

ROOT_VARIABLE: Final = "OPTUNA_POP_DATA"
"""Environment variable with the data root; ``data`` in the working folder by default."""


def data_root() -> Path:
    """Return the folder that holds data sets."""
    return Path(os.environ.get(ROOT_VARIABLE) or "data").expanduser()


def missing(name: str, path: Path, mend: str) -> DataError:
    """Return the error that says that a data set is not there, and what to do."""
    return DataError(
        f"data set {name} is not at {path}: {mend}; or say where data lies with --data-root or "
        f"{ROOT_VARIABLE}"
    )


def read_npz(path: Path, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Read arrays from a NumPy archive, which may not hold Python objects.

    Raises:
        DataError: if it cannot be read or lacks a key.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in keys}
    except KeyError as error:
        raise DataError(f"data set {name}: {path} has no array {error}") from error
    except Exception as error:  # whatever a damaged archive makes of itself
        raise DataError(f"data set {name}: {path} is damaged ({error}): bring it again") from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file, read once a process while it stays the same."""
    about = path.stat()
    return _digest(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:  # noqa: ARG001 - they tell versions apart
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
