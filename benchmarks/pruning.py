"""Epochs that pruners save on learning curves of really trained networks, and what that costs.

Recorded curves (``benchmarks.record_curves``) are replayed through a real study: several workers
train at the same time, an epoch takes time in proportion to the network's cost, and every epoch is
reported. Each search starts the same number of trainings. The gap is the mean over log-cost of what
its boundary lacks to the best of all recorded networks, judged by final accuracy; a training was
wrongly stopped if it would have held a step of the search's final boundary.

    python -m benchmarks.pruning --curves curves.jsonl --json out.json
"""

from __future__ import annotations

import heapq
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import optuna
import typer
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table as Grid

from optuna_pop import CurveTrial, PoolSpace, POPPruner, POPSampler
from optuna_pop.order.boundary import FloatArray, Staircase, staircase


@dataclass(frozen=True)
class Recorded:
    """n networks: vectors (n, d), costs (n,) and accuracies after each of e epochs (n, e)."""

    vectors: np.ndarray
    costs: FloatArray
    curves: FloatArray


@dataclass(frozen=True)
class Outcome:
    """What one search did."""

    epochs: int
    gap: float
    stopped: int
    wrongly: int


def load(path: Path) -> Recorded:
    """Read what ``record_curves`` wrote."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return Recorded(
        np.array([line["vector"] for line in lines]),
        np.array([line["cost"] for line in lines]),
        np.array([line["curve"] for line in lines]),
    )


def pruners(epochs: int) -> dict[str, BasePruner]:
    """By name; each new."""
    return {
        "none": NopPruner(),
        "pop": POPPruner(warmup_steps=1),
        "median": MedianPruner(n_warmup_steps=1),
        "hyperband": HyperbandPruner(max_resource=epochs),
    }


def search(known: Recorded, pruner: BasePruner, trainings: int, workers: int, seed: int) -> Outcome:
    """Replay one search."""
    space = PoolSpace(known.vectors)
    sampler = POPSampler(space, cost=known.costs, seed=seed)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler, pruner=pruner)
    epochs, spent, started = known.curves.shape[1], 0, 0
    stopped: list[int] = []
    done: list[int] = []
    # (time of the next report, number of the trial, epochs done, trial, row)
    queue: list[tuple[float, int, int, CurveTrial, int]] = []

    def begin(now: float) -> None:
        nonlocal started
        if started < trainings and not sampler.is_exhausted(study):
            trial = CurveTrial(study.ask())
            row = space.suggest(trial).row
            started += 1
            heapq.heappush(queue, (now + known.costs[row], trial.number, 1, trial, row))

    for _ in range(workers):
        begin(0.0)
    while queue:
        now, number, epoch, trial, row = heapq.heappop(queue)
        spent += 1
        accuracy = float(known.curves[row, epoch - 1])
        if epoch == epochs:
            study.tell(number, (accuracy, float(known.costs[row])))
            done.append(row)
            begin(now)
            continue
        trial.report(accuracy, epoch)
        if trial.should_prune():
            study.tell(number, state=TrialState.PRUNED)
            stopped.append(row)
            begin(now)
        else:
            heapq.heappush(queue, (now + known.costs[row], number, epoch + 1, trial, row))
    final = known.curves[:, -1]
    at = np.geomspace(known.costs.min(), known.costs.max(), 400)
    best = Staircase.of(known.costs, final)(at)
    reached = Staircase.of(known.costs[done], final[done])(at)
    floor = final[int(known.costs.argmin())]
    every = np.array(done + stopped)
    holders = set(every[staircase(known.costs[every], final[every])].tolist())
    return Outcome(
        epochs=spent,
        gap=float((best - np.maximum(reached, floor)).mean()),
        stopped=len(stopped),
        wrongly=len(holders & set(stopped)),
    )


def main(
    curves: Annotated[Path, typer.Option(help="File that benchmarks.record_curves wrote.")],
    trainings: Annotated[int, typer.Option(min=2, help="Started by each search.")] = 40,
    workers: Annotated[int, typer.Option(min=1, help="That train at the same time.")] = 4,
    seeds: Annotated[int, typer.Option(min=1)] = 10,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write the results here.")
    ] = None,
) -> None:
    """Compare pruners on recorded learning curves."""
    if not curves.exists():
        print(f"skipped: there are no curves at {curves}")
        return
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    known = load(curves)
    epochs = known.curves.shape[1]
    results: dict[str, Any] = {}
    grid = Grid(
        title=f"{len(known.costs)} recorded networks of {epochs} epochs; {trainings} trainings, "
        f"{workers} workers, mean of {seeds} seeds"
    )
    for column in ("pruner", "epochs", "saved", "gap (points)", "stopped", "wrongly"):
        grid.add_column(column, justify="left" if column == "pruner" else "right")
    for name in pruners(epochs):
        found = [
            search(known, pruners(epochs)[name], trainings, workers, seed) for seed in range(seeds)
        ]
        mean = {
            key: float(np.mean([getattr(outcome, key) for outcome in found]))
            for key in ("epochs", "gap", "stopped", "wrongly")
        }
        mean["saved"] = 1.0 - mean["epochs"] / results.get("none", mean)["epochs"]
        results[name] = mean
        grid.add_row(
            name,
            f"{mean['epochs']:.0f}",
            f"{100 * mean['saved']:.0f}%",
            f"{mean['gap']:.3f}",
            f"{mean['stopped']:.1f}",
            f"{mean['wrongly']:.1f} ({100 * mean['wrongly'] / trainings:.1f}%)",
        )
    Console().print(grid)
    if json_path:
        about = {"networks": len(known.costs), "epochs": epochs, "trainings": trainings}
        about |= {"workers": workers, "seeds": seeds}
        json_path.write_text(json.dumps({**about, "pruners": results}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
