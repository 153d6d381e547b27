from __future__ import annotations

import numpy as np
import pytest

from optuna_pop.selection.process import Prior, _Posterior


def posterior() -> _Posterior:
    rng = np.random.default_rng(0)
    x = rng.random((8, 3))
    return _Posterior(x, x.sum(axis=1) - x.sum(axis=1).mean(), 3, Prior())


@pytest.mark.parametrize("entry", range(9))
@pytest.mark.parametrize("far", [-400.0, 400.0])
def test_a_step_far_off_is_refused_without_a_warning(entry: int, far: float) -> None:
    # The optimiser tries such θ now and then; warnings are errors here.
    function = posterior()
    near, _ = function(function.mean)
    theta = function.mean.copy()
    theta[entry] = far
    value, slope = function(theta)
    assert near < value < np.inf
    assert np.isfinite(slope).all()


def test_slope_is_that_of_the_value() -> None:
    function = posterior()
    at = function.mean + 0.3
    _, slope = function(at)
    for entry in range(len(at)):
        step = np.zeros(len(at))
        step[entry] = 1e-5
        rise = (function(at + step)[0] - function(at - step)[0]) / 2e-5
        assert slope[entry] == pytest.approx(rise, rel=1e-4, abs=1e-6)
