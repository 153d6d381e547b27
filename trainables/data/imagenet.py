"""``imagenet``: a folder of images for each class, as ILSVRC 2012 is unpacked for torchvision."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from optuna_pop.errors import DataError, InputError, needs_extra
from optuna_pop.trainables.data import DATA_SETS
from optuna_pop.trainables.data.base import DataSet, Samples, Split, Statistics
from optuna_pop.trainables.data.source import data_root, missing

if TYPE_CHECKING:
    from torch import Tensor

_STATISTICS: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_MEND: Final = (
    "unpack ILSVRC 2012 there, as torchvision's ImageFolder wants it (train/CLASS/*.JPEG and "
    "val/CLASS/*.JPEG; https://image-net.org/download), or any images of yours in such folders"
)


@DATA_SETS.register("imagenet")
@dataclass(frozen=True, slots=True)
class ImageNet(DataSet):
    """Folders ``train`` and ``val`` with a folder for each class; any such images will do.

    Training images are cut at random scale and stretch, mirrored and recoloured (section 4.1 of
    arXiv:1903.03777); of the others the middle is taken, 7/8 of the shorter side.

    Attributes:
        root: Folder that holds them; ``imagenet`` below the data root by default.
        size: Height and width of what networks see, pixels.
        scale: Smallest and largest share of an image's area that is cut out.
        stretch: Largest ratio of width to height of what is cut out, and of the reverse.
        colour: Largest change of brightness, contrast and saturation, as a share.
        workers: Processes that read images.
    """

    root: Path | None = field(default=None, compare=False)
    size: int = 224
    scale: tuple[float, float] = (0.25, 1.0)
    stretch: float = 4 / 3
    colour: float = 0.4
    workers: int = field(default=8, compare=False)

    name: ClassVar[str] = "imagenet"

    def __post_init__(self) -> None:
        if self.size < 1 or self.workers < 0 or self.stretch < 1 or not 0 <= self.colour < 1:
            raise InputError(f"imagenet: a setting cannot be used: {self}")

    @property
    def classes(self) -> int:
        """Number of folders in ``train``."""
        return len(_folder(self._part("train")).classes)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(3, size, size)."""
        return (3, self.size, self.size)

    @property
    def statistics(self) -> Statistics:
        """Of the channels, by which images are normalised."""
        return _STATISTICS

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the folders in ``train``."""
        return tuple(_folder(self._part("train")).classes)

    def spec(self) -> dict[str, Any]:
        """Describe the settings in JSON types."""
        return {
            "size": self.size,
            "scale": list(self.scale),
            "stretch": self.stretch,
            "colour": self.colour,
        }

    def content_digest(self) -> str:
        """Return a digest of the names of all images, which are not read for that."""
        names = hashlib.sha256()
        for part in ("train", "val"):
            root = self._part(part)
            for path, _ in _folder(root).samples:
                names.update(str(Path(path).relative_to(root)).encode())
        return names.hexdigest()

    def _part(self, part: str) -> Path:
        folder = (self.root or data_root() / "imagenet") / part
        if not folder.is_dir():
            raise missing("imagenet", folder, _MEND)
        return folder

    def load(self) -> Split:
        """Return the images of both folders.

        Raises:
            DataError: if a folder is missing or empty, or their classes differ.
        """
        train, val = (_folder(self._part(part)) for part in ("train", "val"))
        if train.classes != val.classes:
            odd = sorted(set(train.classes) ^ set(val.classes))
            raise DataError(f"data set imagenet: train and val have different classes: {odd[:5]}")
        if len(train.classes) < 2:
            raise DataError(
                f"data set imagenet: {self._part('train')} has one class only, "
                f"{train.classes[0]!r}, of which nothing can be learnt"
            )
        return Split(_samples(train, self), _samples(val, self))


@lru_cache(maxsize=4)
def _folder(path: Path) -> Any:
    from optuna_pop.trainables.vision import torchvision

    torchvision()
    from torchvision.datasets import ImageFolder

    try:
        return ImageFolder(str(path))
    except (OSError, RuntimeError) as error:
        raise DataError(f"data set imagenet: {path} has no images in folders: {error}") from error


def _samples(folder: Any, settings: ImageNet) -> Samples:
    with needs_extra("train"):
        import torch
        from PIL import Image
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional

    from optuna_pop.trainables.data.augment import Augmentation
    from optuna_pop.trainables.samples import FileSamples, prepare

    cut = v2.RandomResizedCrop(
        settings.size, scale=settings.scale, ratio=(1 / settings.stretch, settings.stretch)
    )
    changes = Augmentation(flip=True, colour=settings.colour)

    class ImageSamples(FileSamples):
        """Images of a folder."""

        def __len__(self) -> int:
            return len(folder.samples)

        def read(self, index: int, seed: int | None) -> tuple[Tensor, Tensor]:
            path, label = folder.samples[index]
            try:
                with Image.open(path) as image:
                    photo = image.convert("RGB")
            except (OSError, ValueError) as error:
                raise DataError(f"data set imagenet: {path} is damaged: {error}") from error
            if seed is None:
                photo = functional.resize(photo, [round(settings.size * 8 / 7)])
                photo = functional.center_crop(photo, [settings.size])
            else:
                with torch.random.fork_rng(devices=[]):  # torchvision draws from the global state
                    torch.manual_seed(seed)
                    photo = cut(photo)
            x = functional.pil_to_tensor(photo)[None]
            change = None if seed is None else changes
            x, y = prepare(x, torch.tensor([label]), _STATISTICS, change, None, seed)
            return x[0], y[0]

    return ImageSamples()
