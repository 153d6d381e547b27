"""How long ``ask`` takes, and how much memory it needs, on large backbone spaces.

Each case runs in a process of its own: a study in memory gets finished trials of random
architectures, whose accuracy is made up and noisy, and then some are asked and told. Costs are
made up too: a block's is its multiply-accumulates, a part of them for overhead.

    python -m benchmarks.ask_time --trials 1000 --json out.json
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import optuna
import typer
from numpy.typing import NDArray
from optuna.samplers import BaseSampler, TPESampler
from rich.console import Console
from rich.table import Table as Grid

from optuna_pop import BackboneSpace, BlockConfig, POPSampler, Space

CASES = {
    "73 k": (4, 6, 4),
    "7.7 M": (10, 10, 10),
    "6.8e8": (20, 20, 20),
}
"""Name of a case and the most blocks of its stages; five widths."""


@dataclass(frozen=True)
class MacCosts:
    """A made-up latency table: milliseconds by multiply-accumulates and a share for each block."""

    def block_cost(self, block: BlockConfig) -> float:
        """Milliseconds of one block."""
        return self.latency((block,))

    def latency(self, blocks: Iterable[BlockConfig]) -> float:
        """Milliseconds of some blocks together."""
        return sum(0.02 + 1e-9 * 9 * b.c_in * b.c_out * b.h_out * b.w_out for b in blocks)

    def costs(
        self, space: Space[Any], rows: NDArray[np.integer[Any]] | None = None
    ) -> NDArray[np.float64]:
        """Milliseconds of rows of a space, of all by default."""
        vectors = None if rows is None else space.vectors_at(rows)
        return space.sum_blocks(self.block_cost, vectors)


def accuracy_of(vector: tuple[int, ...], rng: np.random.Generator) -> float:
    """Made up: saturates with the number of precedents, with 0.3 points of noise."""
    return 80.0 - 60.0 * float(np.exp(-np.log1p(vector).sum() / 12.0)) + 0.3 * rng.normal()


def measure(depths: tuple[int, ...], sampler: str, trials: int, asks: int) -> dict[str, Any]:
    """Run one case in this process."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(0)
    space, model = BackboneSpace(max_depths=depths), MacCosts()
    start = perf_counter()
    chosen: BaseSampler = (
        POPSampler(space, cost=model, seed=0)
        if sampler == "pop"
        else TPESampler(multivariate=True, seed=0)
    )
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=chosen)
    for row in rng.integers(len(space), size=trials).tolist():
        architecture = space.at(row)
        study.add_trial(
            optuna.trial.create_trial(
                values=[
                    accuracy_of(space.vector(architecture), rng),
                    model.latency(space.blocks(architecture)),
                ],
                params=space.params(architecture),
                distributions=space.distributions(),
            )
        )
    built = perf_counter() - start
    seconds = []
    for _ in range(asks + 1):
        start = perf_counter()
        trial = study.ask()
        architecture = space.suggest(trial)
        seconds.append(perf_counter() - start)
        values = [
            accuracy_of(space.vector(architecture), rng),
            model.latency(space.blocks(architecture)),
        ]
        study.tell(trial, values)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "architectures": len(space),
        "sampler": sampler,
        "trials": trials,
        "built_s": round(built, 2),
        "first_ask_s": round(seconds[0], 3),
        "ask_ms": round(1e3 * float(np.median(seconds[1:])), 1),
        "ask_ms_p90": round(1e3 * float(np.quantile(seconds[1:], 0.9)), 1),
        "peak_mib": round(peak / 2**20),
    }


def main(
    trials: Annotated[int, typer.Option(min=2, help="Finished before the first ask.")] = 1000,
    asks: Annotated[int, typer.Option(min=1, help="Asked and told, and timed.")] = 30,
    cases: Annotated[str, typer.Option(help="Names, separated by commas.")] = ",".join(CASES),
    samplers: Annotated[str, typer.Option(help="Of pop and tpe.")] = "pop,tpe",
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write the results here.")
    ] = None,
) -> None:
    """Time asks."""
    results = []
    grid = Grid(title=f"ask() with {trials} finished trials, storage in memory")
    columns = ("architectures", "sampler", "median (ms)", "90% (ms)", "first (s)", "peak (MiB)")
    for column in columns:
        grid.add_column(column, justify="right")
    context = multiprocessing.get_context("spawn")
    for name in cases.split(","):
        for sampler in samplers.split(","):
            with context.Pool(1) as pool:
                result = pool.apply(measure, (CASES[name], sampler, trials, asks))
            results.append({"case": name, **result})
            grid.add_row(
                f"{result['architectures']:,}",
                sampler,
                f"{result['ask_ms']:.1f}",
                f"{result['ask_ms_p90']:.1f}",
                f"{result['first_ask_s']:.2f}",
                f"{result['peak_mib']:,}",
            )
            print(result, file=sys.stderr)
    Console().print(grid)
    if json_path:
        json_path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
