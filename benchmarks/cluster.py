"""Many asynchronous workers on one study, simulated on tables that somebody really trained.

Time is virtual: a worker asks, its training lasts in proportion to the architecture's cost, it
tells, and asks again at once. Study and storage are real, a database by RDBStorage. Compared is
the gap (``benchmarks.tables``) after equal numbers of finished trainings, so that what is measured
is the information that a worker's choice lacks because others still train, not the hours saved.

    python -m benchmarks.cluster --table ../shared/data/channel_bench_resnet.csv.gz \
        --workers 1,8,64,256 --samplers pop,tpe,nsga2 --budget 400 --seeds 3 --json out.json

The simulated workers share one process (``benchmarks.simulated_cluster``);
``benchmarks.parallel_asks`` has real ones.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import optuna
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table as Grid

from benchmarks.simulated_cluster import SAMPLERS, WINDOW, search
from benchmarks.tables import Table, gap_curve, load_table
from optuna_pop.errors import UnknownNameError

POINTS = (50, 100, 200, 400)


def measure(
    table: Table, name: str, workers: int, budget: int, seeds: int, url: str | None
) -> dict[str, Any]:
    """Search with every seed; returns what ``--json`` writes for one number of workers."""
    points = [n for n in POINTS if workers <= n <= budget]
    gaps, asks, early, late, repeats, clocks = [], [], [], [], 0, []
    for seed in track(range(seeds), f"{table.name}: {name}, {workers}", transient=True):
        found = search(table, SAMPLERS[name], workers, budget, seed, url)
        curve = gap_curve(table, found.finished, budget)
        gaps.append([round(curve[n - 1], 4) for n in points])
        asks += found.ask_s
        early.append(found.sql.a_trial(WINDOW))
        late.append(found.sql.a_trial(len(found.finished) - WINDOW))
        repeats += found.repeats
        clocks.append(found.clock)
    mean = np.mean(gaps, axis=0).round(4).tolist()
    return {
        "workers": workers,
        "seeds": seeds,
        "gap": dict(zip(map(str, points), mean, strict=True)),
        "gap_by_seed": gaps,
        "doubled": repeats,
        "sql_early": round(float(np.mean(early)), 2),
        "sql_late": round(float(np.mean(late)), 2),
        "ask_ms": round(1e3 * float(np.median(asks)), 1),
        "virtual_time": round(float(np.mean(clocks)), 1),
    }


def with_ratios(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add each gap's ratio to one worker's, where that was measured."""
    alone: dict[str, float] = next((run["gap"] for run in runs if run["workers"] == 1), {})
    return [
        {**run, "ratio": {n: round(g / alone[n], 3) for n, g in run["gap"].items() if n in alone}}
        for run in runs
    ]


def show(result: dict[str, Any]) -> None:
    """Print one table's gaps; in brackets their ratio to one worker's."""
    points = [n for n in POINTS if n <= result["budget"]]
    grid = Grid(title=f"{result['table']}: gap (points) after n finished trainings")
    columns = [f"n = {n}" for n in points]
    columns += ["doubled", "SQL a trial: early", "late", "ask (ms)", "speed-up"]
    grid.add_column("sampler")
    for column in ("workers", "seeds", *columns):
        grid.add_column(column, justify="right")
    for name, runs in result["samplers"].items():
        alone = next((run["virtual_time"] for run in runs if run["workers"] == 1), None)
        for run in runs:
            gaps = [
                f"{run['gap'][n]:.3f} ({run['ratio'].get(n, np.nan):.2f})"
                if n in run["gap"]
                else ""
                for n in map(str, points)
            ]
            grid.add_row(
                name,
                str(run["workers"]),
                str(run["seeds"]),
                *gaps,
                str(run["doubled"]),
                f"{run['sql_early']:.1f}",
                f"{run['sql_late']:.1f}",
                f"{run['ask_ms']:.0f}",
                "" if alone is None else f"{alone / run['virtual_time']:.0f}x",
            )
    Console(width=140).print(grid)


def main(
    table: Annotated[list[Path], typer.Option(help="NAME.csv.gz with NAME.json beside it.")],
    more: Annotated[list[Path] | None, typer.Argument(help="Further tables.")] = None,
    workers: Annotated[str, typer.Option(help="Numbers, separated by commas.")] = "1,8,64,256",
    samplers: Annotated[str, typer.Option(help="Names, separated by commas.")] = ",".join(SAMPLERS),
    budget: Annotated[int, typer.Option(min=50, help="Trainings to finish.")] = 400,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    peer_seeds: Annotated[int | None, typer.Option(min=1, help="Of peers; else --seeds.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="SQLAlchemy URL of a database; else SQLite files.")
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write the results here.")
    ] = None,
) -> None:
    """Simulate clusters on tables."""
    for name in samplers.split(","):
        if name not in SAMPLERS:
            raise UnknownNameError("sampler", name, list(SAMPLERS))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")  # of Optuna, that a sampler's options are experimental
    results: list[dict[str, Any]] = []
    for path in [*table, *(more or [])]:
        if not path.exists():
            print(f"skipped: there is no table {path}")
            continue
        known = load_table(path)
        found: dict[str, Any] = {}
        results.append({"table": known.name, "budget": budget, "samplers": found})
        for name in samplers.split(","):
            runs = []
            for number in map(int, workers.split(",")):
                own = seeds if name == "pop" else peer_seeds or seeds
                runs.append(measure(known, name, number, budget, own, storage))
                found[name] = with_ratios(runs)
                if json_path:  # after each, as a run takes long
                    json_path.write_text(json.dumps(results, indent=1) + "\n")
        show(results[-1])


if __name__ == "__main__":
    typer.run(main)
