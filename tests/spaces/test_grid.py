from __future__ import annotations

import dataclasses

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from optuna_pop.errors import ArchitectureError, InputError
from optuna_pop.order import precedes
from optuna_pop.spaces import (
    ARCHITECTURE_ATTR,
    BackboneSpace,
    DecoderArchitecture,
    DecoderSpace,
    OrderedSpace,
    PoolSpace,
    Space,
)

ORDERED = OrderedSpace(
    {"width": [16, 32, 64], "depth": [1, 2, 3], "output_stride": [8, 16, 32]},
    directions={"output_stride": "decreasing"},
    valid=lambda v: not (v["width"] == 64 and v["depth"] == 3),
)
POOL = PoolSpace(np.array([[0, 1], [1, 1], [1, 1], [2, 0]]), names=["a", "b", "c", "d"])
SPACES: list[Space[object]] = [
    ORDERED,  # type: ignore[list-item]
    DecoderSpace(),  # type: ignore[list-item]
    BackboneSpace((8, 16), (2, 2, 2)),  # type: ignore[list-item]
    POOL,  # type: ignore[list-item]
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_round_trips_over_the_whole_space(space: Space[object]) -> None:
    for row in range(len(space)):
        architecture = space.at(row)
        assert space.row(architecture) == row
        assert space.from_params(space.params(architecture)) == architecture
        assert space.vector(architecture) == tuple(space.vectors()[row].tolist())
        assert {architecture: 1}[architecture] == 1, "architectures are hashable"
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(architecture, dataclasses.fields(architecture)[0].name, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize(
    "sampler",
    [
        optuna.samplers.RandomSampler(seed=0),
        optuna.samplers.TPESampler(seed=0, n_startup_trials=5),
        optuna.samplers.NSGAIISampler(seed=0, population_size=5),
    ],
    ids=lambda s: type(s).__name__,
)
def test_any_sampler_suggests_only_valid_architectures(
    space: Space[object], sampler: optuna.samplers.BaseSampler
) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for _ in range(25):
        trial = study.ask()
        architecture = space.suggest(trial)
        row = space.row(architecture)
        assert trial.user_attrs[ARCHITECTURE_ATTR] == str(architecture)
        study.tell(trial, (float(space.vectors()[row].sum()), float(row)))


def test_decreasing_parameter_is_stronger_first() -> None:
    coarse = ORDERED.from_params({"width": 16, "depth": 1, "output_stride": 32})
    fine = ORDERED.from_params({"width": 16, "depth": 1, "output_stride": 8})
    assert precedes(ORDERED.vector(coarse), ORDERED.vector(fine))
    assert fine["output_stride"] == 8
    with pytest.raises(KeyError):
        fine["colour"]


def test_rule_removes_combinations_and_maps_to_the_nearest() -> None:
    assert len(ORDERED) == 27 - 3
    mapped = ORDERED.from_params({"width": 64, "depth": 3, "output_stride": 8})
    assert (mapped["width"], mapped["depth"], mapped["output_stride"]) == (32, 3, 8)


def test_parameters_read_as_values() -> None:
    found = OrderedSpace({"depth": [1, 2, 3], "width": [16, 32, 64], "act": ["relu", "swish"]})
    assert found.distributions() == {
        "depth": IntDistribution(1, 3),
        "width": CategoricalDistribution((16, 32, 64)),
        "act": CategoricalDistribution(("relu", "swish")),
    }


def test_decoder_space_of_the_paper() -> None:
    space = DecoderSpace(classes=19)
    assert len(space) == 6**3
    df1_seg, df2_seg2 = DecoderArchitecture((19, 32, 128)), DecoderArchitecture((19, 256, 512))
    assert precedes(space.vector(df1_seg), space.vector(df2_seg2))
    assert str(df1_seg) == "C3=19, C4=32, C5=128"
    with pytest.raises(ArchitectureError, match="20"):
        space.row(DecoderArchitecture((20, 32, 128)))
    assert DecoderSpace(classes=150).widths == (32, 64, 128, 150, 256, 512)


def test_pool_allows_equal_vectors() -> None:
    assert [POOL.at(row).name for row in range(4)] == ["a", "b", "c", "d"]
    assert POOL.vector(POOL.at(1)) == POOL.vector(POOL.at(2))
    assert POOL.row(POOL.at(2)) == 2


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: OrderedSpace({}), "at least one"),
        (lambda: OrderedSpace({"w": [1, 1]}), "distinct"),
        (lambda: OrderedSpace({"w": [1, 2]}, valid=lambda v: False), "loosen"),
        (lambda: OrderedSpace({"w": [1]}, directions={"x": "increasing"}), "'x'"),
        (lambda: DecoderSpace(classes=0), "positive"),
        (lambda: PoolSpace([[0.5]]), "integers"),
        (lambda: PoolSpace([[1], [2]], names=["a", "a"]), "distinct"),
        (lambda: PoolSpace([[70_000]]), "ranks"),
        (lambda: POOL.row(PoolSpace([[1]]).at(0)), "not of this pool"),
        (lambda: DecoderSpace().blocks(DecoderArchitecture((19, 32, 128))), "no block"),
    ],
)
def test_errors_name_value_and_mend(build: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()  # type: ignore[operator]
