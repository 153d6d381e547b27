from __future__ import annotations

import numpy as np
import pytest

from optuna_pop.order import check_order
from optuna_pop.order.consistency import binomial_noise


def test_counts_pairs_violations_and_the_largest() -> None:
    vectors = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.int16)
    accuracy = np.array([50.0, 49.5, 60.0, 55.0])
    check = check_order(vectors, accuracy, noise=1.0)
    # Comparable: 0<1, 0<2, 0<3, 1<3, 2<3; 1 and 2 are not.
    assert check.pairs == 5
    assert check.violations == 2
    assert check.beyond_noise == 1
    assert check.largest == 5.0
    assert check.worst == (2, 3)
    assert check.share_followed == pytest.approx(0.8)


def test_no_pairs_follow_trivially() -> None:
    check = check_order(np.array([[0, 1], [1, 0]], dtype=np.int16), np.array([1.0, 2.0]))
    assert (check.pairs, check.share_followed, check.worst) == (0, 1.0, None)


def test_binomial_noise_is_two_standard_errors_of_a_difference() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.binomial(500, 0.8, (2, 20_000)) / 500
    noise = binomial_noise(np.array([0.8]), 500, percent=False)
    assert noise == pytest.approx(2 * np.std(a - b), rel=0.03)
    assert binomial_noise(np.array([80.0]), 500, percent=True) == pytest.approx(100 * noise)
