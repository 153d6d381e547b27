"""Further processes of this machine that work on a study, replaced when they are killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from optuna_pop.cli.options import OUTAGE_VARIABLE, STORAGE_VARIABLE, console

_POLL_S = 0.5
_MOST_IN_A_ROW = 3
"""A worker that is killed so often at its beginning, each time within ``_BEGINNING_S``, is not
replaced any more: memory that does not suffice for it will not suffice the next time."""
_BEGINNING_S = 30.0


_VISIBLE = "CUDA_VISIBLE_DEVICES"


def gpus_of(worker: int, processes: int, gpus: Sequence[str]) -> list[str]:
    """Return the GPUs of a worker: its own where there are enough, else shared in turn.

    Args:
        worker: Its number; 0 is the search itself, which takes the first.
        processes: That train one network together, each on a GPU.
        gpus: Names of all, as ``CUDA_VISIBLE_DEVICES`` has them.
    """
    count = min(processes, len(gpus))
    return [gpus[(worker * count + i) % len(gpus)] for i in range(count)]


def _gpus() -> list[str]:
    """Name the GPUs that torch finds here, without beginning to use one."""
    import torch

    count = torch.cuda.device_count()
    named = [name for name in os.environ.get(_VISIBLE, "").split(",") if name]
    return (named or [str(i) for i in range(count)])[:count]


class Helpers:
    """Keeps so many workers on a study inside its block, which ends when they have ended.

    They end with the search. If the block is left by an error or Ctrl-C they are told to stop, and
    put back what they trained.

    Args:
        storage_url: Of the study.
        study: Its name.
        count: Of workers beside this one.
        processes: That train one network together.
        outage_limit_s: How long a storage may be away.
    """

    def __init__(
        self, storage_url: str, study: str, count: int, processes: int, outage_limit_s: float
    ) -> None:
        words = ["worker", "--study", study, "--processes-per-trial", str(processes)]
        self._words = [sys.executable, "-m", "optuna_pop.cli", *words]
        # By the environment, as a password in an argument could be read by every user.
        self._environment = {
            **os.environ,
            STORAGE_VARIABLE: storage_url,
            OUTAGE_VARIABLE: str(outage_limit_s),
        }
        self._gpus = _gpus()
        self._per_worker = processes
        self._count = count
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        for number in range(self._count):
            self._processes[number] = self._begin(number)
            thread = threading.Thread(target=self._keep, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._stopping.set()
            for process in list(self._processes.values()):
                process.terminate()
        for thread in self._threads:
            thread.join()

    def _begin(self, number: int) -> subprocess.Popen[bytes]:
        environment = dict(self._environment)
        if own := gpus_of(number + 1, self._per_worker, self._gpus):  # 0 is the search itself
            environment[_VISIBLE] = ",".join(own)
        return subprocess.Popen(self._words, env=environment)

    def _keep(self, number: int) -> None:
        """Wait for a worker; replace it if a signal that nobody here sent has ended it."""
        in_a_row, began = 0, time.monotonic()
        while True:
            code = self._processes[number].wait()
            if code >= 0 or self._stopping.wait(_POLL_S):
                return
            in_a_row = in_a_row + 1 if time.monotonic() - began < _BEGINNING_S else 1
            if in_a_row >= _MOST_IN_A_ROW:
                console().print(
                    f"A worker was killed {in_a_row} times as it began: going on without."
                )
                return
            console().print(f"A worker was killed (signal {-code}): another takes its place.")
            began = time.monotonic()
            self._processes[number] = self._begin(number)
            if self._stopping.is_set():  # while it was begun
                self._processes[number].terminate()
