"""What training asks of a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from optuna_pop.errors import DataError
from optuna_pop.fingerprint import fingerprint

if TYPE_CHECKING:
    from torch import Tensor

Task = Literal["classification", "segmentation"]
Statistics = tuple[Sequence[float], Sequence[float]]
"""Mean and standard deviation of each channel, of values from 0 to 1."""

VOID: Final = 255
"""Label of pixels that count neither in the loss nor in the accuracy."""


class Samples(ABC):
    """Images with labels, taken a batch at a time.

    Attributes:
        y: All labels where they lie in memory; None where they are read one by one.
    """

    y: Tensor | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, indices: Tensor, seed: int | None = None) -> tuple[Tensor, Tensor]:
        """Return some samples.

        Args:
            indices: int64 (n,).
            seed: Decides the random changes of augmentation; None leaves samples as they are.

        Returns:
            Images float32 (n, c, h, w), normalised; labels int64, (n,) from 0 to classes - 1, or
            (n, h, w) for segmentation, where ``VOID`` marks pixels that do not count.

        Raises:
            DataError: if a sample is damaged; it names the file.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Samples, the held-out ones kept apart from the first step on.

    Attributes:
        train: To train on.
        held_out: That accuracy is taken on, by which a search chooses.
        test: That nothing is chosen by, if the data set has such ones.
    """

    train: Samples
    held_out: Samples
    test: Samples | None = None


class DataSet(ABC):
    """A data set for classification or segmentation.

    Attributes:
        name: Its registered name.
        task: What networks learn from it.
        workers: Processes that read and augment samples beside the training; 0 for samples that
            lie in memory.
    """

    name: ClassVar[str]
    task: ClassVar[Task] = "classification"
    workers: int = 0

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""

    @property
    def crop_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of what is trained on; whole images by default."""
        return self.input_shape

    @property
    def statistics(self) -> Statistics | None:
        """By which images of values from 0 to 1 are normalised; None where that is not known."""
        return None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, in the sequence of their labels; None where they have none."""
        return None

    @abstractmethod
    def load(self) -> Split:
        """Return all samples, the same ones at every call; callers do not change them.

        Raises:
            DataError: if something is missing or damaged.
            MissingExtraError: if a package is not installed.
        """

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """Describe the settings in JSON types; equal settings give equal descriptions."""

    @abstractmethod
    def content_digest(self) -> str:
        """Return a digest of the source from which the samples are made.

        Raises:
            DataError: as ``load``.
        """

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with the source or the settings."""
        return fingerprint([self.name, self.spec(), self.content_digest()])


class SceneData(DataSet):
    """Photographs of one size with a class for each pixel, which may be trained on by crops.

    Attributes:
        height: Of a whole image, pixels.
        width: Of a whole image, pixels.
        crop: (height, width) of what is trained on; whole images if None.
    """

    height: int
    width: int
    crop: tuple[int, int] | None

    task: ClassVar[Task] = "segmentation"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(3, height, width)."""
        return (3, self.height, self.width)

    @property
    def crop_shape(self) -> tuple[int, int, int]:
        """(3, height, width) of what is trained on."""
        return (3, *(self.crop or (self.height, self.width)))


def check_labels(labels: Tensor, classes: int, where: str) -> None:
    """Refuse labels that are no class.

    Raises:
        DataError: naming the first such label, if there is one.
    """
    if labels.numel() == 0 or (labels.min() >= 0 and labels.max() < classes):
        return
    wrong = labels[((labels < 0) | (labels >= classes)) & (labels != VOID)]
    if len(wrong):
        raise DataError(
            f"{where}: label {int(wrong[0])} is none of the {classes} classes, 0 to {classes - 1}, "
            f"nor {VOID} for void"
        )


def check_split(split: Split, data: DataSet) -> None:
    """Refuse a split that nothing can be learnt from, as far as can be seen without reading it all.

    Raises:
        DataError: if a part is empty, labels are no classes, or all are of one.
    """
    name = data.name
    if data.classes < 2:
        raise DataError(f"data set {name} has one class only, of which nothing can be learnt")
    for part in ("train", "held_out", "test"):
        samples: Samples | None = getattr(split, part)
        words = part.replace("_", "-")
        if samples is None:
            continue
        if len(samples) == 0:
            raise DataError(f"data set {name} has no {words} samples")
        if samples.y is not None:
            check_labels(samples.y, data.classes, f"data set {name}, {words}")
    labels = split.train.y
    if labels is None:
        return
    seen = labels[labels != VOID] if data.task == "segmentation" else labels
    if seen.numel() == 0:
        raise DataError(f"data set {name}: every pixel to train on is void ({VOID})")
    if seen.min() == seen.max():
        raise DataError(
            f"data set {name}: all it has to train on is of class {int(seen.min())}, of which "
            f"nothing can be learnt; it should have some of all {data.classes} classes"
        )
