"""Training recipes: how a network is trained, as a value that can be stored and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from optuna_pop.errors import InputError, UnknownNameError
from optuna_pop.trainables.settings import with_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecipe:
    """SGD with momentum under the poly schedule with warm-up.

    The paper (section 4.1, arXiv:1903.03777) trains its backbones with poly power 2 after warm-up
    epochs at a constant, lower rate; weight decay spares batch norm and biases here.

    Attributes:
        epochs: Passes over the training set, warm-up included.
        batch_size: Samples a step; what does not fill a last batch waits for the next epoch.
        peak_lr: Learning rate of the first step after warm-up.
        momentum: Of SGD.
        weight_decay: On weights of convolutions and the classifier only.
        warmup_epochs: Epochs, also a part of one, at ``warmup_lr``.
        warmup_lr: Learning rate during warm-up.
        poly_power: Exponent of the schedule.
        label_smoothing: Share of the target spread over all classes.
        residual_init: Weight that residual blocks start with beside their shortcut.
        auxiliary: Weight of the loss of a second head on stage 4, only there in training, with
            which DF1 and DF2 were trained ("additional supervision", as in GoogLeNet).
        backbone_lr: Share of the learning rate that the backbone takes; 0 freezes it, batch norm
            statistics included, as weights from elsewhere may want.
        ema: Decay of a moving average of the weights, which is what is validated and kept; 0
            without.
        micro_batch: Samples that go through the network at a time; gradients add up to the batch.
            None for all of a process's share at once.
        precision: "float32", or "bf16" or "fp16" for mixed precision.
        compile: Whether torch compiles the network, which pays for long trainings on GPUs.
        deterministic: Whether a GPU, too, shall give the same result again, at a loss of speed.

    Raises:
        InputError: if a value cannot be used.
    """

    epochs: int
    batch_size: int
    peak_lr: float
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup_epochs: float = 0.0
    warmup_lr: float = 0.1
    poly_power: float = 2.0
    label_smoothing: float = 0.0
    residual_init: float = 1.0
    auxiliary: float = 0.0
    backbone_lr: float = 1.0
    ema: float = 0.0
    micro_batch: int | None = None
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    compile: bool = False
    deterministic: bool = False

    def __post_init__(self) -> None:
        # name: (smallest, largest, whether the smallest itself is allowed)
        bounds = {
            "epochs": (1, math.inf, True),
            "batch_size": (2, math.inf, True),  # batch norm needs two samples
            "peak_lr": (0, math.inf, False),
            "momentum": (0, 1, True),
            "weight_decay": (0, math.inf, True),
            "warmup_epochs": (0, self.epochs, True),
            "warmup_lr": (0, math.inf, True),
            "poly_power": (0, math.inf, True),
            "label_smoothing": (0, 1, True),
            "residual_init": (0, math.inf, True),
            "auxiliary": (0, math.inf, True),
            "backbone_lr": (0, math.inf, True),
            "ema": (0, 1, True),
        }
        if self.micro_batch is not None:
            bounds["micro_batch"] = (2, math.inf, True)
        for name, (low, high, closed) in bounds.items():
            value = getattr(self, name)
            if not ((low <= value if closed else low < value) and value < high):
                least = "at least" if closed else "above"
                raise InputError(
                    f"recipe: {name} must be {least} {low} and below {high} but got {value}"
                )

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step.

        With t steps behind, T in all and W of warm-up: ``warmup_lr`` while t < W, then
        peak_lr · (1 - (t - W) / (T - W)) ** poly_power.

        Args:
            step: Steps behind, from 0.
            steps_per_epoch: Optimiser steps in one epoch.
        """
        total = self.epochs * steps_per_epoch
        warm = round(self.warmup_epochs * steps_per_epoch)
        if step < warm:
            return self.warmup_lr
        left = max(0.0, 1 - (step - warm) / (total - warm))
        return self.peak_lr * math.pow(left, self.poly_power)

    def spec(self) -> dict[str, Any]:
        """Describe the recipe in JSON types; equal recipes give equal descriptions."""
        return asdict(self)

    def with_values(self, values: Mapping[str, Any]) -> TrainingRecipe:
        """Return the recipe with other values, also such in words.

        Raises:
            UnknownNameError: if a name is unknown.
            InputError: if a value cannot be used.
        """
        return with_settings(TrainingRecipe, {**self.spec(), **values}, "the recipe")


RECIPES: dict[str, TrainingRecipe] = {
    # Seconds a network: to see that a set-up works, not to compare architectures.
    "digits-smoke": TrainingRecipe(epochs=2, batch_size=256, peak_lr=0.1),
    "digits-demo": TrainingRecipe(
        epochs=2,
        batch_size=64,
        peak_lr=0.1,
        weight_decay=1e-4,
        warmup_epochs=0.1,
        warmup_lr=0.02,
        residual_init=0.2,
    ),
    # Section 4.1: 5 warm-up epochs, then 80; labels "additional supervision" as in GoogLeNet.
    "imagenet-pop": TrainingRecipe(
        epochs=85, batch_size=2048, peak_lr=0.8, warmup_epochs=5, warmup_lr=0.1, auxiliary=0.3
    ),
    # The same on fewer GPUs and in a fifth of the time; the rate follows the batch.
    "imagenet-short": TrainingRecipe(
        epochs=18, batch_size=1024, peak_lr=0.4, warmup_epochs=1, warmup_lr=0.05, micro_batch=256
    ),
    # Weight decay and schedule are the paper's; it leaves batch, epochs and rate open.
    "cityscapes-pop": TrainingRecipe(
        epochs=200, batch_size=16, peak_lr=0.02, warmup_epochs=1, warmup_lr=0.002, auxiliary=0.4
    ),
    "cityscapes-short": TrainingRecipe(
        epochs=40, batch_size=8, peak_lr=0.02, warmup_epochs=1, warmup_lr=0.002, micro_batch=4
    ),
    "cifar10-short": TrainingRecipe(
        epochs=12,
        batch_size=128,
        peak_lr=0.1,
        weight_decay=5e-4,
        warmup_epochs=0.5,
        warmup_lr=0.02,
        residual_init=0.2,
    ),
    "camvid-short": TrainingRecipe(
        epochs=30, batch_size=8, peak_lr=0.05, warmup_epochs=1, warmup_lr=0.01
    ),
    "streets-demo": TrainingRecipe(
        epochs=4, batch_size=8, peak_lr=0.05, warmup_epochs=0.25, warmup_lr=0.01
    ),
}
"""Recipes by name."""


def recipe(name: str) -> TrainingRecipe:
    """Return a named recipe; ``dataclasses.replace`` changes single values.

    Raises:
        UnknownNameError: if there is no such recipe.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, list(RECIPES))
    return RECIPES[name]
