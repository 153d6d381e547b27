"""Names of files, and writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from optuna_pop.errors import StorageError


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace a file's content; whatever happens, the path holds the old or the new one.

    It goes to a new file in the same folder, is forced to disk, and takes the old file's
    place in one step. Folders that are missing are made.

    Raises:
        StorageError: if the folder cannot be written or the disk is full.
    """
    path = path.resolve()  # a link stays a link
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; free some space, change its "
            "permissions or choose another place (a file already there is unchanged)"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Force the new name to disk, where the operating system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def numbered(path: Path, at: int) -> Path:
    """Name the file of one of several costs, from 0: ``b.png``, ``b-2.png``, ..."""
    return path if at == 0 else path.with_stem(f"{path.stem}-{at + 1}")
