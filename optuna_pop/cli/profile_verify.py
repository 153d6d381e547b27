"""``optuna-pop profile verify``: whole networks against their estimates (Figure 3(a))."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optuna_pop.cli.networks import measured_space
from optuna_pop.cli.options import (
    BackboneOption,
    DataRootOption,
    DataSettingOption,
    MeasuredDataOption,
    SeedOption,
    SpaceOption,
    console,
)
from optuna_pop.cli.profile import SecondsOption, forget, plan_of, said
from optuna_pop.files import write_whole
from optuna_pop.profiling import LatencyTable
from optuna_pop.profiling.checking import NETWORKS, Check, check_table

EXAMPLE = "**Example:** optuna-pop profile verify --space demo --table latency.json --png check.png"


def command(
    table: Annotated[Path, typer.Option(help="Latency table to verify.")],
    space: SpaceOption = None,
    backbone: BackboneOption = None,
    data: MeasuredDataOption = None,
    data_setting: DataSettingOption = None,
    data_root: DataRootOption = None,
    networks: Annotated[
        int, typer.Option(min=1, help="Whole networks to measure, none of the table's own.")
    ] = NETWORKS,
    seconds: SecondsOption = 20.0,
    png: Annotated[Path | None, typer.Option(help="Figure, .png or .svg.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write all that was measured here.")] = None,
    force: Annotated[
        bool, typer.Option(help="Verify a table of another device, engine or precision.")
    ] = False,
    seed: SeedOption = 0,
) -> None:
    """Measure random whole networks on this device against what the table says of them."""
    from optuna_pop.trainables.export import export_onnx

    known = LatencyTable.load(table)
    where = known.conditions
    plan = plan_of(where.engine, where.precision, seconds, seed, Path(f"{table}.verify"))
    found = check_table(
        known,
        measured_space(space, backbone, data, data_setting, data_root),
        export_onnx,
        plan,
        networks=networks,
        force=force,
    )
    if json is not None:
        write_whole(json, found.model_dump_json(indent=1) + "\n")
    forget(plan)
    _report(found, table)
    if png is not None:
        _draw(found, png)


def _report(found: Check, path: Path) -> None:
    show = console().print
    where = found.conditions
    show(
        f"{len(found.networks)} whole networks on {where.device_name}, {where.engine}, "
        f"{where.precision}; drift of the device meanwhile {where.drift:.2f}x"
    )
    show(f"  {path}:              {said(found.estimates)}")
    show(f"  blocks measured again now: {said(found.fresh)}")


def _draw(found: Check, path: Path) -> None:
    from optuna_pop.tracking.figures import save_figure
    from optuna_pop.tracking.latency_figure import estimate_figure

    where = found.conditions
    figure = estimate_figure(
        [network.estimate for network in found.networks],
        [getattr(network.record, found.statistic) for network in found.networks],
        found.estimates,
        device=f"{where.device_name}, {where.engine}, {where.precision}, batch {where.batch}",
    )
    save_figure(figure, path)
    console().print(f"Figure: {path}")
