"""``streets``: drawn street scenes with a class for each pixel, made here: nothing is downloaded.

Road in perspective with lane marks, pavements, houses with windows, trees, poles, cars and people
of all sizes, under random light and noise. Thin and small things need the fine resolutions of a
decoder; telling a house from a car, or road from pavement in the same grey, needs its context.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.trainables.data import DATA_SETS
from optuna_pop.trainables.data.augment import Augmentation
from optuna_pop.trainables.data.base import VOID, DataSet, Split, Statistics, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES: Final = ("sky", "building", "road", "pavement", "tree", "pole", "car", "person")
_SKY, _BUILDING, _ROAD, _PAVEMENT, _TREE, _POLE, _CAR, _PERSON = range(len(CLASSES))
_STATISTICS: Final = ((0.45, 0.45, 0.45), (0.22, 0.22, 0.22))
_VERSION: Final = "1"  # of the drawing
_FINE: Final = 2  # drawn so many times as large


@DATA_SETS.register("streets")
@dataclass(frozen=True, slots=True)
class Streets(DataSet):
    """Drawn street scenes, deterministic for their settings.

    Attributes:
        height: Of an image, pixels.
        width: Of an image, pixels.
        train_images: To train on.
        held_out_images: To take accuracy on.
        noise: Standard deviation of the noise of a pixel, of full white.
        seed: Decides the scenes.

    Raises:
        InputError: if a setting cannot be used.
    """

    height: int = 96
    width: int = 192
    train_images: int = 256
    held_out_images: int = 96
    noise: float = 0.06
    seed: int = 0

    name: ClassVar[str] = "streets"
    task: ClassVar[Task] = "segmentation"

    def __post_init__(self) -> None:
        for setting in ("height", "width", "train_images", "held_out_images"):
            if getattr(self, setting) < (32 if setting in ("height", "width") else 1):
                raise InputError(f"streets: {setting} is too small: {getattr(self, setting)}")
        if not 0 <= self.noise < 1:
            raise InputError(f"streets: noise must be from 0 to below 1, not {self.noise}")

    @property
    def classes(self) -> int:
        """Eight."""
        return len(CLASSES)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(3, height, width)."""
        return (3, self.height, self.width)

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
        return asdict(self)

    def content_digest(self) -> str:
        """Return a digest of the version of the drawing and of one drawn scene."""
        x, y = _scene(np.random.default_rng(0), 48, 64, 0.0)
        return _VERSION + hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()

    def load(self) -> Split:
        """Return scenes and masks, drawn once a process."""
        with needs_extra("train"):
            import torch
        from optuna_pop.trainables.samples import TensorSamples

        x, y = (torch.from_numpy(array) for array in _drawn(self))
        cut = self.train_images
        augmentation = Augmentation(flip=True, colour=0.2)
        return Split(
            TensorSamples(x[:cut], y[:cut], statistics=_STATISTICS, augmentation=augmentation),
            TensorSamples(x[cut:], y[cut:], statistics=_STATISTICS),
        )


@lru_cache(maxsize=2)
def _drawn(settings: Streets) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (n, 3, h, w) and masks (n, h, w), training scenes first."""
    rng = np.random.default_rng(settings.seed)
    count = settings.train_images + settings.held_out_images
    x = np.empty((count, 3, settings.height, settings.width), np.uint8)
    y = np.empty((count, settings.height, settings.width), np.uint8)
    for number in range(count):
        image, y[number] = _scene(rng, settings.height, settings.width, settings.noise)
        x[number] = image.transpose(2, 0, 1)
    return x, y


class _Scene:
    """An image and its mask, drawn upon together; places are shares of height and width."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        from PIL import Image, ImageDraw

        self.rng = rng
        self.h, self.w = height * _FINE, width * _FINE
        self.image = Image.new("RGB", (self.w, self.h))
        self.mask = Image.new("L", (self.w, self.h))
        self._on: tuple[Any, Any] = (
            ImageDraw.Draw(self.image),
            ImageDraw.Draw(self.mask),
        )

    def grey(self, low: int, high: int, tint: int = 12) -> tuple[int, ...]:
        """Return a random colour near a grey."""
        base = self.rng.integers(low, high)
        return tuple(int(c) for c in np.clip(base + self.rng.integers(-tint, tint + 1, 3), 0, 255))

    def draw(self, shape: str, points: list[tuple[float, float]], fill: Any, label: int) -> None:
        """Draw a shape in the image, and its class in the mask."""
        places = [(x * self.w, y * self.h) for x, y in points]
        for canvas, colour in zip(self._on, (fill, label), strict=True):
            getattr(canvas, shape)(places, fill=colour)

    def box(self, x: float, y: float, w: float, h: float, fill: Any, label: int) -> None:
        """Draw a rectangle from its upper left corner."""
        self.draw("rectangle", [(x, y), (x + w, y + h)], fill, label)


def _scene(
    rng: np.random.Generator, height: int, width: int, noise: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a scene: image (h, w, 3) and mask (h, w), void along edges of things."""
    from PIL import Image

    scene = _Scene(rng, height, width)
    horizon = rng.uniform(0.35, 0.5)
    _background(scene, horizon)
    things = [(rng.uniform(0.02, 1) ** 1.5, kind) for kind in _kinds(rng)]
    for nearness, kind in sorted(things, key=lambda thing: thing[0]):  # far ones first
        kind(scene, horizon, nearness)
    labels = np.asarray(scene.mask)
    # Where a pixel holds several classes it is void, as at the edges of drawn masks.
    cells = (
        labels.reshape(height, _FINE, width, _FINE).transpose(0, 2, 1, 3).reshape(height, width, -1)
    )
    mask = np.where((cells == cells[..., :1]).all(axis=2), cells[..., 0], VOID).astype(np.uint8)
    small = scene.image.resize((width, height), Image.Resampling.BOX)
    light = rng.uniform(0.6, 1.15) * rng.uniform(0.9, 1.1, 3)
    noisy = np.asarray(small, np.float64) * light + rng.normal(0, 255 * noise, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8), mask


def _kinds(rng: np.random.Generator) -> list[Any]:
    counts = {_tree: (0, 4), _pole: (1, 5), _car: (1, 5), _person: (1, 6)}
    return [kind for kind, (low, high) in counts.items() for _ in range(rng.integers(low, high))]


def _background(scene: _Scene, horizon: float) -> None:
    rng = scene.rng
    scene.box(0, 0, 1, 1, scene.grey(150, 240, 25), _SKY)
    x = -rng.uniform(0, 0.1)
    while x < 1:
        wide, top = rng.uniform(0.08, 0.25), rng.uniform(0.05, horizon)
        if rng.random() < 0.85:
            scene.box(x, top, wide, horizon + 0.08 - top, scene.grey(60, 190, 35), _BUILDING)
            pane = scene.grey(30, 230, 30)
            for i in range(1, 4):
                for row in np.arange(top + 0.03, horizon, 0.08):
                    scene.box(x + wide * i / 4, row, wide * 0.1, 0.035, pane, _BUILDING)
        x += wide
    scene.box(0, horizon + 0.06, 1, 1, scene.grey(80, 150, 8), _PAVEMENT)
    middle, left, right = rng.uniform(0.35, 0.65), -rng.uniform(-0.15, 0.3), rng.uniform(0.85, 1.3)
    far = rng.uniform(0.02, 0.05)
    top = horizon + 0.06
    road = [(middle - far, top), (middle + far, top), (right, 1.0), (left, 1.0)]
    scene.draw("polygon", road, scene.grey(70, 140, 8), _ROAD)
    paint = scene.grey(180, 240)
    for near in np.arange(0.05, 1, 0.19):
        y0, y1 = (top + (1 - top) * part**1.5 for part in (near, near + 0.09))
        mid = [middle + ((left + right) / 2 - middle) * (y - top) / (1 - top) for y in (y0, y1)]
        broad = 0.012 * near
        marks = [
            (mid[0] - broad, y0),
            (mid[0] + broad, y0),
            (mid[1] + broad, y1),
            (mid[1] - broad, y1),
        ]
        scene.draw("polygon", marks, paint, _ROAD)


def _foot(horizon: float, nearness: float) -> float:
    return horizon + 0.07 + (0.9 - horizon) * nearness


def _tree(scene: _Scene, horizon: float, nearness: float) -> None:
    x, foot = scene.rng.uniform(0, 1), _foot(horizon, 0.4 * nearness)
    size = 0.15 + 0.4 * nearness
    scene.box(x - 0.006, foot - size, 0.012, size, scene.grey(50, 90), _TREE)
    r, g, b = scene.grey(50, 120, 20)
    leaves = (r // 2, min(255, g + 30), b // 2)
    for _ in range(4):
        dx, dy = scene.rng.uniform(-0.3, 0.3, 2) * size
        cx, cy, radius = x + dx / 2, foot - size + dy / 2, size * 0.28
        oval = [(cx - radius / 2, cy - radius), (cx + radius / 2, cy + radius)]
        scene.draw("ellipse", oval, leaves, _TREE)


def _pole(scene: _Scene, horizon: float, nearness: float) -> None:
    x, foot = scene.rng.uniform(0, 1), _foot(horizon, 0.6 * nearness)
    tall, wide = 0.2 + 0.5 * nearness, 0.006 + 0.008 * nearness
    scene.box(x, foot - tall, wide, tall, scene.grey(60, 180), _POLE)


def _car(scene: _Scene, horizon: float, nearness: float) -> None:
    rng = scene.rng
    foot, size = _foot(horizon, 0.7 * nearness), 0.05 + 0.22 * nearness
    x = rng.uniform(0.1, 0.9) - size / 2
    colour = tuple(int(c) for c in rng.integers(20, 235, 3))
    scene.box(x, foot - size * 0.6, size, size * 0.5, colour, _CAR)
    roof = [
        (x + size * share, foot - size * up)
        for share, up in ((0.15, 0.6), (0.3, 1.0), (0.7, 1.0), (0.85, 0.6))
    ]
    scene.draw("polygon", roof, scene.grey(40, 110), _CAR)
    for share in (0.12, 0.7):
        scene.box(
            x + size * share, foot - size * 0.15, size * 0.18, size * 0.18, (25, 25, 25), _CAR
        )


def _person(scene: _Scene, horizon: float, nearness: float) -> None:
    rng = scene.rng
    foot, tall = _foot(horizon, 0.6 * nearness), 0.08 + 0.3 * nearness
    x, wide = rng.uniform(0, 1), 0.1 * tall
    clothes = tuple(int(c) for c in rng.integers(20, 235, 3))
    scene.box(x - wide, foot - 0.8 * tall, 2 * wide, 0.45 * tall, clothes, _PERSON)
    for side in (-wide, 0.2 * wide):
        scene.box(x + side, foot - 0.4 * tall, 0.8 * wide, 0.4 * tall, scene.grey(20, 110), _PERSON)
    head = [(x - 0.7 * wide, foot - tall), (x + 0.7 * wide, foot - 0.78 * tall)]
    scene.draw("ellipse", head, (200, 160, 130), _PERSON)
