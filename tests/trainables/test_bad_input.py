"""Data and machines that do not suffice: each message names the place and the mend."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from optuna_pop.errors import DataError, OutOfMemoryError
from optuna_pop.trainables.data import VOID, DataSet, Samples, Split, make_data_set
from optuna_pop.trainables.data.cifar10 import _arrays
from optuna_pop.trainables.data.streets import Streets
from optuna_pop.trainables.loading import batches
from optuna_pop.trainables.parallel import train_parallel
from optuna_pop.trainables.samples import TensorSamples
from optuna_pop.trainables.surroundings import memory_for
from optuna_pop.trainables.training import train
from tests.trainables.test_segmentation import BLOCKS, RECIPE, _png
from tests.trainables.test_training import BLOCKS as STRIPES_BLOCKS
from tests.trainables.test_training import RECIPE as STRIPES_RECIPE
from tests.trainables.test_training import Stripes


class Changed(Streets):
    """Streets whose masks are changed."""

    name: ClassVar[str] = "changed"

    def load(self) -> Split:
        split = super().load()
        y = split.train.y.clone()
        y[:] = self.mask
        return Split(TensorSamples(split.train.x, y), split.held_out)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (3, "data set changed: all it has to train on is of class 3"),
        (VOID, r"data set changed: every pixel to train on is void \(255\)"),
        (9, r"data set changed, train: label 9 is none of the 8 classes, 0 to 7"),
    ],
)
def test_masks_that_nothing_can_be_learnt_from(mask: int, said: str) -> None:
    data = type("Data", (Changed,), {"mask": mask})(
        height=32, width=64, train_images=8, held_out_images=2
    )
    with pytest.raises(DataError, match=said):
        train(BLOCKS, data, RECIPE, seed=0)


class OneClass(Stripes):
    """Has a single class."""

    classes = 1


class OneByOne(Samples):
    """Samples that are read one by one, the last of them with a label that is no class."""

    def __len__(self) -> int:
        return 64

    def take(self, indices: torch.Tensor, seed: int | None = None) -> Any:
        y = torch.where(indices == 63, 7, indices % 3)
        return torch.randn(len(indices), 1, 32, 32), y


class Mislabelled(Stripes):
    """Is not looked at before it is read."""

    workers = 1

    def load(self) -> Split:
        return Split(OneByOne(), super().load().held_out)


class MislabelledHere(Mislabelled):
    """Is read by the training itself."""

    workers = 0


def test_one_class() -> None:
    last = replace(STRIPES_BLOCKS[-1], c_out=1)
    with pytest.raises(DataError, match="stripes has one class only"):
        train((*STRIPES_BLOCKS[:-1], last), OneClass(), STRIPES_RECIPE, seed=0)


def test_a_label_that_is_no_class_is_found_as_it_is_read() -> None:
    """In a worker, whose traceback is left out of the message."""
    with pytest.raises(
        DataError, match=r"^samples \d+ to \d+ of a batch: label 7 is none"
    ) as found:
        train(STRIPES_BLOCKS, Mislabelled(), STRIPES_RECIPE, seed=0)
    assert "\n" not in str(found.value)
    with pytest.raises(DataError, match="label 7"):
        list(batches(OneByOne(), [(torch.tensor([63]), None)], workers=0, classes=3))


def test_what_a_process_of_a_team_refuses_is_said_as_by_one_alone() -> None:
    with pytest.raises(DataError, match=r"training process \d of 2: samples .* label 7 is none"):
        train_parallel(STRIPES_BLOCKS, MislabelledHere(), STRIPES_RECIPE, seed=0, processes=2)


MEMORY = """
import resource
import torch
from dataclasses import replace
from optuna_pop.errors import OutOfMemoryError
from optuna_pop.trainables.training import train
from tests.trainables.test_training import BLOCKS, RECIPE, Stripes
from optuna_pop.trainables.data import Split
from optuna_pop.trainables.samples import TensorSamples
class Large(Stripes):
    def load(self):
        x = torch.zeros(1, 1, 1, 1).expand(40000, 1, 32, 32)
        return Split(TensorSamples(x, torch.arange(40000) % 3), super().load().held_out)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 2**28
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    train(BLOCKS, Large(), replace(RECIPE, batch_size=40000, epochs=1, warmup_epochs=0), seed=0)
except OutOfMemoryError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells its memory there")
def test_memory_of_a_cpu_that_does_not_suffice() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], check=False, capture_output=True, text=True, timeout=120
    )
    assert "lower the recipe's micro_batch (now 40000)" in done.stdout, done.stderr


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory")])
def test_lack_of_memory_says_what_to_lower(error: Exception) -> None:
    with pytest.raises(OutOfMemoryError, match=r"micro_batch \(now 32\)"), memory_for(32):
        raise error
    with pytest.raises(RuntimeError, match=r"^another$"), memory_for(32):
        raise RuntimeError("another")


def test_a_mask_of_another_size_than_its_image(tmp_path: Path) -> None:
    for part in ("train", "val"):
        stem = "aachen_000000_000019"
        image = np.zeros((32, 64, 3), np.uint8)
        _png(tmp_path / "leftImg8bit" / part / "aachen" / f"{stem}_leftImg8bit.png", image)
        fine = tmp_path / "gtFine" / part / "aachen" / stem
        for kind in ("labelIds", "instanceIds", "color"):
            _png(fine.with_name(f"{stem}_gtFine_{kind}.png"), np.zeros((32, 60), np.uint8))
        fine.with_name(f"{stem}_gtFine_polygons.json").write_text("{}")
    data = make_data_set("cityscapes", {"root": tmp_path, "workers": 0})
    with pytest.raises(DataError, match=r"leftImg8bit\.png has \(64, 32\) pixels but its mask"):
        data.load().train.take(torch.arange(1))


def test_an_image_folder_without_images(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for kind in ("cat", "dog"):
            (tmp_path / part / kind).mkdir(parents=True)
    with pytest.raises(DataError, match="train has no images in folders"):
        make_data_set("imagenet", {"root": tmp_path}).load()
    for kind in ("cat", "dog"):
        _png(tmp_path / "train" / kind / "0.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="val has no images in folders"):
        make_data_set("imagenet", {"root": tmp_path}).load()


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    """Six files in the layout of the authors, of 4 images each, with their digests made known."""
    from optuna_pop.trainables.vision import torchvision

    torchvision()
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)

    def write(name: str, content: Any) -> list[str]:
        raw = pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(raw)
        return [name, hashlib.md5(raw, usedforsecurity=False).hexdigest()]

    def batch(name: str) -> list[str]:
        labels = [int(label) for label in rng.integers(0, 10, 4)]
        rows = rng.integers(0, 256, (4, 3072), np.uint8)
        return write(name, {"data": rows, "labels": labels, "batch_label": name})

    # Of the real files torchvision knows the digests, and unpickles no others.
    train_list = [batch(f"data_batch_{number}") for number in range(1, 6)]
    monkeypatch.setattr(CIFAR10, "train_list", train_list)
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch")])
    name, digest = write("batches.meta", {"label_names": [*"abcdefghij"]})
    meta = {"filename": name, "key": "label_names", "md5": digest}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    _arrays.cache_clear()
    return make_data_set("cifar10", {"root": tmp_path, "held_out_images": 4, "augment": False})


def test_cifar10_as_its_authors_have_it(cifar: DataSet, tmp_path: Path) -> None:
    split = cifar.load()
    assert split.test is not None
    assert [len(part) for part in (split.train, split.held_out, split.test)] == [16, 4, 4]
    folder = tmp_path / "cifar-10-batches-py"
    first = pickle.loads((folder / "data_batch_1").read_bytes())
    last = pickle.loads((folder / "data_batch_5").read_bytes())
    assert split.train.y is not None
    assert split.train.y[:4].tolist() == first["labels"]
    assert split.held_out.y.tolist() == last["labels"]
    # Red, then green, then blue, each row by row.
    assert np.array_equal(split.train.x[0].numpy().reshape(-1), first["data"][0])
    x, _ = split.train.take(torch.arange(4))
    assert x.shape == (4, 3, 32, 32)
    assert x.dtype == torch.float32


def test_damaged_or_incomplete_cifar10(cifar: DataSet, tmp_path: Path) -> None:
    file = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"is damaged .*: download https://.*cifar-10-python"):
        cifar.load()
    file.unlink()
    with pytest.raises(DataError, match=r"data_batch_3: download https://.*cifar-10-python"):
        cifar.load()
