from __future__ import annotations

import itertools

import numpy as np
import pytest

from optuna_pop.order.region import EnumeratedRegion
from optuna_pop.selection.process import GaussianProcess
from optuna_pop.selection.scaling import Scaling
from optuna_pop.selection.surrogate import Surrogate

GRID = np.array(list(itertools.product(range(3), repeat=3)), dtype=np.int16)
COSTS = 1.0 + GRID.sum(axis=1, keepdims=True).astype(np.float64)


def test_belief_is_that_of_the_process_but_wider_the_fewer_are_trained() -> None:
    scaling = Scaling.of(EnumeratedRegion(GRID, COSTS).ranges)
    accuracy = 80.0 + GRID.sum(axis=1)
    ratios = []
    for n in (2, 5, 20):
        rows = np.random.default_rng(0).permutation(len(GRID))[:n]
        surrogate = Surrogate(scaling)
        surrogate.fit(GRID[rows], COSTS[rows], accuracy[rows])
        mean, sd = surrogate.predict(GRID, COSTS)
        plain = GaussianProcess(scaling.log_range)
        plain.fit(scaling.inputs(GRID[rows], COSTS[rows]), surrogate.warp(accuracy[rows]))
        bare_mean, bare_sd = plain.predict(scaling.inputs(GRID, COSTS))
        assert mean == pytest.approx(bare_mean)
        ratios.append(float((sd / bare_sd).mean()))
    assert ratios == pytest.approx([1 + 5 / 2, 1 + 5 / 5, 1 + 5 / 20])
