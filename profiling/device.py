"""The device that measures: what it is, and keeping it quiet while it does."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from optuna_pop.errors import InputError, needs_extra

_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Device:
    """A computer, as far as it decides latencies.

    Attributes:
        name: Processor's name.
        cores: Physical cores.
        machine: Instruction set, e.g. "x86_64".
        system: Operating system and its release.
        memory_gib: Main memory in GiB.
    """

    name: str
    cores: int
    machine: str
    system: str
    memory_gib: float


def describe() -> Device:
    """Return what this computer is.

    Raises:
        MissingExtraError: if psutil is not installed.
    """
    with needs_extra("profiling"):
        import psutil
    return Device(
        name=_processor(),
        cores=psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        machine=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
    )


def _processor() -> str:
    """Return the processor's name; `platform` does not know it on Linux."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    pairs = (line.partition(":") for line in lines)
    found = {name.strip().lower(): value.strip() for name, _, value in pairs}
    names = (found.get(field) for field in ("model name", "hardware", "model"))
    return next(filter(None, names), "") or platform.processor() or platform.machine() or "unknown"


@contextmanager
def pinned(core: int | None = None) -> Iterator[int | None]:
    """Keep the calling thread on one core inside the block; its old cores come back afterwards.

    Args:
        core: Number of the core; the last allowed one by default, because the first serves most
            interrupts.

    Yields:
        The core, or None where the operating system cannot pin.

    Raises:
        InputError: if this thread may not run on the core.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    before = os.sched_getaffinity(0)
    chosen = max(before) if core is None else core
    if chosen not in before:
        raise InputError(f"core {core} is not available: choose one of {sorted(before)}")
    os.sched_setaffinity(0, {chosen})
    try:
        yield chosen
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect garbage now and not inside the block; the old setting comes back afterwards."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
