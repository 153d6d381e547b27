"""Pictures of what a segmentation network sees."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Mapping
from typing import Any, Final

from optuna_pop.errors import DataError, needs_extra
from optuna_pop.trainables.data.base import VOID, DataSet
from optuna_pop.trainables.tasks import TASKS

with needs_extra("train"):
    import torch
    from PIL import Image, ImageDraw, ImageFont
    from torch import Tensor, nn

_GOLDEN: Final = 0.6180339887  # turns of the hue that keep neighbouring classes apart
_LOOKED_AT: Final = 16  # samples of which the one with most classes is shown
_WIDEST: Final = 640  # of a panel, pixels
_SMALLEST: Final = 160
_CAPTION: Final = 22


def segmentation_picture(network: nn.Module, data: DataSet) -> bytes:
    """Show an image, its true classes and those that a network finds, as a PNG file.

    The image is always the same one of a data set's held-out ones, so that networks compare.

    Args:
        network: In evaluation mode, on the CPU.
        data: For segmentation.

    Raises:
        DataError: if the data set is for something else.
    """
    if data.task != "segmentation":
        raise DataError(f"data set {data.name} is for {data.task}: it has no masks to show")
    samples = data.load().held_out
    x, y = samples.take(torch.arange(min(_LOOKED_AT, len(samples))))
    most = max(range(len(y)), key=lambda at: len(torch.unique(y[at][y[at] != VOID])))
    x, y = x[most : most + 1], y[most : most + 1]
    with torch.inference_mode():
        found = TASKS[data.task].predict(network(x), y)
    colours = _colours(data.classes)
    panels = {
        "image": _photograph(x[0]),
        "truth": colours[y[0]],
        "prediction": colours[found[0]],
    }
    return _side_by_side({name: panel.numpy() for name, panel in panels.items()})


def _colours(classes: int) -> Tensor:
    """Colours of labels 0 to 255, uint8 (256, 3); what is no class is black."""
    table = torch.zeros(256, 3, dtype=torch.uint8)
    for label in range(classes):
        turns, ring = label * _GOLDEN, label % 3
        rgb = colorsys.hsv_to_rgb(turns % 1.0, (0.55, 0.85, 0.7)[ring], (0.95, 0.75, 0.55)[ring])
        table[label] = torch.tensor([round(255 * value) for value in rgb], dtype=torch.uint8)
    return table


def _photograph(x: Tensor) -> Tensor:
    """Undo a normalisation (c, h, w), up to contrast: uint8 (h, w, 3)."""
    low, high = x.amin(dim=(1, 2), keepdim=True), x.amax(dim=(1, 2), keepdim=True)
    shades = (255 * (x - low) / (high - low).clamp(min=1e-6)).round().byte()
    return shades.expand(3, -1, -1).permute(1, 2, 0)


def _side_by_side(panels: Mapping[str, Any]) -> bytes:
    """Put panels beside one another, or one above the other where they are wide."""
    pictures = {name: _sized(Image.fromarray(panel)) for name, panel in panels.items()}
    width, height = next(iter(pictures.values())).size
    wide = width > 1.4 * height
    step = (0, height + _CAPTION) if wide else (width + 8, 0)
    last = len(pictures) - 1
    size = (last * step[0] + width, last * step[1] + height + _CAPTION)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for at, (name, picture) in enumerate(pictures.items()):
        left, top = at * step[0], at * step[1]
        pen.text((left + 2, top + 3), name, fill="#1f2328", font=ImageFont.load_default(13))
        sheet.paste(picture, (left, top + _CAPTION))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _sized(picture: Image.Image) -> Image.Image:
    """Enlarge by whole pixels what is small, so that classes stay sharp; shrink what is large."""
    if picture.width < _SMALLEST:
        factor = -(-_SMALLEST // picture.width)
        return picture.resize(
            (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
        )
    if picture.width > _WIDEST:
        height = round(picture.height * _WIDEST / picture.width)
        return picture.resize((_WIDEST, height), Image.Resampling.NEAREST)
    return picture
