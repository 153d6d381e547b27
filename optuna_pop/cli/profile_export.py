"""``optuna-pop profile export`` and ``import``: measure on a device that has no Python."""

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
from optuna_pop.cli.profile import Precision, PrecisionOption, Source, report
from optuna_pop.errors import InputError
from optuna_pop.experiment.storage import require_space
from optuna_pop.profiling import exchange
from optuna_pop.profiling.progress import terminal_bar

EXPORT_EXAMPLE = "**Example:** optuna-pop profile export tx2 --space df --precision float16"
IMPORT_EXAMPLE = "**Example:** optuna-pop profile import tx2 --out tx2.json"


def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write; copy it to the device.")],
    space: SpaceOption = None,
    backbone: BackboneOption = None,
    data: MeasuredDataOption = None,
    data_setting: DataSettingOption = None,
    data_root: DataRootOption = None,
    precision: PrecisionOption = Precision.float32,
    networks: Annotated[
        int, typer.Option(min=0, help="Whole networks to fit and verify the correction on.")
    ] = 12,
    seed: SeedOption = 0,
) -> None:
    """Write ONNX files and a shell script, for a device with trtexec but without Python."""
    from optuna_pop.trainables.export import export_onnx

    found = measured_space(space, backbone, data, data_setting, data_root)
    require_space(folder.absolute().parent)
    with terminal_bar() as show:
        count = exchange.export(
            found,
            folder,
            export_onnx,
            precision=precision.value,
            networks=networks,
            seed=seed,
            progress=show,
        )
    console().print(
        f"{count} models in {folder}. Copy it to the device, run `sh measure.sh` there, bring it "
        f"back, and: optuna-pop profile import {folder} --out latency.json"
    )


def import_(
    folder: Annotated[Path, typer.Argument(help="Folder that came back from the device.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the table (JSON).")],
    source: Annotated[
        Source, typer.Option(help="Blocks measured alone, or layers of whole networks.")
    ] = Source.blocks,
    force: Annotated[bool, typer.Option(help="Replace a table that is there.")] = False,
) -> None:
    """Make the latency table from what a device measured."""
    if out.exists() and not force:
        raise InputError(f"{out} is there already: choose another --out, or --force")
    table = exchange.import_table(folder, source=source.value)
    table.save(out)
    report(table, out)
