"""How much sooner two workers end a search than one: the whole command, from start to end.

    python -m benchmarks.speedup --trials 16 --json benchmarks/results/speedup.json

Real trainings by ``optuna-pop search`` on this machine, all of them to the end (``--no-prune``),
with one latency table. Workers choose knowing less, so they do not train the same networks as one
does: printed is also the ratio per multiply-accumulate trained.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any

import optuna
import typer
from rich.console import Console
from rich.progress import track

POP = (sys.executable, "-m", "optuna_pop.cli")
SEARCH = ("search", "--space", "demo", "--data", "digits", "--table", "latency.json", "--no-prune")


def search(folder: Path, workers: int, trials: int, seed: int) -> dict[str, float]:
    """Run one search and time it."""
    name = f"workers{workers}"
    begin = perf_counter()
    subprocess.run(
        [
            *(*POP, *SEARCH, "--study", name, "--seed", str(seed)),
            *("--workers", str(workers), "--trials", str(trials)),
        ],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    seconds = perf_counter() - begin
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/optuna-pop.db")
    done = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    return {
        "seconds": round(seconds, 1),
        "trials": len(done),
        "gmacs": sum(t.user_attrs["macs"] for t in done) / 1e9,
        "training_s": round(sum(t.user_attrs["seconds"] for t in done), 1),
    }


def main(
    trials: Annotated[int, typer.Option(min=2, help="Trainings of each search.")] = 16,
    seed: int = 0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the result here.")] = None,
) -> None:
    """Time the same search with one worker and with two."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    result: dict[str, Any] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = ("profile", "--space", "demo", "--out", "latency.json", "--networks", "5")
        subprocess.run([*POP, *table], cwd=folder, check=True, capture_output=True)
        for workers in track((1, 2), "searching", transient=True):
            result[f"workers_{workers}"] = search(folder, workers, trials, seed)
    one, two = result["workers_1"], result["workers_2"]
    result["speedup"] = round(one["seconds"] / two["seconds"], 2)
    result["speedup_per_mac"] = round(
        one["seconds"] / one["gmacs"] * two["gmacs"] / two["seconds"], 2
    )
    Console().print_json(data=result)
    if json_path:
        json_path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
