"""``cifar10``: 60,000 photographs of 32x32 pixels in 10 classes (Krizhevsky, 2009)."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from optuna_pop.errors import DataError, InputError, needs_extra
from optuna_pop.trainables.data import DATA_SETS
from optuna_pop.trainables.data.augment import Augmentation
from optuna_pop.trainables.data.base import DataSet, Split, Statistics
from optuna_pop.trainables.data.source import data_root, file_digest, missing, read_npz

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARCHIVE: Final = "cifar10_jpeg.npz"
_FOLDER: Final = "cifar-10-batches-py"
_FILES: Final = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
CLASSES: Final = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_STATISTICS: Final = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
_MEND: Final = (
    f"download https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz and unpack it there, which "
    f"makes {_FOLDER}/, or put {_ARCHIVE} there"
)


@DATA_SETS.register("cifar10")
@dataclass(frozen=True, slots=True)
class Cifar10(DataSet):
    """CIFAR-10, in the layout of its authors, or as an archive of encoded images.

    The archive is ``cifar10_jpeg.npz`` with, for ``train`` and ``test``, encoded images end to end
    (``jpeg_train``, uint8), where each begins and the last ends (``off_train``) and labels
    (``y_train``). The last 5,000 training images are held out; the test images choose nothing.

    Attributes:
        root: Folder that holds it; ``cifar10`` below the data root, or the data root, by default.
        train_images: Only the first so many training images, for short trials; all by default.
        held_out_images: Held out of the 50,000 training images.
        augment: Whether training images are shifted by up to 4 pixels and mirrored.

    Raises:
        InputError: if a setting cannot be used.
    """

    root: Path | None = field(default=None, compare=False)
    train_images: int | None = None
    held_out_images: int = 5000
    augment: bool = True

    name: ClassVar[str] = "cifar10"

    def __post_init__(self) -> None:
        if not 0 < self.held_out_images < 50_000:
            raise InputError(
                f"cifar10: held_out_images must lie between 0 and 50000, not {self.held_out_images}"
            )
        if self.train_images is not None and self.train_images < 1:
            raise InputError(f"cifar10: train_images must be at least 1, not {self.train_images}")

    @property
    def classes(self) -> int:
        """Ten kinds of things."""
        return 10

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(3, 32, 32)."""
        return (3, 32, 32)

    @property
    def statistics(self) -> Statistics:
        """Of the channels, by which images are normalised."""
        return _STATISTICS

    @property
    def class_names(self) -> tuple[str, ...]:
        """What a label stands for."""
        return CLASSES

    def spec(self) -> dict[str, Any]:
        """Describe the settings in JSON types."""
        return {
            "train_images": self.train_images,
            "held_out_images": self.held_out_images,
            "augment": self.augment,
        }

    def content_digest(self) -> str:
        """Return the digests of the files."""
        return " ".join(file_digest(path) for path in self._files())

    def _files(self) -> list[Path]:
        """Return the archive, or the files of the authors' layout."""
        places = [self.root] if self.root else [data_root() / "cifar10", data_root()]
        for place in places:
            if (place / _ARCHIVE).is_file():
                return [place / _ARCHIVE]
            if (place / _FOLDER).is_dir():
                files = [place / _FOLDER / name for name in _FILES]
                for file in files:
                    if not file.is_file():
                        raise missing("cifar10", file, _MEND)
                return files
        raise missing("cifar10", places[0], _MEND)

    def load(self) -> Split:
        """Return images and labels, read once a process.

        Raises:
            DataError: if files are missing or damaged.
        """
        with needs_extra("train"):
            import torch
        from optuna_pop.trainables.samples import TensorSamples

        train_x, train_y, test_x, test_y = _arrays(tuple(self._files()))
        cut = len(train_y) - self.held_out_images
        used = cut if self.train_images is None else min(self.train_images, cut)
        parts = {
            "train": (train_x[:used], train_y[:used]),
            "held_out": (train_x[cut:], train_y[cut:]),
            "test": (test_x, test_y),
        }
        changes = {"train": Augmentation(shift=4, flip=True)} if self.augment else {}
        made = {
            part: TensorSamples(
                torch.from_numpy(x),
                torch.from_numpy(y),
                statistics=_STATISTICS,
                augmentation=changes.get(part),
            )
            for part, (x, y) in parts.items()
        }
        return Split(**made)


@lru_cache(maxsize=1)
def _arrays(files: tuple[Path, ...]) -> tuple[NDArray[Any], ...]:
    """Images uint8 (n, 3, 32, 32) and labels int64 (n,), of training and of test."""
    found: list[NDArray[Any]] = []
    if len(files) == 1:
        keys = tuple(f"{k}_{part}" for part in ("train", "test") for k in ("jpeg", "off", "y"))
        held = read_npz(files[0], "cifar10", keys)
        for part in ("train", "test"):
            images = _decoded(held[f"jpeg_{part}"], held[f"off_{part}"], files[0])
            found += [images, held[f"y_{part}"].astype(np.int64)]
    else:
        with needs_extra("train"):
            from optuna_pop.trainables.vision import torchvision
        torchvision()
        from torchvision.datasets import CIFAR10

        for train in (True, False):
            try:  # it checks the digests of its files
                source = CIFAR10(str(files[0].parents[1]), train=train, download=False)
            except (RuntimeError, OSError, ValueError) as error:
                raise DataError(
                    f"data set cifar10: {files[0].parent} is damaged ({error}): {_MEND}"
                ) from error
            images = np.ascontiguousarray(source.data.transpose(0, 3, 1, 2))
            found += [images, np.array(source.targets, np.int64)]
    for images, labels in (found[:2], found[2:]):
        if (
            len(images) != len(labels)
            or not len(labels)
            or not 0 <= labels.min() <= 9 >= labels.max()
        ):
            raise DataError(
                f"data set cifar10: {files[0]} is damaged: {len(images)} images, {len(labels)} "
                "labels, which must be 0 to 9"
            )
    return tuple(found)


def _decoded(data: NDArray[Any], starts: NDArray[Any], path: Path) -> NDArray[Any]:
    from PIL import Image

    images = np.empty((len(starts) - 1, 3, 32, 32), np.uint8)
    for number, (begin, end) in enumerate(pairwise(starts)):
        try:
            with Image.open(io.BytesIO(data[begin:end].tobytes())) as image:
                images[number] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        except (OSError, ValueError) as error:
            raise DataError(
                f"data set cifar10: image {number} in {path} is damaged ({error})"
            ) from error
    return images
