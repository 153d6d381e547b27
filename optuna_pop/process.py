"""Which process this is, and whether another one on this host still lives."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Holder:
    """A process.

    Attributes:
        host: Of its host, its boot, and the name space that process numbers have a meaning in:
            containers may share a host's name and not see each other's processes.
        pid: Its number there.
        started: When it began, in clock ticks since the host's start; None where that cannot be
            known. It tells a process from a later one with the same number.
    """

    host: str
    pid: int
    started: int | None

    def is_gone(self) -> bool:
        """Whether it surely lives no more; what cannot be known counts as living."""
        if self.host != _host():
            return False
        if self.started is not None and Path("/proc/self/stat").exists():
            return _started(self.pid) != self.started
        if os.name != "posix":
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False


def this_process() -> Holder:
    """Return the process that asks."""
    return Holder(_host(), os.getpid(), _started(os.getpid()))


@cache  # but for the process number, which a fork changes, this stays
def _host() -> str:
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # not Linux
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text()[:8])
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _started(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; the start is the 20th field after it.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])
