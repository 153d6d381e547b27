"""``cityscapes``: street scenes of 50 cities with 19 classes a pixel (Cordts et al., 2016)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from optuna_pop.errors import DataError, InputError, needs_extra
from optuna_pop.trainables.data import DATA_SETS
from optuna_pop.trainables.data.base import VOID, Samples, SceneData, Split, Statistics
from optuna_pop.trainables.data.source import data_root, missing

if TYPE_CHECKING:
    from torch import Tensor

CLASSES: Final = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
    "motorcycle", "bicycle",
)  # fmt: skip
_STATISTICS: Final = ((0.287, 0.325, 0.284), (0.176, 0.181, 0.178))
_MEND: Final = (
    "unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip there "
    "(https://www.cityscapes-dataset.com/downloads, free after registration)"
)


@DATA_SETS.register("cityscapes")
@dataclass(frozen=True, slots=True)
class Cityscapes(SceneData):
    """The 2,975 finely labelled training images and the 500 of validation, with 19 classes.

    Attributes:
        root: Folder that holds them; ``cityscapes`` below the data root by default.
        height: Of whole images, pixels; smaller ones are made from those of 1024x2048.
        width: Of whole images, pixels.
        crop: (height, width) of what is trained on; whole images by default.
        workers: Processes that read images.
    """

    root: Path | None = field(default=None, compare=False)
    height: int = 1024
    width: int = 2048
    crop: tuple[int, int] | None = None
    workers: int = field(default=8, compare=False)

    name: ClassVar[str] = "cityscapes"

    def __post_init__(self) -> None:
        if min(self.height, self.width, *(self.crop or (1,))) < 1 or self.workers < 0:
            raise InputError(f"cityscapes: a setting cannot be used: {self}")

    @property
    def classes(self) -> int:
        """Nineteen."""
        return 19

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
        crop = None if self.crop is None else list(self.crop)
        return {"height": self.height, "width": self.width, "crop": crop}

    def _root(self) -> Path:
        root = self.root or data_root() / "cityscapes"
        for part in ("leftImg8bit", "gtFine"):
            if not (root / part / "train").is_dir():
                raise missing("cityscapes", root / part / "train", _MEND)
        return root

    def content_digest(self) -> str:
        """Return a digest of the names of all images, which are not read for that."""
        names = hashlib.sha256()
        for part in ("train", "val"):
            for path in _source(self._root(), part).images:
                names.update(f"{part}/{Path(path).name}".encode())
        return names.hexdigest()

    def load(self) -> Split:
        """Return training and validation images; labels of the test images are not public.

        Raises:
            DataError: if files are missing.
        """
        train, val = (_samples(_source(self._root(), p), self) for p in ("train", "val"))
        return Split(train, val)


@lru_cache(maxsize=4)
def _source(root: Path, part: str) -> Any:
    from optuna_pop.trainables.vision import torchvision

    torchvision()
    from torchvision import datasets

    try:
        return datasets.Cityscapes(str(root), split=part, mode="fine", target_type="semantic")
    except (RuntimeError, OSError) as error:
        raise DataError(f"data set cityscapes at {root}: {_MEND} ({error})") from error


def _samples(source: Any, settings: Cityscapes) -> Samples:
    with needs_extra("train"):
        import torch
        from PIL import Image
    from optuna_pop.trainables.data.augment import Augmentation
    from optuna_pop.trainables.samples import FileSamples, prepare

    # From the 34 labels of the files to the 19 classes; all others are void.
    classes = np.full(256, VOID, np.int64)
    for known in source.classes:
        if 0 <= known.train_id < 19:
            classes[known.id] = known.train_id
    changes = Augmentation(scale=(0.5, 2.0), stretch=1.25, flip=True, colour=0.3)
    size = (settings.width, settings.height)

    class SceneSamples(FileSamples):
        """Images and masks of a part of Cityscapes."""

        def __len__(self) -> int:
            return len(source)

        def read(self, index: int, seed: int | None) -> tuple[Tensor, Tensor]:
            try:
                image, mask = source[index]
            except (OSError, ValueError) as error:
                path = source.images[index]
                raise DataError(f"data set cityscapes: {path} is damaged: {error}") from error
            if image.size != mask.size:
                raise DataError(
                    f"data set cityscapes: {source.images[index]} has {image.size} pixels but its "
                    f"mask {mask.size}"
                )
            if image.size != size:
                image = image.resize(size, Image.Resampling.BOX)
                mask = mask.resize(size, Image.Resampling.NEAREST)
            x = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())[None]
            y = torch.from_numpy(classes[np.asarray(mask)])[None]
            change = None if seed is None else changes
            x, y = prepare(x, y, _STATISTICS, change, settings.crop, seed)
            return x[0], y[0]

    return SceneSamples()
