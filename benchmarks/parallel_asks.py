"""Workers that ask at the same moment on one database never train the same architecture twice.

python -m benchmarks.parallel_asks --storage postgresql+psycopg://USER@HOST/DB
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from typing import Annotated

import optuna
import typer
from optuna.trial import TrialState

from optuna_pop import OrderedArchitecture, OrderedSpace, POPSampler

SPACE = OrderedSpace({name: range(1, 7) for name in "abcde"})  # 7,776 architectures
NAME = "parallel-asks"


def cost(architecture: OrderedArchitecture) -> float:
    """Return a cost that grows along every parameter."""
    return sum(float(architecture[name]) ** 2 for name in "abcde")


def ask(url: str, asks: int, seed: int, start: float) -> None:
    """Ask and tell, all workers from the same moment on."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = POPSampler(SPACE, cost=cost, selection="uniform", tolerance=0.0, seed=seed)
    study = optuna.load_study(study_name=NAME, storage=url, sampler=sampler)
    time.sleep(max(0.0, start - time.time()))
    for _ in range(asks):
        trial = study.ask()
        architecture = SPACE.suggest(trial)
        study.tell(trial, (cost(architecture), cost(architecture)))  # nothing prunes


def main(
    storage: Annotated[str, typer.Option(help="SQLAlchemy URL of an empty database.")],
    workers: int = 8,
    asks: int = 200,
) -> None:
    """Run the workers and count doubled and lost architectures."""
    study = optuna.create_study(
        study_name=NAME, storage=storage, directions=["maximize", "minimize"]
    )
    context = multiprocessing.get_context("spawn")
    start = time.time() + 5.0
    # The same seed everywhere: every worker wants the same architecture next.
    running = [context.Process(target=ask, args=(storage, asks, 0, start)) for _ in range(workers)]
    for worker in running:
        worker.start()
    for worker in running:
        worker.join()
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    counts = Counter(SPACE.row(SPACE.from_params(trial.params)) for trial in complete)
    doubled = sum(count > 1 for count in counts.values())
    print(
        f"{workers} workers x {asks} asks: {len(complete)} trained, {len(counts)} distinct, "
        f"{doubled} doubled, {workers * asks - len(complete)} lost, "
        f"exit codes {[worker.exitcode for worker in running]}, {time.time() - start:.0f} s"
    )
    raise typer.Exit(int(doubled > 0 or len(complete) != workers * asks))


if __name__ == "__main__":
    typer.run(main)
