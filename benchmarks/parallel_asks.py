"""Workers that ask at the same moment on one database never train the same architecture twice.

python -m benchmarks.parallel_asks --storage postgresql+psycopg://USER@HOST/DB --json out.json
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections import Counter
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Annotated

import numpy as np
import optuna
import typer
from optuna.trial import TrialState

from optuna_pop import OrderedArchitecture, OrderedSpace, POPSampler

SPACE = OrderedSpace({name: range(1, 7) for name in "abcde"})  # 7,776 architectures
NAME = "parallel-asks"


def cost(architecture: OrderedArchitecture) -> float:
    """Return a cost that grows along every parameter."""
    return sum(float(architecture[name]) ** 2 for name in "abcde")


def ask(url: str, asks: int, start: float, out: Queue[list[float]]) -> None:
    """Ask and tell, all workers from the same moment on and with the same seed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = POPSampler(SPACE, cost=cost, seed=0)
    study = optuna.load_study(study_name=NAME, storage=url, sampler=sampler)
    time.sleep(max(0.0, start - time.time()))
    seconds = []
    for _ in range(asks):
        before = time.perf_counter()
        trial = study.ask()
        architecture = SPACE.suggest(trial)
        seconds.append(time.perf_counter() - before)
        accuracy = 90.0 - 100.0 / (1.0 + cost(architecture))  # strictly rises: nothing is pruned
        study.tell(trial, (accuracy, cost(architecture)))
    out.put(seconds)


def main(
    storage: Annotated[str, typer.Option(help="SQLAlchemy URL of an empty database.")],
    workers: int = 8,
    asks: int = 200,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the result here.")] = None,
) -> None:
    """Run the workers and count doubled and lost architectures."""
    study = optuna.create_study(
        study_name=NAME, storage=storage, directions=["maximize", "minimize"]
    )
    context = multiprocessing.get_context("spawn")
    out: Queue[list[float]] = context.Queue()
    start = time.time() + 5.0
    running = [
        context.Process(target=ask, args=(storage, asks, start, out)) for _ in range(workers)
    ]
    for worker in running:
        worker.start()
    for worker in running:
        worker.join()
    seconds = [s for worker in running if worker.exitcode == 0 for s in out.get()]
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    counts = Counter(SPACE.row(SPACE.from_params(trial.params)) for trial in complete)
    result = {
        "workers": workers,
        "asks": asks,
        "trained": len(complete),
        "doubled": sum(count > 1 for count in counts.values()),
        "lost": workers * asks - len(complete),
        "running": len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))),
        "seconds": round(time.time() - start, 1),
        "ask_ms": round(1e3 * float(np.median(seconds)), 1),
        "ask_ms_p95": round(1e3 * float(np.quantile(seconds, 0.95)), 1),
    }
    print(json.dumps(result))
    if json_path:
        json_path.write_text(json.dumps(result, indent=1) + "\n")
    raise typer.Exit(int(result["doubled"] > 0 or result["lost"] > 0))


if __name__ == "__main__":
    typer.run(main)
