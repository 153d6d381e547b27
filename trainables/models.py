"""Whole networks by name, as ONNX models with fresh weights, for comparisons.

Names: those of ``optuna_pop.spaces.df``, ``torchvision:NAME``, ``timm:NAME`` and ``FILE.onnx``.
Nothing is downloaded: latency does not depend on what weights are.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from optuna_pop.errors import InputError, StorageError, UnknownNameError, needs_extra
from optuna_pop.spaces import df
from optuna_pop.trainables.export import export_onnx, to_onnx
from optuna_pop.trainables.vision import torchvision

with needs_extra("train"):
    import torch
    from torch import Tensor, nn

IMAGE: Final = df.IMAGENET
_PAPER: Final = "POP paper (arXiv:1903.03777)"
_DF_ACCURACY: Final = {
    "df1": (69.8, "ImageNet top-1"),
    "df2": (73.9, "ImageNet top-1"),
    "df2a": (76.0, "ImageNet top-1"),
    "df1-seg-d8": (72.4, "Cityscapes mIoU"),
    "df1-seg": (74.1, "Cityscapes mIoU"),
    "df2-seg1": (75.9, "Cityscapes mIoU"),
    "df2-seg2": (76.9, "Cityscapes mIoU"),
}


@dataclass(frozen=True, slots=True)
class Published:
    """An accuracy that others measured.

    Attributes:
        percent: The accuracy.
        of: Data set and measure.
        source: Who says so.
    """

    percent: float
    of: str
    source: str


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A network to compare.

    Attributes:
        name: As it was asked for.
        onnx: Serialized model, batch 1, static shapes.
        published: Its accuracy where it is known, of trained weights, which these are not.
    """

    name: str
    onnx: bytes
    published: Published | None = None


class _FirstOutput(nn.Module):
    """Segmentation models of torchvision give a dictionary."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out = self.inner(x)
        first: Tensor = next(iter(out.values())) if isinstance(out, dict) else out
        return first


def load_model(name: str, input_shape: tuple[int, int, int] | None = None) -> NamedModel:
    """Return a network by name.

    Args:
        name: See the module.
        input_shape: (channels, height, width); by default 3x224x224, 3x1024x2048 for DF-Seg, and
            what an ONNX file says, which cannot be changed.

    Raises:
        UnknownNameError: if there is no such network.
        InputError: if it cannot take such an input.
        StorageError: if a file cannot be read.
        MissingExtraError: if torchvision or timm is not installed.
    """
    if name.endswith(".onnx"):
        return _from_file(Path(name), input_shape)
    source, colon, inner = name.partition(":")
    if not colon:
        if name not in df.NAMES:
            raise UnknownNameError(
                "network", name, [*df.NAMES, "torchvision:NAME", "timm:NAME", "FILE.onnx"]
            )
        percent, of = _DF_ACCURACY[name]
        model = export_onnx(df.df_blocks(name, input_shape=input_shape))
        return NamedModel(name, model, Published(percent, of, _PAPER))
    makers = {"torchvision": _torchvision, "timm": _timm}
    if source not in makers:
        raise UnknownNameError("source of networks", source, list(makers))
    module, published = makers[source](inner)
    try:
        return NamedModel(name, to_onnx(module, (input_shape or IMAGE,)), published)
    except (RuntimeError, ValueError, AssertionError) as error:
        shape = "x".join(map(str, input_shape or IMAGE))
        said = str(error).strip().partition("\n")[0]
        raise InputError(f"{name} cannot be exported for an input of {shape}: {said}") from error


def _from_file(path: Path, input_shape: tuple[int, int, int] | None) -> NamedModel:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    if input_shape is not None:
        from onnx import load_from_string

        given = load_from_string(content).graph.input[0].type.tensor_type.shape.dim
        shape = tuple(size.dim_value for size in given)[1:]
        if shape != input_shape:
            raise InputError(
                f"{path} takes {'x'.join(map(str, shape))}, not the asked "
                f"{'x'.join(map(str, input_shape))}: export it for that"
            )
    return NamedModel(str(path), content)


def _torchvision(name: str) -> tuple[nn.Module, Published | None]:
    torchvision()
    from torchvision import models

    known = models.list_models()
    if name not in known:
        raise UnknownNameError("torchvision network", name, _close(name, known))
    builder: Any = models.get_model_builder(name)
    extra = {"weights_backbone": None} if "segmentation" in builder.__module__ else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = _FirstOutput(builder(weights=None, **extra))
    return module, _torchvision_accuracy(models.get_model_weights(name))


def _torchvision_accuracy(weights: Any) -> Published | None:
    """Of the first weights, those trained by the original recipe."""
    for entry in weights:
        for data, found in entry.meta.get("_metrics", {}).items():
            for measure, words in (("acc@1", "top-1"), ("miou", "mIoU")):
                if measure in found:
                    data_set = data.removesuffix("-1K").removesuffix("-val2017-VOC-labels")
                    of = f"{data_set} {words}"
                    return Published(float(found[measure]), of, f"torchvision {entry.name}")
    return None


def _timm(name: str) -> tuple[nn.Module, Published | None]:
    torchvision()  # timm imports it
    with needs_extra("timm"):
        import timm
    known = timm.list_models()
    if name not in known:
        raise UnknownNameError("timm network", name, _close(name, known))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm.create_model(name, pretrained=False, exportable=True), None


def _close(name: str, known: list[str]) -> list[str]:
    return difflib.get_close_matches(name, known, n=8, cutoff=0.4) or [*known[:8], "..."]
