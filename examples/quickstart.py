"""The five lines: Partial Order Pruning on your own parameters, with costs you know.

It prints the boundary: the networks that nothing faster is as accurate as.

Run it with: python examples/quickstart.py
It takes seconds and needs nothing but: pip install optuna-pop
"""

from __future__ import annotations

import optuna

from optuna_pop import OrderedArchitecture, OrderedSpace, POPSampler

space = OrderedSpace({"width": [16, 32, 64, 128, 256], "depth": [1, 2, 3, 4, 5, 6]})


def latency(architecture: OrderedArchitecture) -> float:
    """Return what is known before training; usually ``cost=LatencyTable.load("latency.json")``."""
    return 0.2 + 0.01 * float(architecture["width"] * architecture["depth"])


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Train what is suggested; here a formula stands where your training goes."""
    architecture = space.suggest(trial)
    accuracy = 95.0 - 40.0 / (architecture["width"] * architecture["depth"] ** 0.5) ** 0.5
    return accuracy, latency(architecture)


study = optuna.create_study(
    directions=["maximize", "minimize"], sampler=POPSampler(space, cost=latency, seed=0)
)
study.optimize(objective, n_trials=12)

if __name__ == "__main__":
    print(f"Boundary of {len(study.trials)} trainings out of {len(space)} architectures:")
    for trial in sorted(study.best_trials, key=lambda t: t.values[1]):
        accuracy, milliseconds = trial.values
        print(f"  {trial.user_attrs['architecture']:20} {accuracy:.1f} %  {milliseconds:.2f} ms")
