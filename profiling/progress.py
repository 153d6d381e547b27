"""Progress of long work: a bar in a terminal, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from optuna_pop.errors import needs_extra

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all)."""


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@contextmanager
def terminal_bar() -> Iterator[Progress]:
    """Yield a callback that draws one bar per stage, with time left, on standard error.

    Raises:
        MissingExtraError: if rich is not installed and standard error is a terminal.
    """
    if not sys.stderr.isatty():
        yield silent
        return
    with needs_extra("profiling"):
        from rich import progress as bar
        from rich.console import Console
    columns = (
        bar.TextColumn("{task.description}"),
        bar.BarColumn(),
        bar.TaskProgressColumn(),
        bar.TimeRemainingColumn(elapsed_when_finished=True),
    )
    tasks: dict[str, bar.TaskID] = {}
    with bar.Progress(*columns, console=Console(stderr=True)) as bars:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage)
            bars.update(tasks[stage], completed=done, total=total)

        yield show
