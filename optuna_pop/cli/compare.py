"""``optuna-pop compare``: whole networks on this device, in one session."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from optuna_pop.cli.options import DEFAULT_ENGINE, SeedOption, console
from optuna_pop.cli.profile import EngineOption, Precision, PrecisionOption, SecondsOption
from optuna_pop.errors import InputError
from optuna_pop.files import write_whole
from optuna_pop.profiling.compare import Comparison, compare
from optuna_pop.profiling.engines import EngineOptions
from optuna_pop.profiling.session import Plan

EXAMPLE = "**Example:** optuna-pop compare df1 torchvision:resnet18 torchvision:resnet50 mine.onnx"


def command(
    networks: Annotated[
        list[str],
        typer.Argument(
            help="df1, df2, df2a, df1-seg, df1-seg-d8, df2-seg1, df2-seg2, torchvision:NAME, "
            "timm:NAME, or FILE.onnx."
        ),
    ],
    engine: EngineOption = DEFAULT_ENGINE,
    precision: PrecisionOption = Precision.float32,
    input_shape: Annotated[
        str | None, typer.Option("--input", help="CxHxW, e.g. 3x224x224; each its own by default.")
    ] = None,
    seconds: SecondsOption = 20.0,
    json: Annotated[Path | None, typer.Option(help="Write all that was measured here.")] = None,
    csv_path: Annotated[Path | None, typer.Option("--csv", help="Write the table here.")] = None,
    png: Annotated[Path | None, typer.Option(help="Figure, .png or .svg.")] = None,
    seed: SeedOption = 0,
) -> None:
    """Measure whole networks against each other, as the paper's tables do, on this device.

    Networks get fresh weights; accuracies shown are published ones of trained weights.
    """
    from optuna_pop.trainables.models import load_model

    shape = None if input_shape is None else _shape(input_shape)
    loaded = [load_model(name, shape) for name in dict.fromkeys(networks)]
    published = {
        model.name: (model.published.percent, f"{model.published.of}, {model.published.source}")
        for model in loaded
        if model.published
    }
    plan = Plan(engine, EngineOptions(precision=precision.value), seconds=seconds, seed=seed)
    found = compare({model.name: model.onnx for model in loaded}, plan, published=published)
    if json is not None:
        write_whole(json, found.model_dump_json(indent=1, by_alias=True) + "\n")
    if csv_path is not None:
        write_whole(csv_path, _csv(found))
    _show(found)
    if png is not None:
        from optuna_pop.tracking.comparison_figure import comparison_figure
        from optuna_pop.tracking.figures import save_figure

        save_figure(comparison_figure(found), png)
        console().print(f"Figure: {png}")
    if found.rejected:
        raise InputError("; ".join(found.rejected.values()))


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) for part in parts):
        raise InputError(f"--input {text!r} must be CxHxW, e.g. 3x224x224")
    c, h, w = map(int, parts)
    return c, h, w


def _show(found: Comparison) -> None:
    where = found.conditions
    grid = Table(
        title=f"{where.device_name}, {where.engine} {where.versions.get(where.engine, '')}, "
        f"{where.precision}, batch {where.batch}"
    )
    grid.add_column("network", no_wrap=True)
    first = found.latency(found.networks[0])
    for column in ("ms", "±", "ratio", "MMACs", "M params", "MiB", "published"):
        grid.add_column(column, justify="right", no_wrap=True)
    for network in sorted(found.networks, key=found.latency):
        ms = found.latency(network)
        grid.add_row(
            network.name + "".join(f" ({note})" for note in network.record.notes),
            f"{ms:.3f}",
            f"{network.record.spread:.3f}",
            f"{ms / first:.2f}",
            f"{network.macs / 1e6:,.1f}",
            f"{network.parameters / 1e6:.2f}",
            f"{network.activation_bytes / 2**20:.1f}",
            "" if network.accuracy is None else f"{network.accuracy:.1f}%",
        )
    show = console()
    if not show.is_terminal:  # in a file nothing need be cut to a terminal's width
        show.width = max(show.width, 140)
    show.print(grid)
    show.print(
        f"ms: {found.statistic} at batch 1; ±: how far apart its two halves lie; ratio: to "
        f"{found.networks[0].name}; MiB: tensors alive at once."
    )
    for of in sorted({network.accuracy_of or "" for network in found.networks} - {""}):
        show.print(f"published: {of}")


def _csv(found: Comparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["network", "minimum_ms", "median_ms", "spread_ms", "samples", "macs", "parameters"]
    writer.writerow([*names, "activation_bytes", "published_percent", "published_of"])
    for network in found.networks:
        record = network.record
        writer.writerow(
            [
                *(network.name, record.minimum, record.median, record.spread, record.samples),
                *(network.macs, network.parameters, network.activation_bytes),
                *(network.accuracy, network.accuracy_of),
            ]
        )
    return text.getvalue()
