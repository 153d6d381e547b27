"""torchvision's LRASPP-MobileNetV3 trained on CamVid by one of our recipes, to set beside DF-Seg.

``python -m benchmarks.camvid_peer --data-root DIR --epochs 14``: the same data, crops,
augmentation, optimiser and schedule that ``optuna-pop train df1-seg --data camvid`` uses, with
weights from scratch. It skips, saying so, where the data is absent.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import torch
from torch import Tensor, nn

from optuna_pop.errors import DataError
from optuna_pop.trainables.data import make_data_set
from optuna_pop.trainables.data.source import ROOT_VARIABLE
from optuna_pop.trainables.loading import all_of, batches
from optuna_pop.trainables.recipes import recipe
from optuna_pop.trainables.tasks import TASKS
from optuna_pop.trainables.training import parameter_groups
from optuna_pop.trainables.vision import torchvision


class Peer(nn.Module):
    """LRASPP, whose scores are in a dictionary."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torchvision()
        from torchvision.models.segmentation import lraspp_mobilenet_v3_large

        self.inner: Any = lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=classes
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 3, h, w) to scores (n, classes, h, w)."""
        scores: Tensor = self.inner(x)["out"]
        return scores


def main() -> None:
    """Train and print the accuracy after each epoch, then on test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--crop", type=int, nargs=2, default=[96, 128])
    options = parser.parse_args()
    os.environ[ROOT_VARIABLE] = options.data_root
    data = make_data_set("camvid", {"crop": options.crop})
    try:
        split = data.load()
    except DataError as error:
        sys.exit(f"skipped: {error}")
    how, task = recipe("camvid-short").with_values({"epochs": options.epochs}), TASKS[data.task]
    torch.manual_seed(0)
    network = Peer(data.classes)
    optimizer = torch.optim.SGD(
        parameter_groups(network, how.weight_decay), lr=how.peak_lr, momentum=how.momentum
    )
    generator = torch.Generator().manual_seed(0)
    steps = len(split.train) // how.batch_size
    for epoch in range(options.epochs):
        network.train()
        order = torch.randperm(len(split.train), generator=generator)[: steps * how.batch_size]
        wanted = [
            (part, 2**20 * (epoch * steps + i))
            for i, part in enumerate(torch.split(order, how.batch_size))
        ]
        for step, (x, y) in enumerate(batches(split.train, wanted, workers=0)):
            for group in optimizer.param_groups:
                group["lr"] = how.learning_rate(epoch * steps + step, steps)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(task.loss(network(x), y, how.label_smoothing))
            optimizer.step()
        found = task.measure(network, all_of(split.held_out, data.input_shape, 0), data.classes)
        print(f"epoch {epoch + 1:3} of {options.epochs}  held-out mIoU {found:.2f} %", flush=True)
    if split.test is not None:
        found = task.measure(network, all_of(split.test, data.input_shape, 0), data.classes)
        print(f"test mIoU {found:.2f} %")


if __name__ == "__main__":
    main()
