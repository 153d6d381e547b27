"""From blocks to a network that can be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from optuna_pop.experiment.finishing import FinalTraining, finished, train_to_file
from optuna_pop.spaces import BackboneSpace
from optuna_pop.trainables import recipes
from optuna_pop.trainables.data.digits import Digits
from optuna_pop.trainables.training import EpochMetrics
from optuna_pop.trainables.weights import load_weights

SPACE = BackboneSpace(
    widths=(4, 8), max_depths=(1, 1, 1), input_shape=Digits(size=32).input_shape, classes=10
)
BLOCKS = tuple(SPACE.blocks(SPACE.at(0)))
HOW = FinalTraining(
    Digits(size=32, copies=1, held_out_copies=1),
    recipes.recipe("digits-smoke").with_values({"epochs": 3}),
    "digits-smoke (epochs=3)",
)


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def stop(epoch: int, _: EpochMetrics) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    out = tmp_path / "out.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train_to_file(BLOCKS, HOW, out, on_epoch=stop)
    digest = HOW.digest(BLOCKS)
    assert finished(out, digest) is None
    steps: list[int] = []
    train_to_file(BLOCKS, HOW, out, progress=lambda done, _: steps.append(done))
    alone = tmp_path / "alone.safetensors"
    all_steps: list[int] = []
    train_to_file(BLOCKS, HOW, alone, progress=lambda done, _: all_steps.append(done))
    assert len(steps) * 3 == len(all_steps)  # the last epoch alone
    assert [path.name for path in tmp_path.glob("*.partial")] == []
    found = finished(out, digest)
    assert found is not None
    assert found.tensors_digest() == load_weights(alone).tensors_digest()
    assert found.about["recipe"] == "digits-smoke (epochs=3)"
    assert found.about["training"] == digest
    assert finished(out, "of something else") is None


def test_what_decides_a_training_decides_its_digest() -> None:
    others = [
        FinalTraining(HOW.data, recipes.recipe("digits-smoke"), HOW.named),
        FinalTraining(Digits(size=32, copies=2), HOW.recipe, HOW.named),
        FinalTraining(HOW.data, HOW.recipe, HOW.named, seed=1),
    ]
    digests = {how.digest(BLOCKS) for how in (HOW, *others)}
    assert len(digests) == 4
    assert HOW.digest(tuple(SPACE.blocks(SPACE.at(1)))) not in digests
    # Threads and a name in words decide nothing.
    same = FinalTraining(HOW.data, HOW.recipe, "another name", threads=2)
    assert same.digest(BLOCKS) == HOW.digest(BLOCKS)
