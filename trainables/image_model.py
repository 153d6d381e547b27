"""A trained network as a product uses it: an image goes in, a label map or a class comes out.

Normalisation, the choice of the best class and the up-sampling of a d8 network (section 3.5 of the
POP paper, arXiv:1903.03777) lie inside the ONNX model, so that whoever runs it needs ONNX Runtime
and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.data.base import Statistics, Task
from optuna_pop.trainables.export import export_module
from optuna_pop.trainables.networks import Network
from optuna_pop.trainables.tasks import TASKS, enlarged

with needs_extra("train"):
    import numpy as np
    import torch
    from torch import Tensor, nn

IMAGE_NAME: Final = "image"
OUTPUT_NAMES: Final[dict[Task, tuple[str, ...]]] = {
    "segmentation": ("labels",),
    "classification": ("label", "probabilities"),
}
_MOST_CLASSES: Final = 256  # that a label map of bytes can tell apart
_LEAST_SAME: Final = 0.999


def task_of(blocks: Sequence[BlockConfig]) -> Task:
    """Return what a network does, by the block that it ends in.

    Raises:
        InputError: if it ends in none that gives classes.
    """
    tasks: tuple[Task, ...] = ("classification", "segmentation")
    for task in tasks:
        if blocks[-1].kind in TASKS[task].last_kinds:
            return task
    raise InputError(f"a network that ends in {blocks[-1]} gives no classes")


class ImageModel(nn.Module):
    """From an image to what it shows.

    Args:
        network: Trained; it is put in evaluation mode.
        statistics: By which images of values from 0 to 1 are normalised; None for a network whose
            data set does not say, which then takes images that are normalised already.

    Raises:
        InputError: if there are more classes than a label map can tell apart.
    """

    def __init__(self, network: Network, statistics: Statistics | None) -> None:
        super().__init__()
        first, last = network.configs[0], network.configs[-1]
        self.network = network
        self.task = task_of(network.configs)
        self.size = first.input_shape[1:]
        self._raise = self.task == "segmentation" and last.output_shape[1:] != self.size
        if self.task == "segmentation" and last.c_out > _MOST_CLASSES:
            raise InputError(f"a label map holds {_MOST_CLASSES} classes at most, not {last.c_out}")
        self.mean: Tensor | None = None
        self.deviation: Tensor | None = None
        if statistics is not None:
            self.mean, self.deviation = (torch.tensor(v).view(1, -1, 1, 1) for v in statistics)
        self.eval()

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Say what an image shows.

        Args:
            image: uint8 (h, w, c) of any values; float32 (h, w, c), normalised, where the model has
                no statistics.

        Returns:
            For segmentation the class of each pixel, uint8 (h, w); else the class, int64 (1,), and
            the probabilities of all, float32 (classes,).
        """
        x = image.permute(2, 0, 1)[None]
        if self.mean is not None and self.deviation is not None:
            x = (x.float() / 255 - self.mean) / self.deviation
        scores = self.network(x)
        labels: Tensor = scores.argmax(dim=1)
        if self.task == "classification":
            return labels, scores[0].softmax(dim=0)
        return (enlarged(labels, self.size) if self._raise else labels)[0].to(torch.uint8)

    def example(self) -> Tensor:
        """Return an image that it takes: grey levels across, and colours down."""
        height, width = self.size
        channels = self.network.configs[0].c_in
        across = torch.linspace(0, 255, width)[None, :, None]
        down = torch.linspace(0.25, 1, height)[:, None, None]
        tints = torch.linspace(1, 0.5, channels)[None, None]
        image = (across * (1 - (1 - tints) * down)).round()
        return image.to(torch.uint8) if self.mean is not None else image / 255


def to_image_onnx(model: ImageModel) -> bytes:
    """Return it as an ONNX model from ``image`` to ``OUTPUT_NAMES`` of its task.

    Raises:
        MissingExtraError: if onnx is not installed.
    """
    return export_module(model, (model.example(),), [IMAGE_NAME], OUTPUT_NAMES[model.task])


def check_image_parity(model: ImageModel, exported: bytes) -> float:
    """Compare what ONNX Runtime and torch say of a noisy image.

    Returns:
        The share of labels that are the same: of pixels, or 1 for the same class.

    Raises:
        InputError: if that is less than 99.9%: near a border between classes rounding may decide.
        MissingExtraError: if onnxruntime is not installed.
    """
    with needs_extra("profiling"):
        import onnxruntime
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    example = model.example()
    noise = torch.rand(example.shape, generator=torch.Generator().manual_seed(0))
    image = (noise * 255).to(torch.uint8) if example.dtype == torch.uint8 else noise
    with torch.inference_mode():
        answer = model(image)
    wanted = answer[0] if isinstance(answer, tuple) else answer
    found = session.run(None, {IMAGE_NAME: image.numpy()})[0]
    same = float(np.mean(found == wanted.numpy()))
    if same < _LEAST_SAME:
        raise InputError(
            f"the ONNX model gives the labels that torch gives for only {100 * same:.1f}% of an "
            "image: the export is not faithful"
        )
    return same
