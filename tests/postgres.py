"""A real PostgreSQL server for one test session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Server:
    """A server on a free loopback port with an empty database, in a folder of its own.

    Attributes:
        url: SQLAlchemy URL of the database.
    """

    def __init__(self, folder: Path, bin_: Path) -> None:
        self._data, self._bin, self._log = folder / "data", bin_, folder / "log"
        self._user = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres", "postgres")
        folder.chmod(0o700)
        port = _free_port()
        self._options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
        self.url = f"postgresql+psycopg://pop@127.0.0.1:{port}/pop"
        self._run(bin_ / "initdb", "-D", self._data, "-U", "pop", "-A", "trust", "--no-sync")
        self.start()
        self._port = port
        self.create("pop")

    def create(self, name: str) -> str:
        """Make an empty database; return its SQLAlchemy URL."""
        words = ("-h", "127.0.0.1", "-p", self._port, "-U", "pop", name)
        self._run(self._bin / "createdb", *words)
        return f"{self.url.rpartition('/')[0]}/{name}"

    def start(self) -> None:
        """Start, or start again."""
        control = self._bin / "pg_ctl"
        self._run(control, "-D", self._data, "-o", self._options, "-l", self._log, "-w", "start")

    def stop(self) -> None:
        """End it as a crash does: connections break, what was committed stays."""
        self._run(self._bin / "pg_ctl", "-D", self._data, "-m", "immediate", "stop")

    def _run(self, *words: object) -> None:
        command = [*self._user, *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, cwd="/")


@contextmanager
def running() -> Iterator[Server]:
    """Run a server until the block is left."""
    initdb = _find("initdb")
    if initdb is None:
        message = "PostgreSQL is not installed: apt-get install postgresql"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    folder = Path(tempfile.mkdtemp(prefix="optuna-pop-pg-"))
    server_ = Server(folder, initdb.parent)
    try:
        yield server_
    finally:
        server_.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def server() -> Iterator[str]:
    """Run a server; yield an SQLAlchemy URL of an empty database."""
    with running() as found:
        yield found.url


def _find(name: str) -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    on_path = shutil.which(name)
    return found[-1] if found else Path(on_path) if on_path else None


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
