"""The trained networks as a table file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from optuna_pop.errors import InputError
from optuna_pop.files import write_whole
from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import Trained


def write_csv(
    path: Path, trained: Sequence[Trained], *, cost_names: Sequence[str] | None = None
) -> None:
    """Write every trained network as a row: trial, architecture, accuracy, costs, on_boundary.

    Args:
        path: Where to; UTF-8, replaced if it exists.
        trained: In the sequence of the rows. Without any the file holds the header alone.
        cost_names: Headers of the costs; ``latency_ms`` where there is one cost, else ``cost_1``
            and so on.

    Raises:
        InputError: if there are not as many names as costs.
        StorageError: if the file cannot be written.
    """
    costs = len(trained[0].costs) if trained else len(cost_names or ["latency_ms"])
    if cost_names is None:
        cost_names = ["latency_ms"] if costs == 1 else [f"cost_{i + 1}" for i in range(costs)]
    if len(cost_names) != costs:
        raise InputError(f"cost_names must name {costs} costs but got {list(cost_names)}")
    held = {entry.number for entry in boundary_rows(trained)}
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["trial", "architecture", "accuracy", *cost_names, "on_boundary"])
    for entry in trained:
        on_boundary = "true" if entry.number in held else "false"
        rows.writerow([entry.number, entry.architecture, entry.accuracy, *entry.costs, on_boundary])
    write_whole(path, text.getvalue())
