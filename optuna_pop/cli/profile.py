"""``optuna-pop profile``: measure this device's latency table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from optuna_pop.cli.options import DEFAULT_ENGINE, SeedOption, SpaceOption, console
from optuna_pop.experiment.storage import require_space
from optuna_pop.profiling import LatencyTable, build_table
from optuna_pop.spaces.base import Space
from optuna_pop.spaces.presets import load_space

EXAMPLE = "**Example:** optuna-pop profile --space demo --out latency.json"


def command(
    out: Annotated[Path, typer.Option("--out", help="Where to write the table (JSON).")],
    space: SpaceOption = "df",
    engine: Annotated[str, typer.Option(help="Inference engine.")] = DEFAULT_ENGINE,
    networks: Annotated[
        int, typer.Option(min=0, help="Whole networks to verify the table on.")
    ] = 12,
    seconds: Annotated[float, typer.Option(min=0, help="Measure at least so long.")] = 20.0,
    seed: SeedOption = 0,
) -> None:
    """Measure every block of a space on this device and write the latency table."""
    found = load_space(space)
    require_space(out.absolute().parent)
    table = measure(found, engine, networks=networks, seconds=seconds, seed=seed)
    table.save(out)
    report(table, out)


def measure(
    space: Space[Any], engine: str, *, networks: int = 12, seconds: float = 20.0, seed: int = 0
) -> LatencyTable:
    """Build a table with the networks' own blocks."""
    from optuna_pop.trainables.export import export_onnx

    return build_table(space, engine, export_onnx, networks=networks, seconds=seconds, seed=seed)


def report(table: LatencyTable, path: Path) -> None:
    """Say what was measured and how well sums of blocks predict whole networks."""
    where = table.conditions
    show = console().print
    show(
        f"Latency table {path}: {len(table.blocks)} blocks on {where.device.name}, "
        f"{where.engine} {where.versions.get(where.engine, '')}, {where.precision}, "
        f"{where.threads} thread"
    )
    if table.verification is None:
        return
    checked = table.verification
    rows = {"plain sums": checked.sums, "corrected": checked.corrected}
    used = "corrected" if table.correction else "plain sums"
    for words, errors in rows.items():
        if errors is not None:
            show(
                f"  {words:10} against {checked.n} whole networks not fitted on: "
                f"Spearman {_number(errors.spearman)}, r {_number(errors.pearson)}, "
                f"MAPE {errors.mape:.1f}%, bias {errors.bias:+.1f}%"
                + (" <- used" if words == used else "")
            )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
