"""What is learnt: the loss of a batch and the accuracy of a network, for each task.

Accuracies are computed by torchmetrics.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from optuna_pop.errors import needs_extra
from optuna_pop.trainables.data.base import VOID
from optuna_pop.trainables.vision import torchvision

with needs_extra("train"):
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

# The leader of a team measures alone: to wait for the others would be to wait for ever.
_OPTIONS: Final[dict[str, Any]] = {"validate_args": False, "sync_on_compute": False}

Batches = Iterable[tuple[Tensor, Tensor]]


class Learning(ABC):
    """A task that networks learn.

    Attributes:
        accuracy: Name of its accuracy, which is in percent.
        last_kinds: Kinds of block that a network for it may end in.
    """

    accuracy: ClassVar[str]
    last_kinds: ClassVar[tuple[str, ...]]

    @abstractmethod
    def loss(self, scores: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """Return the mean loss () of scores (n, classes, ...), in nats."""

    @abstractmethod
    def predict(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the class of highest score, in the shape of the labels."""

    @abstractmethod
    def metric(self, classes: int) -> Any:
        """Return a torchmetrics metric from 0 to 1 of predictions and labels."""

    def measure(self, network: nn.Module, batches: Batches, classes: int) -> float:
        """Return a network's accuracy in percent; NaN if a score is NaN or infinite.

        Args:
            network: Maps (n, c, h, w) to scores; left in evaluation mode.
            batches: Images and labels.
            classes: Number of classes.
        """
        network.eval()
        first = next(network.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
        metric = self.metric(classes).to(device)
        with torch.inference_mode():
            for x, y in batches:
                labels = y.to(device)
                scores = network(x.to(device, memory_format=torch.channels_last))
                if not bool(scores.isfinite().all()):
                    return math.nan
                metric.update(self.predict(scores, labels), labels)
            return 100.0 * float(metric.compute())


class Classification(Learning):
    """One class for an image; accuracy is top-1."""

    accuracy = "top-1"
    last_kinds = ("head",)

    def loss(self, scores: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """Return the cross entropy."""
        return functional.cross_entropy(scores, labels, label_smoothing=label_smoothing)

    def predict(self, scores: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002 - see the base
        """Return the class (n,)."""
        return scores.argmax(dim=1)

    def metric(self, classes: int) -> Any:
        """Return the share of right predictions."""
        torchvision()  # torchmetrics imports it
        with needs_extra("train"):
            from torchmetrics.classification import MulticlassAccuracy
        return MulticlassAccuracy(classes, average="micro", **_OPTIONS)


class Segmentation(Learning):
    """A class for each pixel; accuracy is mIoU over the classes that occur, void left out.

    A network that predicts at 1/8 (the d8 form of section 3.5, arXiv:1903.03777) learns with its
    scores up-sampled bilinearly, and is judged by its labels up-sampled by nearest neighbour.
    """

    accuracy = "mIoU"
    last_kinds = ("score", "upsample")

    def loss(self, scores: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """Return the mean cross entropy of all pixels that are not void; 0 if all are."""
        if scores.shape[2:] != labels.shape[1:]:
            scores = functional.interpolate(
                scores, labels.shape[1:], mode="bilinear", align_corners=False
            )
        total = functional.cross_entropy(
            scores, labels, ignore_index=VOID, label_smoothing=label_smoothing, reduction="sum"
        )
        return total / (labels != VOID).sum().clamp(min=1)

    def predict(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the class of each pixel (n, h, w)."""
        found = scores.argmax(dim=1)
        return found if found.shape == labels.shape else enlarged(found, labels.shape[1:])

    def metric(self, classes: int) -> Any:
        """Return the mean intersection over union."""
        torchvision()  # torchmetrics imports it
        with needs_extra("train"):
            from torchmetrics.classification import MulticlassJaccardIndex
        return MulticlassJaccardIndex(classes, ignore_index=VOID, **_OPTIONS)


def enlarged(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Up-sample labels (n, h, w) to another height and width by nearest neighbour."""
    found = functional.interpolate(labels[:, None].float(), tuple(size), mode="nearest")
    return found[:, 0].long()


TASKS: Final[dict[str, Learning]] = {
    "classification": Classification(),
    "segmentation": Segmentation(),
}
