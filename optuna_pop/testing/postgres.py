"""A PostgreSQL server of one's own, thrown away afterwards: for tests and examples.

It listens on the loopback interface alone, asks for no password and is careless with the disk.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna_pop.errors import StorageError


class Server:
    """A server on a free loopback port with an empty database, in a folder of its own.

    Args:
        folder: Empty, for its files.
        programs: Folder of ``initdb`` and its kin.

    Attributes:
        url: SQLAlchemy URL of the database.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self._data, self._programs, self._log = folder / "data", programs, folder / "log"
        self._user = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres", "postgres")
        folder.chmod(0o700)
        port = _free_port()
        self._options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
        self.url = f"postgresql+psycopg://pop@127.0.0.1:{port}/pop"
        self._run(programs / "initdb", "-D", self._data, "-U", "pop", "-A", "trust", "--no-sync")
        self.start()
        self._port = port
        self.create("pop")

    def create(self, name: str) -> str:
        """Make an empty database; return its SQLAlchemy URL."""
        words = ("-h", "127.0.0.1", "-p", self._port, "-U", "pop", name)
        self._run(self._programs / "createdb", *words)
        return f"{self.url.rpartition('/')[0]}/{name}"

    def start(self) -> None:
        """Start, or start again."""
        control = self._programs / "pg_ctl"
        self._run(control, "-D", self._data, "-o", self._options, "-l", self._log, "-w", "start")

    def stop(self) -> None:
        """End it as a crash does: connections break, what was committed stays."""
        self._run(self._programs / "pg_ctl", "-D", self._data, "-m", "immediate", "stop")

    def _run(self, *words: object) -> None:
        command = [*self._user, *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, cwd="/")


def installed() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest where there are several."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))  # Debian's are not on PATH
    on_path = shutil.which("initdb")
    program = found[-1] if found else Path(on_path) if on_path else None
    return program.parent if program else None


@contextmanager
def running() -> Iterator[Server]:
    """Run a server until the block is left.

    Raises:
        StorageError: if PostgreSQL is not installed here.
    """
    programs = installed()
    if programs is None:
        raise StorageError("PostgreSQL is not installed here: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="optuna-pop-pg-"))
    try:
        server = Server(folder, programs)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
