"""``optuna-pop profile show``: latency tables of several devices, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from optuna_pop.cli.options import console
from optuna_pop.profiling import LatencyTable
from optuna_pop.profiling.verify import errors

EXAMPLE = "**Example:** optuna-pop profile show tx2.json desktop.json"


def command(
    tables: Annotated[list[Path], typer.Argument(help="Latency tables.")],
) -> None:
    """Show what latency tables hold, block by block, in milliseconds.

    Give the tables together to one search with several --table options.
    """
    known = [LatencyTable.load(path) for path in tables]
    grid = Table(title="Latency in ms, as a search adds it up")
    grid.add_column("block")
    for path, table in zip(tables, known, strict=True):
        where = table.conditions
        grid.add_column(
            f"{path.name}\n{where.device_name}\n{where.engine} {where.precision}", justify="right"
        )
    keys = sorted({key for table in known for key in table.blocks})
    for key in keys:
        cells = [f"{t.share(key):.4f}" if key in t.blocks else "lacks it" for t in known]
        grid.add_row(key, *cells)
    console().print(grid)
    common = [key for key in keys if all(key in table.blocks for table in known)]
    for path, table in zip(tables[1:], known[1:], strict=True):
        if len(common) > 1:
            first = np.array([known[0].share(key) for key in common])
            other = np.array([table.share(key) for key in common])
            found = errors(other, np.maximum(first, 1e-9))
            console().print(
                f"{path} against {tables[0]}: {float(np.median(other / first)):.2f} times its "
                f"latency in the median of {len(common)} blocks, Spearman {found.spearman:.3f}"
            )
