"""Stop trainings early in a study of accuracy and cost, where Optuna itself refuses to."""

from __future__ import annotations

import math
from typing import Any

import optuna
import optunahub


pop = optunahub.load_module("pruners/partial_order_pruning")
EPOCHS = 30
# Values of each parameter, from the weakest (cheapest, least accurate) to the strongest.
space = pop.OrderedSpace({"width": [16, 32, 64, 128, 256, 512], "depth": [1, 2, 3, 4, 5, 6]})


def cost(architecture: Any) -> float:
    """Return what is known of an architecture before it is trained: milliseconds."""
    return float(0.2 + 0.01 * architecture["width"] * architecture["depth"])


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Train what is suggested; here a formula stands where the training goes."""
    trial = pop.CurveTrial(trial)
    architecture = space.suggest(trial)
    best = 95.0 - 40.0 / (architecture["width"] ** 0.5 * architecture["depth"] ** 0.2) ** 0.5
    accuracy = 0.0
    for epoch in range(1, EPOCHS + 1):
        accuracy = best - 60.0 * math.exp(-epoch / 6.0)
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy, cost(architecture)


if __name__ == "__main__":
    study = optuna.create_study(
        directions=["maximize", "minimize"],
        sampler=pop.POPSampler(space, cost=cost, seed=0),
        pruner=pop.POPPruner(),
    )
    study.optimize(objective, n_trials=36)
    for trial in study.trials:
        if trial.state == optuna.trial.TrialState.PRUNED:
            print(f"trial {trial.number}: {trial.user_attrs['optuna_pop:pruned_because']}")
