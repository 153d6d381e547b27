"""Samples kept in a file while measuring goes on: an interrupted session goes on where it was.

JSON lines. The first says what is measured; each further one adds samples. A line that was cut
short is left out. Whoever writes the table then deletes the file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from optuna_pop.errors import StorageError, TableError

_SCHEMA: Final = "optuna-pop/measuring"
_EVERY_S = 5.0  # between two writes


class Journal:
    """What a session has measured so far, in memory and, if it has a path, in a file.

    Args:
        path: Of the file; None keeps nothing.
        plan: What is measured, on what and with what, in JSON types. A file of another plan is
            refused.
        networks: How many networks are measured.

    Attributes:
        samples: Milliseconds of each timed run, a list for each network.
        enqueue: Like ``samples``, on a GPU the host's share; else empty lists.
        visits: How often each network was visited; used on GPUs.
        reference: Milliseconds of the reference network.
        cycles: Whole cycles done.
        elapsed: Seconds measured so far, interruptions left out.
        started: When the first session began (UTC).

    Raises:
        TableError: if the file holds something else.
        StorageError: if it cannot be read or written.
    """

    def __init__(self, path: Path | None, plan: Mapping[str, Any], networks: int) -> None:
        self.samples: list[list[float]] = [[] for _ in range(networks)]
        self.enqueue: list[list[float]] = [[] for _ in range(networks)]
        self.visits = [0] * networks
        self.reference: list[float] = []
        self.cycles, self.elapsed = 0, 0.0
        self.started = datetime.now(UTC)
        self._path, self._plan = path, json.loads(json.dumps(plan))
        self._written = self._lengths()
        self._last = time.monotonic()
        if path is not None:
            if path.exists():
                self._read(path)
            else:
                head = {"schema": _SCHEMA, "started": self.started.isoformat(), "plan": self._plan}
                self._append(head)

    @property
    def resumed(self) -> bool:
        """Whether it held something to go on with."""
        return bool(self.reference) or any(self.samples)

    def keep(self, cycles: int, elapsed: float, *, now: bool = False) -> None:
        """Note how far the session is, and write what is new every few seconds.

        Args:
            cycles: Whole cycles done.
            elapsed: Seconds measured.
            now: Write at once.
        """
        self.cycles, self.elapsed = cycles, elapsed
        if self._path is None or not (now or time.monotonic() - self._last >= _EVERY_S):
            return
        own, enqueued, reference = self._written
        lists = range(len(self.samples))
        self._append(
            {
                "cycles": cycles,
                "elapsed": round(elapsed, 3),
                "visits": self.visits,
                "samples": {i: s for i in lists if (s := self.samples[i][own[i] :])},
                "enqueue": {i: s for i in lists if (s := self.enqueue[i][enqueued[i] :])},
                "reference": self.reference[reference:],
            }
        )
        self._written, self._last = self._lengths(), time.monotonic()

    def _lengths(self) -> tuple[list[int], list[int], int]:
        return [len(s) for s in self.samples], [len(s) for s in self.enqueue], len(self.reference)

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
        found = [line for text in lines if (line := _parsed(text)) is not None]
        if not found or found[0].get("schema") != _SCHEMA:
            raise TableError(
                f"{path} is not what an interrupted measurement leaves: move it away, or choose "
                "another --out"
            )
        if found[0]["plan"] != self._plan:
            names = sorted(self._plan.keys() | found[0]["plan"].keys())
            other = [n for n in names if self._plan.get(n) != found[0]["plan"].get(n)]
            raise TableError(
                f"{path} holds an interrupted measurement of something else ({', '.join(other)} "
                "differ): finish it with its own command, or delete it to begin anew"
            )
        self.started = datetime.fromisoformat(found[0]["started"])
        for line in found[1:]:
            self.cycles, self.elapsed = line["cycles"], line["elapsed"]
            self.visits = list(line["visits"])
            for of, into in (("samples", self.samples), ("enqueue", self.enqueue)):
                for i, values in line[of].items():
                    into[int(i)] += values
            self.reference += line["reference"]
        self._written = self._lengths()
        if len(found) < len(lines):  # cut short: else the next line would be glued to it
            path.write_text("".join(json.dumps(line) + "\n" for line in found), encoding="utf-8")

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise StorageError(
                f"cannot write {self._path}: {error.strerror or error}; make room, then run the "
                "same command again: it goes on from there"
            ) from error


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
