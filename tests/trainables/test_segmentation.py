"""Segmentation: data made here in the layouts of the real data sets, loss, mIoU, trainings."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from optuna_pop.errors import DataError, InputError, OutOfMemoryError, UnknownNameError
from optuna_pop.spaces import BlockConfig
from optuna_pop.spaces.df import at_input, df_blocks, df_features, segmentation_blocks
from optuna_pop.trainables import training
from optuna_pop.trainables.auxiliary import WithAuxiliary
from optuna_pop.trainables.data import VOID, make_data_set
from optuna_pop.trainables.data.augment import Augmentation
from optuna_pop.trainables.data.base import Split
from optuna_pop.trainables.data.streets import CLASSES, Streets
from optuna_pop.trainables.loading import all_of, batches
from optuna_pop.trainables.networks import ShapeSpec, build_network
from optuna_pop.trainables.parallel import train_parallel
from optuna_pop.trainables.recipes import TrainingRecipe, recipe
from optuna_pop.trainables.samples import TensorSamples
from optuna_pop.trainables.tasks import TASKS
from optuna_pop.trainables.training import TrainingResult, train
from optuna_pop.trainables.weights import load_weights, save_weights
from tests.trainables.test_checkpoint import same

STREETS = Streets(height=32, width=64, train_images=16, held_out_images=6)
RECIPE = TrainingRecipe(epochs=2, batch_size=4, peak_lr=0.05)


def tiny(shape: tuple[int, int, int], classes: int) -> tuple[BlockConfig, ...]:
    """A segmentation network that is small enough to train in a moment."""
    features, before = [], shape
    for kind, width in (("conv", 8), ("conv", 8), ("basic", 8), ("basic", 12), ("basic", 16)):
        c, h, w = before
        block = BlockConfig(kind, c, h, w, width, -(-h // 2), -(-w // 2))
        features.append(block)
        before = block.output_shape
    return segmentation_blocks(features, (8, 8, 8), classes, shape)


BLOCKS = tiny(STREETS.input_shape, STREETS.classes)


@pytest.fixture(scope="module")
def trained() -> TrainingResult:
    return train(BLOCKS, STREETS, replace(RECIPE, epochs=6), seed=0)


def test_streets_are_learnt(trained: TrainingResult) -> None:
    assert trained.curve[-1].accuracy > trained.curve[0].accuracy
    assert trained.accuracy > 100 / 2 / len(CLASSES), "more than one class is told apart"
    assert trained.images_per_second > 0
    assert trained.diverged is None


def test_streets_have_every_class_and_void_only_at_edges() -> None:
    split = STREETS.load()
    x, y = split.train.take(torch.arange(16))
    assert x.shape == (16, 3, 32, 64)
    assert y.shape == (16, 32, 64)
    found = set(y.unique().tolist())
    assert found == {*range(len(CLASSES)), VOID}
    assert 0 < float((y == VOID).float().mean()) < 0.2
    again = replace(STREETS, seed=1).load().train.take(torch.arange(16))[0]
    assert not torch.equal(x, again)


@pytest.mark.parametrize("void", [0.0, 0.3, 1.0])
def test_miou_is_what_counting_gives_and_leaves_void_out(void: float) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (3, 8, 8), generator=generator)
    labels[labels == 3] = 2  # class 3 occurs neither there nor in what is predicted
    labels[torch.rand(labels.shape, generator=generator) < void] = VOID
    scores = torch.randn(3, 4, 8, 8, generator=generator)
    scores[:, 3] = -9

    class Given(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return scores[x[:, 0, 0, 0].long()]

    x = torch.arange(3).float()[:, None, None, None].expand(3, 1, 8, 8)
    found = TASKS["segmentation"].measure(Given(), [(x[:2], labels[:2]), (x[2:], labels[2:])], 4)
    kept, said = labels != VOID, scores.argmax(1)
    ious = []
    for c in range(4):
        both = int(((said == c) & (labels == c) & kept).sum())
        either = int((((said == c) | (labels == c)) & kept).sum())
        ious += [both / either] if either else []
    wanted = 100 * float(np.mean(ious)) if ious else math.nan
    assert found == pytest.approx(wanted, abs=1e-3, nan_ok=True)


def test_void_does_not_count_in_the_loss() -> None:
    task = TASKS["segmentation"]
    scores = torch.randn(2, 3, 4, 4, requires_grad=True)
    labels = torch.zeros(2, 4, 4, dtype=torch.long)
    labels[:, 2:] = VOID
    half = task.loss(scores, labels, 0.0)
    whole = task.loss(scores[:, :, :2], labels[:, :2], 0.0)
    assert half.item() == pytest.approx(whole.item())
    nothing = task.loss(scores, torch.full_like(labels, VOID), 0.0)
    nothing.backward()
    assert nothing.item() == 0.0
    assert scores.grad is not None
    assert bool((scores.grad == 0).all())


def test_an_eighth_of_the_size_learns_and_is_judged_at_full_size() -> None:
    blocks = BLOCKS[:-1]
    assert blocks[-1].kind == "score"
    result = train(blocks, STREETS, replace(RECIPE, epochs=1), seed=0)
    assert result.network(torch.zeros(1, 3, 32, 64)).shape == (1, 8, 4, 8)
    labels = torch.arange(4).reshape(1, 2, 2).repeat_interleave(8, 1).repeat_interleave(8, 2)
    scores = torch.nn.functional.one_hot(labels[:, ::8, ::8], 4).permute(0, 3, 1, 2).float()
    assert torch.equal(TASKS["segmentation"].predict(scores, labels), labels)


def test_crops_train_the_network_of_whole_images() -> None:
    class Cropped(Streets):
        crop_shape = (3, 32, 32)

        def load(self) -> Split:
            split = Streets.load(self)
            x, y = split.train.take(torch.arange(16))
            crops = TensorSamples(x, y, augmentation=Augmentation(flip=True), crop=(32, 32))
            return Split(crops, split.held_out)

    data = Cropped(height=32, width=64, train_images=16, held_out_images=6)
    result = train(BLOCKS, data, replace(RECIPE, epochs=1, ema=0.5), seed=0)
    assert result.network.configs == BLOCKS
    assert math.isfinite(result.accuracy)


@pytest.mark.parametrize(
    "change",
    [
        {"ema": 0.9},
        {"auxiliary": 0.4},
        {"micro_batch": 2},
        {"precision": "bf16"},
        {"label_smoothing": 0.1, "deterministic": True},
    ],
    ids=str,
)
def test_every_option_trains_and_resumes(tmp_path: Path, change: dict[str, Any]) -> None:
    how = replace(RECIPE, **change)
    whole = train(BLOCKS, STREETS, how, seed=0)
    assert math.isfinite(whole.accuracy)
    plain = train(BLOCKS, STREETS, RECIPE, seed=0)
    assert not same(whole, plain), "the option does something"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(BLOCKS, STREETS, how, seed=0, checkpoint=tmp_path / "s.pt", on_epoch=interrupt)
    assert same(train(BLOCKS, STREETS, how, seed=0, checkpoint=tmp_path / "s.pt"), whole)


def test_accumulated_gradients_are_those_of_the_batch() -> None:
    """Without batch norm, whose statistics are of what goes through at a time, nothing differs."""
    team = training.Team()
    made = []
    for chunk in (None, 2):
        how = replace(RECIPE, micro_batch=chunk)
        split = STREETS.load()
        x, y = split.train.take(torch.arange(16))
        plain = Split(TensorSamples(x, y), split.held_out)
        run = training._Training(BLOCKS, STREETS, plain, how, 0, team, None)
        for module in run._network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        joined = team.join(run._whole)
        next(run._steps(joined, team.prepare(run._optimizer), 0))
        team.leave(joined)
        made.append(torch.cat([p.detach().flatten() for p in run._network.parameters()]))
    assert not torch.equal(made[0], torch.zeros_like(made[0]))
    torch.testing.assert_close(made[0], made[1], rtol=1e-3, atol=1e-4)


def test_two_processes_train_with_every_option() -> None:
    how = replace(RECIPE, epochs=1, ema=0.5, auxiliary=0.4, micro_batch=2, batch_size=8)
    result = train_parallel(BLOCKS, STREETS, how, seed=0, processes=2)
    assert math.isfinite(result.accuracy)


def test_a_frozen_backbone_stays_and_a_fine_tuned_one_moves(
    tmp_path: Path, trained: TrainingResult
) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, trained.network, {"data": "streets"})
    weights = load_weights(path)
    assert weights.about == {"data": "streets"}
    assert same(replace(trained, network=weights.network()), trained)
    ends = len(trained.network.backbone)

    def backbone(result: TrainingResult) -> list[torch.Tensor]:
        return [v for b in list(result.network)[:ends] for v in b.state_dict().values()]

    kept = backbone(trained)
    wider = segmentation_blocks(BLOCKS[:ends], (16, 8, 16), 8, STREETS.input_shape)
    for share, moves in ((0.0, False), (0.1, True)):
        how = replace(RECIPE, epochs=1, backbone_lr=share)
        result = train(wider, STREETS, how, seed=0, weights=weights)
        pairs = zip(kept, backbone(result), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) != moves
    other = df_blocks("df1-seg", input_shape=STREETS.input_shape, classes=8)
    with pytest.raises(InputError, match="another backbone: its block 0 is"):
        train(other, STREETS, RECIPE, seed=0, weights=weights)


def test_weights_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="holds no weights"):
        load_weights(path)


def test_auxiliary_head_sees_stage_4() -> None:
    network = build_network(df_blocks("df1", input_shape=(3, 64, 64), classes=5))
    scores, auxiliary = WithAuxiliary(network, 0)(torch.randn(2, 3, 64, 64))
    assert scores.shape == auxiliary.shape == (2, 5)
    auxiliary.sum().backward()
    reached = [i for i, b in enumerate(network) if any(p.grad is not None for p in b.parameters())]
    assert [network.configs[i].stride for i in (reached[-1] + 1,)] == [2], "up to stage 5"


def test_output_shape_says_what_decoders_need() -> None:
    network = build_network(df_blocks("df2a", input_shape=(3, 64, 64), classes=5))
    assert network.output_shape() == {
        "stage1": ShapeSpec(32, 2),
        "stage2": ShapeSpec(64, 4),
        "stage3": ShapeSpec(128, 8),
        "stage4": ShapeSpec(1024, 16),
        "stage5": ShapeSpec(1024, 32),
    }


@pytest.mark.parametrize("name", ["df1", "df2a", "df1-seg", "df1-seg-d8"])
def test_a_network_at_another_size_is_the_same_network(name: str) -> None:
    small = df_blocks(name, input_shape=(3, 96, 160), classes=5)
    assert at_input(small, (3, 224, 320)) == df_blocks(name, input_shape=(3, 224, 320), classes=5)


def test_augmentation_moves_masks_with_images() -> None:
    y = torch.randint(0, 200, (6, 24, 40), generator=torch.Generator().manual_seed(0))
    y = y.repeat_interleave(4, 1).repeat_interleave(4, 2)
    x = y[:, None].float() + 1
    change = Augmentation(scale=(0.5, 2), stretch=1.3, shift=9, flip=True)
    moved, mask = change.warp(x, y, (48, 64), torch.Generator().manual_seed(1))
    assert mask is not None
    inside = mask != VOID
    assert 0.3 < inside.float().mean() < 1
    agree = (moved[:, 0] - 1 - mask).abs()[inside] < 0.5
    assert agree.float().mean() > 0.6, "but for edges, where colours mix"
    assert torch.equal(moved, change.warp(x, y, (48, 64), torch.Generator().manual_seed(1))[0])
    shifted, _ = Augmentation(shift=4, flip=True).warp(x, y, (96, 160), torch.Generator())
    assert bool(((shifted - shifted.round()).abs() < 0.01).all()), "what is only moved stays sharp"


def test_workers_change_nothing() -> None:
    samples = Streets(height=32, width=32, train_images=12, held_out_images=1).load().train
    wanted = [(part, 7 + i) for i, part in enumerate(torch.split(torch.arange(12), 4))]
    here, beside = (list(batches(samples, wanted, workers=n)) for n in (0, 2))
    assert all(
        torch.equal(a, b)
        for p, q in zip(here, beside, strict=True)
        for a, b in zip(p, q, strict=True)
    )
    assert len(list(all_of(samples, (3, 32, 32), 0))) == 1


def _png(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part in ("train", "val", "test"):
        for i in range(3):
            _png(tmp_path / part / f"{i}.png", rng.integers(0, 255, (40, 48, 3), np.uint8))
            _png(tmp_path / f"{part}annot" / f"{i}.png", rng.integers(0, 13, (40, 48), np.uint8))
    return tmp_path


def test_camvid_folder(camvid: Path) -> None:
    data = make_data_set(
        "camvid", {"root": camvid, "height": "20", "width": "24", "crop": [16, 16]}
    )
    split = data.load()
    x, y = split.train.take(torch.arange(3), seed=1)
    assert (x.shape, y.shape) == ((3, 3, 16, 16), (3, 16, 16))
    assert split.test is not None
    x, y = split.test.take(torch.arange(3))
    assert (x.shape, y.shape) == ((3, 3, 20, 24), (3, 20, 24))
    assert set(y.unique().tolist()) == {*range(11), VOID}
    assert data.crop_shape == (3, 16, 16)
    before = data.fingerprint()
    _png(camvid / "test" / "0.png", np.zeros((40, 48, 3), np.uint8))
    assert data.fingerprint() != before


def test_camvid_that_does_not_fit(camvid: Path) -> None:
    _png(camvid / "valannot" / "1.png", np.zeros((20, 48), np.uint8))
    with pytest.raises(DataError, match=r"has .* pixels but its mask"):
        make_data_set("camvid", {"root": camvid}).load()
    (camvid / "valannot" / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot read image or mask: .*; take the folder"):
        make_data_set("camvid", {"root": camvid, "height": 22}).load()
    arrays = {f"{k}_{p}": np.zeros((2, 8, 8, 3) if k == "x" else (2, 8, 8), np.uint8)
              for k in "xy" for p in ("train", "val", "test")}  # fmt: skip
    arrays["y_val"][0, 0, 0] = 77
    folder = camvid / "archive"
    folder.mkdir()
    np.savez(folder / "camvid_240x180.npz", **arrays)
    with pytest.raises(DataError, match="camvid, val: label 77 is none of the 11 classes"):
        make_data_set("camvid", {"root": folder, "height": 8, "width": 8}).load()
    with pytest.raises(DataError, match="give its size"):
        make_data_set("camvid", {"root": folder}).load()


def test_imagenet_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, sizes in (("train", (60, 90)), ("val", (50, 70))):
        for kind in ("cat", "dog"):
            for i, size in enumerate(sizes):
                array = rng.integers(0, 255, (size, 64, 3), np.uint8)
                _png(tmp_path / part / kind / f"{i}.png", array)
    data = make_data_set("imagenet", {"root": tmp_path, "size": 32, "workers": 0})
    assert (data.classes, data.input_shape) == (2, (3, 32, 32))
    split = data.load()
    before = torch.get_rng_state()
    x, y = split.train.take(torch.arange(4), seed=3)
    assert torch.equal(before, torch.get_rng_state())
    assert x.shape == (4, 3, 32, 32)
    assert y.tolist() == [0, 0, 1, 1]
    assert torch.equal(x, split.train.take(torch.arange(4), seed=3)[0])
    assert not torch.equal(x, split.train.take(torch.arange(4), seed=4)[0])
    assert split.held_out.take(torch.arange(4))[0].shape == (4, 3, 32, 32)
    (tmp_path / "train" / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png is damaged"):
        split.train.take(torch.arange(1))


def test_cityscapes_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for i in range(2):
            stem = f"aachen_00000{i}_000019"
            image = rng.integers(0, 255, (32, 64, 3), np.uint8)
            _png(tmp_path / "leftImg8bit" / part / "aachen" / f"{stem}_leftImg8bit.png", image)
            labels = np.tile(np.arange(64, dtype=np.uint8) % 34, (32, 1))
            fine = tmp_path / "gtFine" / part / "aachen" / stem
            _png(fine.with_name(f"{stem}_gtFine_labelIds.png"), labels)
            for other in ("instanceIds", "color"):
                _png(fine.with_name(f"{stem}_gtFine_{other}.png"), labels)
            fine.with_name(f"{stem}_gtFine_polygons.json").write_text("{}")
    settings = {"root": tmp_path, "height": 16, "width": 32, "crop": [16, 16], "workers": 0}
    data = make_data_set("cityscapes", settings)
    split = data.load()
    x, y = split.held_out.take(torch.arange(2))
    assert (x.shape, y.shape) == ((2, 3, 16, 32), (2, 16, 32))
    assert set(y.unique().tolist()) <= {*range(19), VOID}
    assert split.train.take(torch.arange(2), seed=1)[1].shape == (2, 16, 16)


@pytest.mark.parametrize("name", ["cifar10", "camvid", "imagenet", "cityscapes"])
def test_a_missing_data_set_says_where_to_get_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTUNA_POP_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"data set {name} is not at {tmp_path}/{name}.*http"):
        make_data_set(name).load()


def test_settings_that_are_none() -> None:
    with pytest.raises(UnknownNameError, match=r"of data set streets 'colour': .* height"):
        make_data_set("streets", {"colour": "1"})
    with pytest.raises(InputError, match=r"height: .* \(got 'tall'\)"):
        make_data_set("streets", {"height": "tall"})
    with pytest.raises(InputError, match="streets: height is too small: 3"):
        make_data_set("streets", {"height": "3"})
    with pytest.raises(UnknownNameError, match=r"unknown setting of the recipe 'lr': .*peak_lr"):
        recipe("camvid-short").with_values({"lr": "1"})
    with pytest.raises(InputError, match="epochs must be at least 1"):
        recipe("camvid-short").with_values({"epochs": "0"})
    assert recipe("camvid-short").with_values({"epochs": "3"}).epochs == 3


class Uneven(Streets):
    name: ClassVar[str] = "uneven"

    def load(self) -> Split:
        split = super().load()
        return Split(TensorSamples(torch.zeros(0, 3, 8, 8), torch.zeros(0, 8, 8)), split.held_out)


def test_data_that_cannot_be_trained_on() -> None:
    with pytest.raises(DataError, match="uneven has no train samples"):
        train(BLOCKS, Uneven(height=32, width=64), RECIPE, seed=0)
    with pytest.raises(DataError, match="images have 8x8 pixels but masks 8x9"):
        TensorSamples(torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 9))
    with pytest.raises(DataError, match="ends in a score or upsample"):
        train(df_features("df1", STREETS.input_shape), STREETS, RECIPE, seed=0)


def test_divergence_says_the_step() -> None:
    result = train(BLOCKS, STREETS, replace(RECIPE, peak_lr=1e20), seed=0)
    assert math.isnan(result.accuracy)
    assert result.diverged is None or result.diverged.startswith("step ")


def test_out_of_memory_says_what_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(training._Training, "_loss", full)
    with pytest.raises(OutOfMemoryError, match=r"lower the recipe's micro_batch \(now 4\)"):
        train(BLOCKS, STREETS, RECIPE, seed=0)
