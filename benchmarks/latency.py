"""Can the latency be trusted: what a table estimates against what networks take, on this machine.

    python -m benchmarks.latency --channel-bench ../shared/data/channel_bench_resnet.csv.gz \
        --trt-layers ../shared/reference/trt3_gtx1080ti_layers.csv --json out.json

Parts, by name with ``--parts``:

- ``estimates``: a table of the paper's space at 224x224, timed, then 25 other networks measured in
  a session of their own against it (Figure 3(a)).
- ``ratios``: DF1 against ResNet-18 and ResNet-50 on every engine that runs here; the paper's
  ratios, on a TX2 with TensorRT, are 0.57 and 0.24.
- ``channel-bench``: one table of the block shapes of the residual Channel-Bench-Macro networks
  gives all 16,384 a latency; searches of real accuracy against it.
- ``attribution``: real TensorRT 3 layer times of DF-Seg networks, given to their blocks.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from benchmarks.search_efficiency import measure as search
from benchmarks.search_efficiency import show
from benchmarks.tables import Table, load_table
from optuna_pop import BackboneSpace
from optuna_pop.errors import EngineError, MissingExtraError
from optuna_pop.profiling import build_table
from optuna_pop.profiling.attribution import attribute, by_prefix
from optuna_pop.profiling.build import verified
from optuna_pop.profiling.checking import check_table
from optuna_pop.profiling.compare import compare
from optuna_pop.profiling.engines import ENGINES, LayerTime
from optuna_pop.profiling.records import NetworkRecord
from optuna_pop.profiling.session import Plan, measure
from optuna_pop.profiling.table import LatencyTable
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.tracking.figures import save_figure
from optuna_pop.tracking.latency_figure import estimate_figure
from optuna_pop.trainables.export import export_onnx
from optuna_pop.trainables.models import load_model

PARTS = ("estimates", "ratios", "channel-bench", "attribution")
PAPER_RATIOS = {"torchvision:resnet18": 0.57, "torchvision:resnet50": 0.24}
CPU = "onnxruntime"


def estimates(figure: Path | None) -> dict[str, Any]:
    """Build a table of the paper's space, and check it on networks that it has not seen."""
    space = BackboneSpace()
    begin = perf_counter()
    table = build_table(space, export_onnx, Plan(CPU))
    seconds = perf_counter() - begin
    check = check_table(table, space, export_onnx, Plan(CPU, seed=1), networks=25)
    where = check.conditions
    if figure is not None:
        drawn = estimate_figure(
            [network.estimate for network in check.networks],
            [table.of(network.record) for network in check.networks],
            check.estimates,
            device=f"{where.device_name}, {where.engine}, one thread, 224x224, batch 1",
        )
        save_figure(drawn, figure)
    return {
        "blocks": len(table.blocks),
        "networks_in_the_fit": len(table.networks),
        "table_s": round(seconds, 1),
        "networks": len(check.networks),
        "estimates": check.estimates.model_dump(),
        "blocks_measured_again": check.fresh.model_dump(),
        "drift": round(where.drift, 2),
    }


def ratios() -> dict[str, Any]:
    """Compare DF1 with ResNets on each engine at hand."""
    models = {name: load_model(name).onnx for name in ("df1", *PAPER_RATIOS)}
    found: dict[str, Any] = {"paper (TX2, TensorRT 3)": PAPER_RATIOS}
    for engine in ENGINES.names():
        try:
            ENGINES[engine].info()
        except (EngineError, MissingExtraError) as error:
            found[engine] = f"not run: {error}".partition(": [")[0][:160]
            continue
        result = compare(models, Plan(engine))
        ms = {network.name: result.latency(network) for network in result.networks}
        found[engine] = {
            "ms": {name: round(value, 2) for name, value in ms.items()},
            "df1 against": {name: round(ms["df1"] / ms[name], 3) for name in PAPER_RATIOS},
        }
    return found


def channel_bench_blocks(channels: Sequence[int]) -> tuple[BlockConfig, ...]:
    """Blocks of a residual Channel-Bench-Macro network on CIFAR-10, from its seven widths.

    Two stages: a strided conv3x3, then residual blocks whose inner width is chosen (the stage's
    second conv is one without skip in the second stage), global pooling and a classifier.
    """
    c1, c2, c3, c4, c5, c6, c7 = channels

    def conv(c_in: int, size: int, c_out: int, stride: int) -> BlockConfig:
        return BlockConfig("conv", c_in, size, size, c_out, size // stride, size // stride)

    def residual(outer: int, inner: int, size: int) -> BlockConfig:
        return BlockConfig("residual", *(outer, size, size) * 2, (("width", inner),))

    return (
        conv(3, 32, c1, 2),
        residual(c1, c2, 16),
        residual(c1, c3, 16),
        conv(c1, 16, c4, 2),
        conv(c4, 8, c5, 1),
        residual(c5, c6, 8),
        residual(c5, c7, 8),
        BlockConfig("head", c5, 8, 8, 10, 1, 1),
    )


def channel_bench(path: Path, seeds: int, samplers: str) -> dict[str, Any]:
    """Give every network of the table a latency by one table of block shapes, and search."""
    import benchmarks.residual_block  # noqa: F401 - registers the block

    known = load_table(path)
    widths = _channels(path)
    networks = [channel_bench_blocks(row) for row in widths.tolist()]
    alone = sorted({block for network in networks for block in network})
    chosen = np.random.default_rng(0).choice(len(networks), 37, replace=False)
    wanted = {tuple(b.key for b in row): row for row in [(block,) for block in alone]}
    whole = {tuple(b.key for b in networks[i]): networks[i] for i in chosen.tolist()}
    begin = perf_counter()
    session = measure(
        {keys: (lambda row=row: export_onnx(row)) for keys, row in (wanted | whole).items()},  # type: ignore[misc]
        Plan(CPU),
        label=" + ".join,
    )
    seconds = perf_counter() - begin
    names = list(whole)
    fitted, unseen = names[:12], names[12:]
    table = verified(
        LatencyTable(
            statistic=session.statistic,
            conditions=session.conditions(),
            blocks={keys[0]: session.record(keys) for keys in wanted},
            networks=tuple(NetworkRecord(blocks=k, record=session.record(k)) for k in fitted),
        )
    )
    from optuna_pop.profiling.verify import errors

    estimated = np.array([sum(table.share(key) for key in keys) for keys in unseen])
    measured = np.array([table.of(session.record(keys)) for keys in unseen])
    latencies = np.array([sum(table.share(block.key) for block in row) for row in networks])
    searched = replace(known, name="channel_bench_resnet, measured latency", costs=latencies)
    result = search(searched, samplers.split(","), 100, seeds)
    show(result)
    return {
        "blocks": len(alone),
        "table_s": round(seconds, 1),
        "networks": len(unseen),
        "estimates": errors(estimated, measured).model_dump(),
        "latency_ms": [round(float(latencies.min()), 3), round(float(latencies.max()), 3)],
        "spearman_of_latency_and_macs": round(_spearman(latencies, known), 4),
        "search": {key: result[key] for key in ("budget", "seeds", "speedup", "ask_ms")}
        | {"gap": {name: curve[-1] for name, curve in result["gap"].items()}},
    }


def _channels(path: Path) -> np.ndarray:
    import gzip

    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[int(row[f"ch{i}"]) for i in range(1, 8)] for row in rows])


def _spearman(latencies: np.ndarray, known: Table) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(latencies, known.costs).statistic)


SEGMENTS = [
    *(("conv1", "stem 1"), ("conv2", "stem 2")),
    *((f"res{s}.{b}.", f"stage {s + 1}, block {b}") for s in (2, 3, 4) for b in range(1, 5)),
    *(("psp.", "pyramid"), ("BiInterpolationPSP", "pyramid")),
    *((f"Decoder_wc{stage}", f"control C{stage}") for stage in (3, 4, 5)),
    *(("Decoder4_4.", "fusion to stage 4"), ("Decoder3_3.", "fusion to stage 3")),
    *(("Decoder_score", "score"), ("Decoder_score.up8", "upsample")),
]


def attribution(path: Path) -> dict[str, Any]:
    """Give real TensorRT 3 layers to the blocks of their networks."""
    runs: dict[str, list[LayerTime]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            name = f"{row['network']} {row['output']} {row['height']}x{row['width']}"
            runs[name].append(LayerTime(row["layer"], float(row["ms"])))
    found: dict[str, Any] = {}
    for name, layers in runs.items():
        told = attribute(layers, by_prefix(SEGMENTS))
        found[name] = {
            "layers": len(layers),
            "unattributed": len(told.unattributed),
            "total_ms": round(told.total, 3),
            "blocks_ms": {block: round(ms, 3) for block, ms in told.blocks.items()},
        }
    return found


def main(
    parts: Annotated[str, typer.Option(help="Names, separated by commas.")] = ",".join(PARTS),
    channel_bench_path: Annotated[
        Path | None, typer.Option("--channel-bench", help="channel_bench_resnet.csv.gz")
    ] = None,
    trt_layers: Annotated[Path | None, typer.Option(help="CSV of TensorRT 3 layer times.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of searches.")] = 5,
    samplers: str = "pop,uniform,random,tpe,nsga2",
    figure: Annotated[Path | None, typer.Option(help="Draw Figure 3(a) here.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write results here.")] = None,
) -> None:
    """Measure what the figures on latency say."""
    results: dict[str, Any] = {}
    if json_path is not None and json_path.exists():
        results = json.loads(json_path.read_text())
    for part in parts.split(","):
        if part == "estimates":
            results[part] = estimates(figure)
        elif part == "ratios":
            results[part] = ratios()
        elif part == "channel-bench" and channel_bench_path and channel_bench_path.exists():
            results[part] = channel_bench(channel_bench_path, seeds, samplers)
        elif part == "attribution" and trt_layers and trt_layers.exists():
            results[part] = attribution(trt_layers)
        else:
            print(f"skipped: {part} needs its file")
            continue
        Console().print_json(data={part: results[part]})
        if json_path is not None:
            json_path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
