"""BoTorch's qLogNEHVI on a table: a GP each for accuracy and cost, every candidate scored.

Optional and slow; needs ``pip install botorch``.
"""

from __future__ import annotations

import warnings
from time import perf_counter

import numpy as np
import torch
from botorch.acquisition.multi_objective.logei import (
    qLogNoisyExpectedHypervolumeImprovement,
)
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.mlls import SumMarginalLogLikelihood

from benchmarks.tables import FloatArray, Table

START = 10  # uniform draws before the model takes over
CHUNK = 2048


def search(
    table: Table, observed: FloatArray, budget: int, seed: int
) -> tuple[list[int], list[float]]:
    """Train ``budget`` rows; returns them and the seconds of every choice."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    low, high = table.vectors.min(axis=0), table.vectors.max(axis=0)
    x_all = torch.tensor((table.vectors - low) / (high - low), dtype=torch.float64)
    y_all = torch.tensor(np.stack([observed, -table.costs], axis=1), dtype=torch.float64)
    trained = rng.choice(len(x_all), START, replace=False).tolist()
    ask_s: list[float] = []
    while len(trained) < budget:
        start = perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x, y = x_all[trained], y_all[trained]
            model = ModelListGP(
                *(
                    SingleTaskGP(x, y[:, i : i + 1], outcome_transform=Standardize(m=1))
                    for i in range(2)
                )
            )
            fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
            worst, best = y.min(dim=0).values, y.max(dim=0).values
            gain = qLogNoisyExpectedHypervolumeImprovement(
                model=model,
                ref_point=(worst - 0.1 * (best - worst)).tolist(),
                X_baseline=x,
                sampler=SobolQMCNormalSampler(torch.Size([64]), seed=seed),
                prune_baseline=True,
                cache_root=True,
            )
            with torch.no_grad():
                value = torch.cat([gain(part[:, None]) for part in x_all.split(CHUNK)])
        value[trained] = -torch.inf
        trained.append(int(value.argmax()))
        ask_s.append(perf_counter() - start)
    return trained, ask_s
