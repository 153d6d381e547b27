"""Writing result files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from optuna_pop.errors import StorageError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file, and its folders where they are missing.

    Args:
        path: Where to; replaced if it exists.
        content: All of the file.

    Raises:
        StorageError: if the place cannot be written or the disk is full; a file that was there is
            then unchanged.
    """
    path = path.resolve()  # a link stays a link
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; free some space, change its "
            "permissions or choose another place (a file already there is unchanged)"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # its folder was never made; the error above says so
            partial.unlink(missing_ok=True)
