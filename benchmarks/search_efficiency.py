"""How few trainings a search needs, on tables of architectures that somebody really trained.

A "training" is a look-up: a search sees one noisy run of an architecture, and is judged by the mean
of its runs. The gap after n trainings is the mean over log-cost of what the boundary of the n
trained still lacks to the best of the whole table, in accuracy points. The speed-up over a peer is
the budget over the trainings after which our mean gap is at or under the peer's at the budget.

    python -m benchmarks.search_efficiency --table nas_bench_macro.csv.gz --samplers pop,tpe \
        --budget 100 --seeds 5 --json out.json --figure out.png

Two checks of robustness beside it: ``pop-unpruned`` is the same sampler without what the order says
(``pruning_costs`` is the ratio of the gaps), and ``--shuffled`` breaks the order on purpose by
dealing the accuracies out at random, where a search cannot do better than random sampling.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table as Grid

from benchmarks.peers import ON_POOLS, SAMPLERS
from benchmarks.tables import Table, gap_curve, load_table, trainings_to_reach
from optuna_pop.errors import UnknownNameError

SHOWN = (10, 25, 50, 75, 100)
OURS, UNPRUNED = "pop", "pop-unpruned"


def measure(table: Table, samplers: list[str], budget: int, seeds: int) -> dict[str, Any]:
    """Run every sampler with every seed; returns what ``--json`` writes for one table."""
    gap: dict[str, list[float]] = {}
    ask_ms: dict[str, float | None] = {}
    for name in samplers:
        if not table.grid and name not in ON_POOLS:
            continue
        curves, asks = [], []
        for seed in track(range(seeds), f"{table.name}: {name}", transient=True):
            found = SAMPLERS[name](table, table.observed(seed), budget, seed)
            curves.append(gap_curve(table, found.trained, budget))
            asks += found.ask_s
        gap[name] = np.mean(curves, axis=0).round(4).tolist()
        ask_ms[name] = round(1e3 * float(np.median(asks)), 3) if asks else None
    speedup: dict[str, float | None] = {}
    for name in gap.keys() - {OURS} if OURS in gap else ():
        needed = trainings_to_reach(gap[OURS], gap[name][-1])
        speedup[name] = None if needed is None else round(budget / needed, 2)
    pruning = gap[OURS][-1] / gap[UNPRUNED][-1] if {OURS, UNPRUNED} <= gap.keys() else None
    return {
        "table": table.name,
        "budget": budget,
        "seeds": seeds,
        "gap": gap,
        "speedup": speedup,
        "ask_ms": ask_ms,
        "pruning_costs": None if pruning is None else round(pruning, 3),
    }


def show(result: dict[str, Any]) -> None:
    """Print one table's gaps and speed-ups."""
    shown = [n for n in SHOWN if n <= result["budget"]]
    grid = Grid(title=f"{result['table']}: gap (points), mean of {result['seeds']} seeds")
    for column in ("sampler", *(f"after {n}" for n in shown), "speed-up of pop", "ask (ms)"):
        grid.add_column(column, justify="left" if column == "sampler" else "right")
    for name, curve in result["gap"].items():
        times = result["speedup"].get(name)
        ask = result["ask_ms"][name]
        grid.add_row(
            name,
            *(f"{curve[n - 1]:.3f}" for n in shown),
            "" if times is None else f"{times:.1f}x",
            "" if ask is None else f"{ask:.1f}",
        )
    Console().print(grid)
    if result["pruning_costs"] is not None:
        Console().print(f"Pruning on against off: gap times {result['pruning_costs']:.2f}")


def draw(results: list[dict[str, Any]]) -> Figure:
    """Gap against trainings, one panel a table."""
    figure = Figure(figsize=(6.0 * len(results), 4.8), layout="constrained")
    for at, result in enumerate(results):
        axes = figure.add_subplot(1, len(results), at + 1)
        for name, curve in result["gap"].items():
            ours = name == OURS
            axes.plot(range(1, len(curve) + 1), curve, label=name, lw=2.5 if ours else 1.2)
        axes.set(
            title=result["table"], xlabel="trainings", ylabel="gap (accuracy points)", yscale="log"
        )
        axes.grid(alpha=0.3)
    names = figure.axes[0].get_legend_handles_labels()
    figure.legend(*names, loc="outside lower center", ncols=len(names[0]), frameon=False)
    return figure


def main(
    table: Annotated[list[Path], typer.Option(help="NAME.csv.gz with NAME.json beside it.")],
    more: Annotated[list[Path] | None, typer.Argument(help="Further tables.")] = None,
    samplers: Annotated[str, typer.Option(help="Names, separated by commas.")] = (
        "pop,uniform,random,tpe,nsga2"
    ),
    budget: Annotated[int, typer.Option(min=2)] = 100,
    seeds: Annotated[int, typer.Option(min=1)] = 5,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write the results here.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw gap against trainings here.")] = None,
    shuffled: Annotated[
        bool, typer.Option(help="Deal the accuracies out at random first, so that no order holds.")
    ] = False,
) -> None:
    """Compare samplers on tables."""
    names = samplers.split(",")
    for name in names:
        if name not in SAMPLERS:
            raise UnknownNameError("sampler", name, list(SAMPLERS))
    results = []
    for path in [*table, *(more or [])]:
        if not path.exists():
            print(f"skipped: there is no table {path}")
            continue
        known = load_table(path)
        results.append(measure(known.shuffled() if shuffled else known, names, budget, seeds))
        show(results[-1])
    if json_path:
        json_path.write_text(json.dumps(results, indent=1) + "\n")
    if figure and results:
        draw(results).savefig(figure, dpi=120)


if __name__ == "__main__":
    typer.run(main)
