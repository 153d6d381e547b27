import json
import math
from dataclasses import replace

import pytest

from optuna_pop.errors import InputError, UnknownNameError
from optuna_pop.trainables.recipes import RECIPES, TrainingRecipe, recipe

PAPER_LIKE = TrainingRecipe(epochs=85, batch_size=2048, peak_lr=0.8, warmup_epochs=5, warmup_lr=0.1)


def test_schedule_is_constant_warm_up_then_poly_power_2() -> None:
    steps = 7
    rates = [PAPER_LIKE.learning_rate(step, steps) for step in range(85 * steps)]
    assert rates[: 5 * steps] == [0.1] * 5 * steps
    assert rates[5 * steps] == 0.8
    middle = 5 * steps + 80 * steps // 2
    assert rates[middle] == pytest.approx(0.8 * 0.5**2)
    assert rates[-1] == pytest.approx(0.8 * (1 / (80 * steps)) ** 2)
    assert rates[5 * steps :] == sorted(rates[5 * steps :], reverse=True)
    assert PAPER_LIKE.learning_rate(85 * steps, steps) == 0


@pytest.mark.parametrize("power", [0.0, 0.9, 2.0])
def test_power_of_the_schedule(power: float) -> None:
    plain = replace(PAPER_LIKE, poly_power=power, warmup_epochs=0)
    assert plain.learning_rate(0, 10) == 0.8
    assert plain.learning_rate(340, 10) == pytest.approx(0.8 * 0.6**power)


def test_warm_up_may_be_part_of_an_epoch_or_everything() -> None:
    part = replace(PAPER_LIKE, warmup_epochs=0.25)
    assert [part.learning_rate(step, 8) for step in (0, 1, 2)] == [0.1, 0.1, 0.8]
    most = TrainingRecipe(epochs=1, batch_size=2, peak_lr=1.0, warmup_epochs=0.99, warmup_lr=0.3)
    assert most.learning_rate(9, 10) == 0.3


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_json_and_come_back(name: str) -> None:
    spec = json.loads(json.dumps(RECIPES[name].spec()))
    assert TrainingRecipe(**spec) == recipe(name)


def test_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown recipe 'x': .*digits-demo"):
        recipe("x")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1 .* got 0"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"peak_lr": 0.0}, r"peak_lr must be above 0 .* got 0\.0"),
        ({"peak_lr": math.nan}, "peak_lr .* got nan"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1"),
        ({"warmup_epochs": 85.0}, r"warmup_epochs must be .* below 85 but got 85\.0"),
        ({"weight_decay": -1e-4}, r"weight_decay must be .* got -0\.0001"),
    ],
)
def test_impossible_values_are_refused(setting: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(PAPER_LIKE, **setting)
