"""BoTorch's qLogNEHVI on a table: a GP each for accuracy and cost, every candidate scored.

As a joint belief with the trained takes long for thousands of candidates, all are scored first by
expected hypervolume improvement over the front that the model believes in, each by its own belief,
and the best of them by qLogNEHVI. Optional and slow; needs ``pip install botorch``.
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
from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning
from botorch.utils.sampling import draw_sobol_normal_samples
from gpytorch.mlls import SumMarginalLogLikelihood
from torch import Tensor

from benchmarks.tables import FloatArray, Table

START = 10  # uniform draws before the model takes over
SAMPLES = 64  # of a belief
BEST = 512  # candidates scored by qLogNEHVI
CHUNK = 512  # scored at once


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
            ref_point = worst - 0.1 * (best - worst)
            with torch.no_grad():
                value = _improvement(model, x_all, x, ref_point, seed)
                value[trained] = -torch.inf
                few = value.topk(BEST).indices
                gain = qLogNoisyExpectedHypervolumeImprovement(
                    model=model,
                    ref_point=ref_point.tolist(),
                    X_baseline=x,
                    sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=seed),
                    prune_baseline=True,
                    cache_root=True,
                )
                trained.append(int(few[gain(x_all[few][:, None]).argmax()]))
        ask_s.append(perf_counter() - start)
    return trained, ask_s


def _improvement(
    model: ModelListGP, candidates: Tensor, x: Tensor, ref_point: Tensor, seed: int
) -> Tensor:
    """Expected hypervolume improvement of candidates (m, d) after training x (n, d), shape (m,)."""
    front = FastNondominatedPartitioning(ref_point, Y=model.posterior(x).mean)
    low, high = front.get_hypercell_bounds()  # (cells, 2)
    z = draw_sobol_normal_samples(2, SAMPLES, seed=seed, dtype=torch.float64)[:, None]
    parts = []
    for part in candidates.split(CHUNK):
        belief = model.posterior(part)
        f = belief.mean + belief.variance.sqrt() * z  # (samples, m, 2)
        inside = (f[:, :, None].minimum(high) - low).clamp(min=0.0)  # (samples, m, cells, 2)
        parts.append(inside.prod(dim=-1).sum(dim=-1).mean(dim=0))
    return torch.cat(parts)
