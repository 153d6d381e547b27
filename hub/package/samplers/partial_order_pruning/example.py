"""Search the accuracy and the cost of a network whose width and depth may be chosen."""

from __future__ import annotations

from typing import Any

import optuna
import optunahub


pop = optunahub.load_module("samplers/partial_order_pruning")
# Values of each parameter, from the weakest (cheapest, least accurate) to the strongest.
space = pop.OrderedSpace({"width": [16, 32, 64, 128, 256], "depth": [1, 2, 3, 4]})


def cost(architecture: Any) -> float:
    """Return what is known of an architecture before it is trained: milliseconds."""
    return float(0.2 + 0.01 * architecture["width"] * architecture["depth"])


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Train what is suggested; here a formula stands where the training goes."""
    architecture = space.suggest(trial)
    accuracy = 95.0 - 40.0 / (architecture["width"] * architecture["depth"] ** 0.5) ** 0.5
    return accuracy, cost(architecture)


if __name__ == "__main__":
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=pop.POPSampler(space, cost=cost, seed=0)
    )
    study.optimize(objective, n_trials=15)
    for trial in sorted(study.best_trials, key=lambda trial: trial.values[1]):
        accuracy, milliseconds = trial.values
        print(f"{accuracy:.1f} %  {milliseconds:5.2f} ms  {trial.params}")
