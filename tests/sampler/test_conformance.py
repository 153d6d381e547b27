"""Optuna's own conformance suites: outside its space POPSampler is an ordinary sampler."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from optuna_pop import OrderedSpace, POPSampler

# The suites check that NaN and foreign values only warn.
pytestmark = pytest.mark.filterwarnings("default")


class TestPOPSampler(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        space = OrderedSpace({"width": [16, 32, 64], "depth": [1, 2, 3]})
        return lambda: POPSampler(space, cost=lambda a: a["width"] * a["depth"], seed=0)
