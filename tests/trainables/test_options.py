"""Options of recipes beyond those that every training of ``test_segmentation`` has."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from optuna_pop.errors import InputError
from optuna_pop.trainables import training
from optuna_pop.trainables.checkpoint import CheckpointFile
from optuna_pop.trainables.data.augment import Augmentation
from optuna_pop.trainables.data.base import Split
from optuna_pop.trainables.data.streets import Streets
from optuna_pop.trainables.networks import build_network
from optuna_pop.trainables.samples import TensorSamples
from optuna_pop.trainables.training import EpochMetrics, train
from tests.trainables.test_checkpoint import same
from tests.trainables.test_segmentation import BLOCKS, RECIPE, STREETS
from tests.trainables.test_training import BLOCKS as STRIPES_BLOCKS
from tests.trainables.test_training import RECIPE as STRIPES_RECIPE
from tests.trainables.test_training import Stripes


def test_deterministic_mode_gives_the_same_weights_and_ends_with_the_training() -> None:
    seen: list[bool] = []

    def look(*_: object) -> None:
        seen.append(torch.are_deterministic_algorithms_enabled())

    how = replace(RECIPE, deterministic=True, auxiliary=0.4)
    before = torch.backends.cudnn.benchmark
    first = train(BLOCKS, STREETS, how, seed=0, on_epoch=look)
    assert seen == [True, True]
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark == before
    assert same(first, train(BLOCKS, STREETS, how, seed=0))


def test_deterministic_mode_ends_with_a_training_that_fails() -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(BLOCKS, STREETS, replace(RECIPE, deterministic=True), seed=0, on_epoch=fail)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU knows fp16")
def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(InputError, match="fp16 cannot be trained in on cpu: choose float32"):
        train(BLOCKS, STREETS, replace(RECIPE, precision="fp16"), seed=0)
    assert train(BLOCKS, STREETS, replace(RECIPE, epochs=1), seed=0).accuracy > 0, "float32 goes on"


def test_a_resumed_training_reads_its_state_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    path, reads = tmp_path / "s.pt", list[set[str]]()
    with pytest.raises(KeyboardInterrupt):
        train(BLOCKS, STREETS, RECIPE, seed=0, checkpoint=path, on_epoch=stop)
    restore = CheckpointFile.restore

    def counted(
        self: CheckpointFile, parts: dict[str, Any], generator: torch.Generator
    ) -> list[list[float]]:
        reads.append(set(parts))
        return restore(self, parts, generator)

    monkeypatch.setattr(CheckpointFile, "restore", counted)
    # A scaler of gradients, as fp16 has on a GPU, is there by then and kept and restored, too.
    scaler = torch.amp.GradScaler("cpu")
    monkeypatch.setattr(training.Team, "scaler", property(lambda _: scaler))
    with pytest.warns(UserWarning, match="'scaler'"):  # the state was kept without one
        train(BLOCKS, STREETS, RECIPE, seed=0, checkpoint=path)
    assert reads == [{"network", "optimizer", "scaler"}]


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_training_learns_what_a_plain_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    # A convolution and the head alone: the time goes into the compiler.
    first, last = STRIPES_BLOCKS[0], STRIPES_BLOCKS[-1]
    blocks = (first, replace(last, c_in=first.c_out, h_in=first.h_out, w_in=first.w_out))
    how = replace(STRIPES_RECIPE, epochs=1)
    seen: list[str] = []
    real = torch.compile

    def listening(module: torch.nn.Module) -> Any:
        seen.append(type(module).__name__)
        return real(module)

    monkeypatch.setattr(torch, "compile", listening)
    compiled = train(blocks, Stripes(), replace(how, compile=True), seed=0)
    plain = train(blocks, Stripes(), how, seed=0)
    assert seen == ["Network"]
    assert compiled.curve[0].loss == pytest.approx(plain.curve[0].loss, rel=1e-4)
    assert compiled.network.state_dict().keys() == plain.network.state_dict().keys()


def test_crops_build_the_network_of_whole_images_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cropped(Streets):
        crop_shape = (3, 32, 32)

        def load(self) -> Split:
            split = Streets.load(self)
            x, y = split.train.take(torch.arange(16))
            crops = TensorSamples(x, y, augmentation=Augmentation(flip=True), crop=(32, 32))
            return Split(crops, split.held_out)

    built: list[int] = []

    def counted(blocks: object, **how: object) -> object:
        built.append(1)
        return build_network(blocks, **how)

    monkeypatch.setattr(training, "build_network", counted)
    curve: list[EpochMetrics] = []
    data = Cropped(height=32, width=64, train_images=16, held_out_images=6)
    result = train(
        BLOCKS, data, replace(RECIPE, epochs=3), seed=0, on_epoch=lambda _, m: curve.append(m)
    )
    assert len(built) == 2, "one for crops, one for whole images"
    assert len({metrics.accuracy for metrics in curve}) > 1, "with new weights each time"
    held_out = data.load().held_out.take(torch.arange(6))
    measured = training.TASKS["segmentation"].measure(result.network, [held_out], 8)
    assert measured == pytest.approx(result.accuracy)
