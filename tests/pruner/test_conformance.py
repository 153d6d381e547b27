from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage

from optuna_pop import OrderedSpace, POPPruner, POPSampler
from optuna_pop.testing.pytest_pruners import DEPTHS, WIDTHS, PrunerTestCase

SPACE = OrderedSpace({"width": range(1, WIDTHS + 1), "depth": range(1, DEPTHS + 1)})


def sampler() -> BaseSampler:
    return POPSampler(SPACE, cost=lambda a: a["width"] * a["depth"], tolerance=0.0, seed=0)


class TestPOPPruner(PrunerTestCase):
    @pytest.fixture
    def pruner(self) -> Callable[[], BasePruner]:
        return lambda: POPPruner(least_curves=2)

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return sampler


class TestPOPPrunerBesideTPE(PrunerTestCase):
    @pytest.fixture
    def storage(self) -> BaseStorage:
        return InMemoryStorage()

    @pytest.fixture
    def pruner(self) -> Callable[[], BasePruner]:
        return lambda: POPPruner(sampler(), least_curves=2)  # type: ignore[arg-type]

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: TPESampler(seed=0, n_startup_trials=4)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")  # NumPy's, in the median of NaN
class TestOptunasPruners(PrunerTestCase):
    steadfast = False  # successive halving counts how often it was asked

    @pytest.fixture
    def storage(self) -> BaseStorage:
        return InMemoryStorage()  # other storages are the wrapper's matter, see TestPOPPruner

    @pytest.fixture(
        params=[
            MedianPruner,
            NopPruner,
            SuccessiveHalvingPruner,
            lambda: HyperbandPruner(max_resource=5),
            lambda: PercentilePruner(40.0),
            lambda: PatientPruner(MedianPruner(), patience=1),
            lambda: ThresholdPruner(upper=1e6),
        ],
        ids=["median", "nop", "halving", "hyperband", "percentile", "patient", "threshold"],
    )
    def pruner(self, request: pytest.FixtureRequest) -> Callable[[], BasePruner]:
        return request.param  # type: ignore[no-any-return]
