"""Four workers on one PostgreSQL: one study, and no network is trained twice.

Each worker is a process of its own with the same seed; any other machine could join as well. They
agree through the database alone: a worker reserves its network there before it trains it. Trained
are real networks, small perceptrons on scikit-learn's digits, against their multiply-accumulates.

Run it with: python examples/postgres_workers.py [URL]
URL is that of a database, e.g. postgresql+psycopg://USER:PASSWORD@127.0.0.1/NAME. Without one, a
PostgreSQL that is installed here is started for this run, on the loopback interface, and thrown
away. Run again on the same URL, the study goes on.
It takes half a minute on two cores and needs: pip install 'optuna-pop[train,postgres]'
"""

from __future__ import annotations

import argparse
import multiprocessing
import warnings
from collections import Counter
from contextlib import ExitStack

import optuna
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from optuna_pop import OrderedArchitecture, OrderedSpace, POPSampler
from optuna_pop.testing import postgres

WIDTHS = [8, 16, 32, 64, 128]
SPACE = OrderedSpace({"first": WIDTHS, "second": WIDTHS, "third": WIDTHS})
STUDY = "four-workers"


def macs(network: OrderedArchitecture) -> float:
    """Return the multiply-accumulates of one image, in thousands: known before training."""
    first, second, third = network["first"], network["second"], network["third"]
    return float(64 * first + first * second + second * third + third * 10) / 1e3


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Train the network that this worker has reserved."""
    network = SPACE.suggest(trial)
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x / 16.0, y, test_size=0.5, random_state=0)
    layers = (network["first"], network["second"], network["third"])
    model = MLPClassifier(layers, max_iter=40, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 40 epochs are what there is
        model.fit(train_x, train_y)
    return 100.0 * float(model.score(test_x, test_y)), macs(network)


def work(url: str, trainings: int, number: int) -> None:
    """Be one worker."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = POPSampler(SPACE, cost=macs, seed=0)
    study = optuna.load_study(study_name=STUDY, storage=url, sampler=sampler)

    def ours(trial: optuna.Trial) -> tuple[float, float]:
        trial.set_user_attr("worker", number)
        return objective(trial)

    with threadpool_limits(1):  # the workers share the cores
        study.optimize(ours, n_trials=trainings)


def search(url: str, workers: int, trainings: int) -> None:
    """Let workers search together, and look at what they did."""
    # Created before they start: several at once would race for the tables.
    study = optuna.create_study(
        study_name=STUDY, storage=url, directions=["maximize", "minimize"], load_if_exists=True
    )
    before = len(study.trials)
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=work, args=(url, trainings, number)) for number in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    print(f"Boundary of study {STUDY!r}:")
    for trial in sorted(study.best_trials, key=lambda trial: trial.values[1]):
        accuracy, cost = trial.values
        widths = "-".join(str(width) for width in trial.params.values())
        print(f"  {cost:6.1f} k MACs  {accuracy:5.1f} %  widths {widths}")
    shares = Counter(trial.user_attrs["worker"] for trial in complete if trial.number >= before)
    print("Trainings of each worker:", ", ".join(str(shares[i]) for i in range(workers)))
    networks = Counter(tuple(trial.params.values()) for trial in complete)
    doubled = sum(count > 1 for count in networks.values())
    said = f"{len(complete)} trainings, {len(networks)} different networks"
    print(f"{said}, {doubled} trained twice.")
    if doubled or any(process.exitcode for process in processes):
        raise SystemExit(1)


def main() -> None:
    """Take the database that is given, or start one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="?", help="SQLAlchemy URL of a PostgreSQL database")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--trainings", type=int, default=6, help="of each worker")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with ExitStack() as stack:
        url = options.url or stack.enter_context(postgres.running()).url
        search(url, options.workers, options.trainings)


if __name__ == "__main__":
    main()
