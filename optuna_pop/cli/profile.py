"""``optuna-pop profile``: measure this device's latency table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from optuna_pop.cli.networks import measured_space
from optuna_pop.cli.options import (
    DEFAULT_ENGINE,
    BackboneOption,
    DataRootOption,
    DataSettingOption,
    MeasuredDataOption,
    SeedOption,
    SpaceOption,
    console,
)
from optuna_pop.errors import InputError, TableError
from optuna_pop.experiment.storage import require_space
from optuna_pop.profiling import LatencyTable, build_table
from optuna_pop.profiling.checking import require_conditions
from optuna_pop.profiling.engines import EngineOptions
from optuna_pop.profiling.records import Errors
from optuna_pop.profiling.session import Plan
from optuna_pop.spaces.base import Space

EXAMPLE = (
    "**Example:** optuna-pop profile --space demo --out latency.json, "
    "then: optuna-pop profile verify --space demo --table latency.json"
)


class Precision(StrEnum):
    """Number type of weights and activations."""

    float32 = "float32"
    tf32 = "tf32"
    float16 = "float16"
    int8 = "int8"


class Source(StrEnum):
    """What a block's latency is."""

    blocks = "blocks"
    layers = "layers"


EngineOption = Annotated[
    str,
    typer.Option(
        "--engine", help="onnxruntime, openvino, tensorrt, tensorrt-rtx, trtexec, or another."
    ),
]
PrecisionOption = Annotated[Precision, typer.Option("--precision")]
SecondsOption = Annotated[
    float, typer.Option("--seconds", min=0, help="On a CPU, measure at least so long.")
]


def command(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write the table.")] = None,
    space: SpaceOption = None,
    backbone: BackboneOption = None,
    data: MeasuredDataOption = None,
    data_setting: DataSettingOption = None,
    data_root: DataRootOption = None,
    engine: EngineOption = DEFAULT_ENGINE,
    precision: PrecisionOption = Precision.float32,
    networks: Annotated[
        int, typer.Option(min=0, help="Whole networks to fit and verify the correction on.")
    ] = 12,
    seconds: SecondsOption = 20.0,
    source: Annotated[
        Source,
        typer.Option(help="Measure blocks alone, or add up the layers of whole networks."),
    ] = Source.blocks,
    force: Annotated[
        bool, typer.Option(help="Replace a table of another device, engine or precision.")
    ] = False,
    seed: SeedOption = 0,
) -> None:
    """Measure every block of a space on this device and write the latency table (JSON).

    What was interrupted goes on with the same command.
    """
    if context.invoked_subcommand is not None:
        return
    if out is None:
        raise InputError("say where to write the table: --out latency.json")
    found = measured_space(space, backbone, data, data_setting, data_root)
    require_space(out.absolute().parent)
    plan = plan_of(engine, precision, seconds, seed, out)
    if out.exists() and not force:
        require_conditions(_existing(out), plan)
    table = measure(found, plan, networks=networks, source=source)
    table.save(out)
    forget(plan)
    report(table, out)


def plan_of(engine: str, precision: str, seconds: float, seed: int, out: Path) -> Plan:
    """Plan a session whose result is written to ``out``; what it keeps lies beside that."""
    options = EngineOptions(
        precision=Precision(precision).value,
        cache=Path(f"{out}.engines") if "tensorrt" in engine or engine == "trtexec" else None,
    )
    return Plan(engine, options, seconds=seconds, seed=seed, journal=Path(f"{out}.partial"))


def forget(plan: Plan) -> None:
    """Remove what was kept for the case of an interruption."""
    if plan.journal is not None:
        plan.journal.unlink(missing_ok=True)


def measure(
    space: Space[Any], plan: Plan, *, networks: int = 12, source: str = "blocks"
) -> LatencyTable:
    """Build a table with the networks' own blocks."""
    from optuna_pop.trainables.export import export_onnx

    return build_table(space, export_onnx, plan, networks=networks, source=Source(source).value)


def report(table: LatencyTable, path: Path) -> None:
    """Say what was measured and how well sums of blocks predict whole networks."""
    where = table.conditions
    show = console().print
    how = "" if table.source == "blocks" else ", from layers of whole networks"
    show(
        f"Latency table {path}: {len(table.blocks)} blocks on {where.device_name}, "
        f"{where.engine} {where.versions.get(where.engine, '')}, {where.precision}, "
        f"{where.threads} thread{how}"
    )
    noted = [record.notes for record in table.blocks.values() if record.notes]
    if noted:
        kinds = sorted({note for notes in noted for note in notes})
        show(f"  {len(noted)} of {len(table.blocks)} blocks are {' or '.join(kinds)}")
    if table.verification is None:
        return
    checked = table.verification
    rows = {"plain sums": checked.sums, "corrected": checked.corrected}
    used = "corrected" if table.correction else "plain sums"
    for words, errors in rows.items():
        if errors is not None:
            show(
                f"  {words:10} against {checked.n} whole networks not fitted on: {said(errors)}"
                + (" <- used" if words == used else "")
            )


def said(errors: Errors) -> str:
    """Say how estimates compare, in a line."""
    return (
        f"Spearman {_number(errors.spearman)}, r {_number(errors.pearson)}, "
        f"MAPE {errors.mape:.1f}%, bias {errors.bias:+.1f}%, "
        f"{errors.within_5:.0%} within 5%, {errors.within_10:.0%} within 10%"
    )


def _existing(path: Path) -> LatencyTable:
    try:
        return LatencyTable.load(path)
    except TableError as error:
        raise TableError(f"{error}. To replace it, give --force") from error


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
