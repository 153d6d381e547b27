"""Not networks at all: random forests of handwritten digits, accuracy against predict latency.

Trees, depth and the number of pixels a forest looks at all make it better and slower. How slow is
known only once it is grown: each forest's prediction of all 1,797 images is then timed on one core.
``POPSampler(space)`` works without costs known beforehand. Beside it multivariate TPE, Optuna's own
sampler for this, trains as many different forests; a forest asked for again costs it nothing.

Run it with: python examples/random_forest.py
It takes a minute on two cores and needs: pip install 'optuna-pop[train,profiling,figures]'
"""

from __future__ import annotations

import argparse
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from optuna_pop import OrderedSpace, POPSampler
from optuna_pop.order.boundary import FloatArray, Staircase, staircase
from optuna_pop.profiling.device import no_garbage_collection, pinned

LEVELS = {
    "trees": [1, 2, 4, 8, 16, 32, 64],
    "depth": [2, 3, 4, 6, 8, 12, 16],
    "pixels": [4, 8, 16, 32, 64],
}
SPACE = OrderedSpace(LEVELS)
GUESS = 10.0  # percent, of ten classes: what one has where no forest is that fast
X, Y = load_digits(return_X_y=True)
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)

Forest = tuple[int, int, int]
"""Trees, depth and pixels."""


@cache
def train(forest: Forest) -> tuple[float, float]:
    """Return the cross-validated accuracy (percent) and the latency (ms) of a forest.

    Each is trained and timed once, so that both samplers see the same numbers.
    """
    trees, depth, pixels = forest
    model = make_pipeline(
        SelectKBest(k=pixels), RandomForestClassifier(trees, max_depth=depth, random_state=0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some pixels are never inked
        accuracy = 100.0 * float(cross_val_score(model, X, Y, cv=FOLDS).mean())
        model.fit(X, Y)
    times: list[float] = []
    with pinned(), no_garbage_collection():
        model.predict(X)  # warm-up
        while len(times) < 10 or sum(times) < 0.25:
            begin = time.perf_counter()
            model.predict(X)
            times.append(time.perf_counter() - begin)
    return accuracy, 1e3 * min(times)  # other programs only ever add time


def search_by_pop(trainings: int, seed: int) -> list[Forest]:
    """Return the forests in the sequence of their training."""
    trained: list[Forest] = []

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        forest = SPACE.suggest(trial)
        trained.append((forest["trees"], forest["depth"], forest["pixels"]))
        return train(trained[-1])

    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=POPSampler(SPACE, seed=seed)
    )
    study.optimize(objective, n_trials=trainings)
    return trained


def search_by_tpe(trainings: int, seed: int) -> list[Forest]:
    """Return the different forests in the sequence of their first training."""
    trained: dict[Forest, None] = {}

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        # By level, so that TPE knows of the order, too.
        trees, depth, pixels = (
            values[trial.suggest_int(name, 0, len(values) - 1)] for name, values in LEVELS.items()
        )
        trained.setdefault((trees, depth, pixels))
        if len(trained) == trainings:
            trial.study.stop()
        return train((trees, depth, pixels))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(multivariate=True, seed=seed)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=6 * trainings)
    return list(trained)


SEARCHES = {"POPSampler": search_by_pop, "TPESampler": search_by_tpe}
COLOURS = {"POPSampler": "#0072B2", "TPESampler": "#D55E00"}


def results(forests: list[Forest]) -> FloatArray:
    """Return accuracies and latencies, shape (2, m)."""
    return np.array([train(forest) for forest in forests]).T


def boundary(forests: list[Forest], limits: FloatArray) -> FloatArray:
    """Return the best accuracy within each of some latencies."""
    accuracies, latencies = results(forests)
    return np.maximum(Staircase.of(latencies, accuracies)(limits), GUESS)


def height(forests: list[Forest], limits: FloatArray) -> float:
    """Return the mean accuracy along the boundary: its hypervolume over log-latency, in percent."""
    return float(boundary(forests, limits).mean())


def draw(found: dict[str, list[list[Forest]]], limits: FloatArray) -> Figure:
    """Draw the boundaries of the first seed, and how they rose with the trainings."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, searches in found.items():
        accuracies, latencies = results(searches[0])
        steps = boundary(searches[0], limits)
        left.plot(latencies, accuracies, "o", ms=4, alpha=0.45, color=COLOURS[name])
        left.step(limits, steps, where="post", lw=2, color=COLOURS[name], label=name)
        curves = np.array(
            [[height(one[:n], limits) for n in range(1, len(one) + 1)] for one in searches]
        )
        for curve in curves:
            right.plot(range(1, len(curve) + 1), curve, lw=0.8, alpha=0.4, color=COLOURS[name])
        mean = curves.mean(axis=0)
        right.plot(range(1, len(mean) + 1), mean, lw=2.5, color=COLOURS[name], label=name)
    left.set(
        xscale="log",
        xticks=[tick for tick in (0.5, 1, 2, 5, 10, 20, 50) if limits[0] <= tick <= limits[-1]],
        xlabel="latency of 1,797 images, one core (ms)",
        ylabel="accuracy (%)",
        title=f"Boundaries after {len(searches[0])} trainings, first seed",
    )
    right.set(
        xlabel="trainings",
        ylabel="mean accuracy along the boundary (%)",
        title=f"How the boundary rises: {len(searches)} seeds and their mean",
    )
    left.xaxis.set_major_formatter("{x:g}")
    left.xaxis.set_minor_locator(NullLocator())
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    """Search with both samplers, and set the results side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainings", type=int, default=30, help="for each search")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each sampler")
    parser.add_argument("--out", type=Path, default=Path("random_forest.png"), help="figure")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    found = {
        name: [search(options.trainings, seed) for seed in range(options.seeds)]
        for name, search in SEARCHES.items()
    }
    every = [forest for searches in found.values() for one in searches for forest in one]
    latencies = results(every)[1]
    ours = found["POPSampler"][0]
    limits = np.geomspace(latencies.min(), latencies.max(), 2000)

    print(f"POPSampler's boundary, of {options.trainings} forests trained out of {len(SPACE)}:")
    for row in staircase(results(ours)[1], results(ours)[0]):
        trees, depth, pixels = ours[row]
        accuracy, latency = train(ours[row])
        words = f"trees {trees}, depth {depth}, pixels {pixels}"
        print(f"  {latency:6.2f} ms  {accuracy:5.1f} %  {words}")
    print(f"\nMean accuracy along the boundary, {limits[0]:.2f} to {limits[-1]:.1f} ms (percent):")
    print("  seed" + "".join(f"{name:>12}" for name in found))
    for seed in range(options.seeds):
        heights = [height(searches[seed], limits) for searches in found.values()]
        print(f"  {seed:4}" + "".join(f"{value:12.2f}" for value in heights))
    draw(found, limits).savefig(options.out, dpi=100)
    print(f"\nBoth boundaries are drawn in {options.out}.")


if __name__ == "__main__":
    main()
