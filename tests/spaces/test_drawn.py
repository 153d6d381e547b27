"""Spaces too large to be listed, seen as small ones that are not allowed to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_pop import BackboneSpace, BlockConfig, OrderedSpace, POPSampler
from optuna_pop.errors import CostError, InputError
from optuna_pop.order.region import EnumeratedRegion
from optuna_pop.spaces.drawn import DrawnRegion
from optuna_pop.spaces.scope import scope_of

SMALL = BackboneSpace((8, 16, 32), (2, 3, 2))
HUGE = BackboneSpace(max_depths=(20, 20, 20))


@dataclass(frozen=True)
class Formula:
    """Costs by formula: a block is the dearer, the wider."""

    share: float = 0.01

    def block_cost(self, block: BlockConfig) -> float:
        return self.share * (1.0 + 0.3 * block.c_in**0.7 + 0.1 * block.c_out)

    def costs(self, space: Any, rows: Any = None) -> Any:
        vectors = None if rows is None else space.vectors_at(rows)
        return space.sum_blocks(self.block_cost, vectors)


@pytest.fixture
def unlisted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optuna_pop.spaces.scope.MOST_ENUMERATED", 10)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("limited", [True, False])
def test_region_as_if_it_were_listed(unlisted: None, *, counted: bool, limited: bool) -> None:
    model = Formula()
    all_costs = model.costs(SMALL)
    ends = np.quantile(all_costs, [0.2, 0.7]) + 1e-9  # on no architecture's cost, for rounding
    bounds: Any = tuple(ends.tolist()) if limited else None
    cost: Any = model if counted else (lambda a: sum(map(model.block_cost, SMALL.blocks(a))))
    region = scope_of(SMALL, cost, bounds).region
    assert isinstance(region, DrawnRegion)
    rows = np.arange(len(SMALL))
    low, high = bounds or (-np.inf, np.inf)
    listed = EnumeratedRegion(
        SMALL.vectors(),
        all_costs[:, None],
        np.flatnonzero((all_costs >= low) & (all_costs <= high)),
    )
    assert region.inside(rows).tolist() == listed.inside(rows).tolist()
    assert region.size == pytest.approx(listed.size, rel=0.05)
    rng = np.random.default_rng(0)
    for found in (
        region.draw(300, rng),
        region.spread(300, rng),
        region.near(region.draw(20, rng), 50, rng),
        region.between(0.2, 0.4, 40, rng),
        region.extremes,
    ):
        assert len(found)
        assert listed.inside(found).all()
    place = region.places(region.between(0.2, 0.4, 40, rng))
    assert ((place >= 0.2 - 1e-6) & (place <= 0.4 + 1e-6)).all()
    drawn = np.bincount(region.draw(40_000, rng), minlength=len(SMALL))[listed.rows]
    expected = 40_000 / listed.size
    # Mean n - 1, sd sqrt(2 (n - 1)): beyond 5 sd hardly ever.
    chi2 = ((drawn - expected) ** 2 / expected).sum()
    assert abs(chi2 - listed.size + 1) < 5 * np.sqrt(2 * listed.size)
    assert region.ranges.cheapest == pytest.approx(listed.ranges.cheapest, rel=0.02)
    assert region.ranges.dearest == pytest.approx(listed.ranges.dearest, rel=0.02)


def test_nothing_in_the_range_is_said(unlisted: None) -> None:
    with pytest.raises(CostError, match="between 1000 and 2000"):
        scope_of(SMALL, Formula(), (1000.0, 2000.0))


def accuracy(space: Any, row: int) -> float:
    return 80.0 - 60.0 * float(np.exp(-np.log1p(space.vectors_at(np.array([row]))[0]).sum() / 6))


@pytest.mark.parametrize("selection", ["gain", "uniform"])
@pytest.mark.parametrize("known", [True, False])
def test_search_of_an_unlisted_space(unlisted: None, selection: Any, *, known: bool) -> None:
    model = Formula()
    sampler = POPSampler(
        SMALL, cost=[model, Formula(0.2)] if known else None, selection=selection, seed=0
    )
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
    rows = []
    for _ in range(20):
        trial = study.ask()
        rows.append(SMALL.row(SMALL.suggest(trial)))
        costs = [m.costs(SMALL, np.array(rows[-1:]))[0] for m in (model, Formula(0.2))]
        study.tell(trial, [accuracy(SMALL, rows[-1]), *costs])
    assert len(set(rows)) == 20
    assert sampler.certificate(study).trained == 20
    assert not sampler.certificate(study).exact
    with pytest.raises(InputError, match="too large for a list"):
        sampler.pruned_rows(study)


def test_search_of_hundreds_of_millions() -> None:
    model = Formula()
    sampler = POPSampler(HUGE, cost=model, cost_range=(10.0, 60.0), seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.enqueue_trial({"stage3_depth": 4})
    for _ in range(12):
        trial = study.ask()
        row = HUGE.row(HUGE.suggest(trial))
        cost = model.costs(HUGE, np.array([row]))[0]
        assert 10.0 <= cost <= 60.0
        study.tell(trial, (accuracy(HUGE, row), cost))
    assert study.trials[0].params["stage3_depth"] == 4
    assert not sampler.is_exhausted(study)
    proof = sampler.certificate(study)
    assert 1e6 < proof.architectures < len(HUGE)
    assert proof.trained == 12


def test_a_huge_grid_with_costs_by_function() -> None:
    space = OrderedSpace({f"p{i}": range(10) for i in range(9)})
    sampler = POPSampler(space, cost=lambda a: 1.0 + sum(space.vector(a)), seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for _ in range(12):
        trial = study.ask()
        vector = space.vector(space.suggest(trial))
        study.tell(trial, (float(np.log1p(vector).sum()), 1.0 + sum(vector)))
    assert len({tuple(t.params.items()) for t in study.trials}) == 12
