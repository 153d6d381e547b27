"""Everything that needs a GPU, latency and training, on the one of this machine; as a report.

    make gpu-report        # or: python -m benchmarks.gpu_report --out docs/results

For every engine that runs here: a table of the paper's space in float32 and float16, 25 networks
measured against it (Figure 3(a)), the published networks against ResNets (the paper's tables), and
layers given to blocks. If torch finds a GPU, training throughput beside torchvision's reference
loop. Without a GPU it says so and writes nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks import training_throughput
from optuna_pop import BackboneSpace
from optuna_pop.errors import OptunaPopError
from optuna_pop.profiling import build_table
from optuna_pop.profiling.attribution import attribute, by_position
from optuna_pop.profiling.checking import check_table
from optuna_pop.profiling.compare import compare
from optuna_pop.profiling.engines import ENGINES, EngineOptions, Precision
from optuna_pop.profiling.session import Plan, measure
from optuna_pop.spaces.df import df_blocks
from optuna_pop.tracking.figures import save_figure
from optuna_pop.tracking.latency_figure import estimate_figure
from optuna_pop.trainables.export import export_onnx
from optuna_pop.trainables.models import load_model

NETWORKS = ("torchvision:resnet18", "torchvision:resnet50", "df1", "df2", "df2a")
PRECISIONS: tuple[Precision, ...] = ("float32", "float16")


def engines() -> dict[str, str]:
    """Name the GPU engines that run here; for the others print why not."""
    found = {}
    for name in ENGINES.names():
        try:
            info = ENGINES[name].info()
        except OptunaPopError as error:
            print(f"not run: {error}")
            continue
        if info.kind == "gpu":
            found[name] = info.version
    return found


def report(engine: str, precision: Precision, out: Path) -> list[str]:
    """Measure with one engine; returns lines of Markdown."""
    name = f"{engine}-{precision}"
    plan = Plan(engine, EngineOptions(precision, out / f"{name}.engines"))
    space = BackboneSpace()
    table = build_table(space, export_onnx, plan)
    table.save(out / f"{name}.table.json")
    check = check_table(table, space, export_onnx, plan)
    where, fit = check.conditions, check.estimates
    figure = estimate_figure(
        [network.estimate for network in check.networks],
        [table.of(network.record) for network in check.networks],
        fit,
        device=f"{where.device_name}, {where.engine}, {where.precision}",
    )
    save_figure(figure, out / f"{name}.png")
    compared = compare({n: load_model(n).onnx for n in NETWORKS}, plan)
    base = compared.latency(compared.networks[0])
    return [
        f"## {where.device_name}, {engine} {where.versions.get(engine, '')}, {precision}",
        "",
        f"{len(table.blocks)} blocks; 25 other networks: Spearman {fit.spearman}, MAPE "
        f"{fit.mape:.2f}%, bias {fit.bias:+.2f}%, {fit.within_10:.0%} within 10%.",
        f"GPU: {where.accelerator}",
        "",
        "| network | ms | against ResNet-18 |",
        "| --- | --- | --- |",
        *(
            f"| {n.name} | {compared.latency(n):.3f} | {compared.latency(n) / base:.3f} |"
            for n in compared.networks
        ),
        "",
        f"![estimates]({name}.png)",
        "",
        *_layers(plan),
    ]


def _layers(plan: Plan) -> list[str]:
    blocks = df_blocks("df1")
    try:
        session = measure({"df1": lambda: export_onnx(blocks)}, plan, layers_of=["df1"])
    except OptunaPopError as error:
        return [f"Layers: {error}", ""]
    told = attribute(session.layers["df1"][-1], by_position)
    lost: list[Any] = [f"{u.layer.name}: {u.reason}" for u in told.unattributed[:5]]
    return [f"Layers of DF1: {told.share:.1%} of their time given to blocks; not: {lost}", ""]


def training(out: Path) -> list[str]:
    """Measure training; returns lines of Markdown."""
    if not torch.cuda.is_available():
        return ["Training: not measured, as torch finds no GPU.", ""]
    cases = training_throughput.cases_of(training_throughput.NETWORKS, compiled=True)
    result = training_throughput.run(cases, training_throughput.Sizes(), print)
    (out / "training_throughput.json").write_text(json.dumps(result, indent=1) + "\n")
    return training_throughput.markdown(result)


def main(out: Annotated[Path, typer.Option()] = Path("docs/results")) -> None:
    """Write the report."""
    found = engines()
    if not found and not torch.cuda.is_available():
        print("There is no engine with a GPU here: nothing was measured, nothing is written.")
        sys.exit(0)
    out.mkdir(parents=True, exist_ok=True)
    lines = ["# Latency and training on a GPU", "", "Made by `make gpu-report`.", ""]
    lines += training(out)
    (out / "gpu.md").write_text("\n".join(lines), encoding="utf-8")
    for engine in found:
        for precision in PRECISIONS:
            try:
                lines += report(engine, precision, out)
            except OptunaPopError as error:
                lines += [f"## {engine}, {precision}", "", f"Not measured: {error}", ""]
            (out / "gpu.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
