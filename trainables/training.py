"""Training one architecture: from block configurations to an accuracy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TypeAlias

from optuna_pop.errors import DataError, InputError, needs_extra
from optuna_pop.fingerprint import fingerprint
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.checkpoint import CheckpointFile
from optuna_pop.trainables.data.base import DataSet, Split
from optuna_pop.trainables.metrics import top1
from optuna_pop.trainables.networks import Network, build_network, check_chain, network_size
from optuna_pop.trainables.recipes import TrainingRecipe
from optuna_pop.trainables.team import Alone, Team

with needs_extra("train"):
    import torch
    from torch import nn
    from torch.nn import functional


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """State after an epoch.

    Attributes:
        accuracy: Top-1 on the held-out samples, percent; NaN once training has diverged.
        loss: Mean training loss of the epoch, nats.
        learning_rate: Of the epoch's last step.
    """

    accuracy: float
    loss: float
    learning_rate: float


OnEpoch: TypeAlias = Callable[[int, EpochMetrics], None]
"""Called with the number of epochs done, from 1; what it raises ends the training."""
OnProgress: TypeAlias = Callable[[int, int], None]
"""Called after each optimiser step with the steps done and the steps in all."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """What a training gives.

    Attributes:
        accuracy: Top-1 on the held-out samples after the last epoch, percent; NaN if the loss or
            the network's output became NaN or infinite.
        loss: Mean training loss of the last epoch, nats; not finite after divergence.
        curve: Metrics after each epoch.
        macs: Multiply-accumulates of one forward pass.
        parameters: Trainable numbers.
        seconds: Time spent, validation included, loading the data not.
        held_out: Samples the accuracy was taken on.
        network: The trained network, in evaluation mode.
    """

    accuracy: float
    loss: float
    curve: tuple[EpochMetrics, ...]
    macs: int
    parameters: int
    seconds: float
    held_out: int
    network: Network = field(repr=False)


def train(
    blocks: Sequence[BlockConfig],
    data: DataSet,
    recipe: TrainingRecipe,
    *,
    seed: int,
    threads: int = 1,
    on_epoch: OnEpoch | None = None,
    progress: OnProgress | None = None,
    checkpoint: Path | None = None,
    team: Team | None = None,
) -> TrainingResult:
    """Train the network of these blocks from scratch and validate it after each epoch.

    It trains on the GPU where torch finds one. The same arguments give the same result, bit for
    bit, on the same CPU with the same number of threads; global random states are neither used nor
    changed.

    Args:
        blocks: Block configurations of a whole network, ending in a head.
        data: What to train on.
        recipe: How.
        seed: Decides the initial weights and the order of the samples.
        threads: Of torch on the CPU during this training. More than one pays for large networks on
            an idle machine; small ones on a busy machine get many times slower.
        on_epoch: Called after each epoch: the place to log, and to raise for a trial pruned early.
        progress: Called after each step, for a progress bar.
        checkpoint: Where the state is kept after each epoch. What an interrupted training left
            there is gone on with, to the same weights, bit for bit; ``on_epoch`` is told of the
            epochs behind once more. A finished training removes it.
        team: The processes that train this network together, each with these arguments; see
            ``parallel.train_parallel``. None for this process alone.

    Returns:
        Accuracy, its curve and the trained network. A loss that is not finite ends the training
        early with accuracy NaN, which makes Optuna fail the trial.

    Raises:
        ArchitectureError: if the blocks do not chain.
        DataError: if the blocks do not fit the data.
        InputError: if a batch is larger than the training set, or there is no thread.
    """
    team = team or Alone()
    if threads < 1:
        raise InputError(f"threads must be at least 1 but got {threads}")
    check_chain(blocks)
    check_fit(blocks, data)
    with _threads(threads):
        split = data.load()
    steps_per_epoch = len(split.train_x) // recipe.batch_size
    if steps_per_epoch < 1:
        raise InputError(
            f"batch_size {recipe.batch_size} is larger than the {len(split.train_x)} training "
            f"samples of {data.name}: lower it"
        )
    start = time.perf_counter()
    network = build_network(blocks, seed=seed, residual_init=recipe.residual_init)
    generator = torch.Generator().manual_seed(seed)
    with _threads(threads):
        saved = None
        if checkpoint is not None:
            saved = CheckpointFile(checkpoint, _identity(blocks, data, recipe, seed, team))
        curve = tuple(_epochs(network, split, recipe, generator, progress, on_epoch, saved, team))
        if saved is not None and team.leads:
            saved.remove()
    size = network_size(blocks)
    return TrainingResult(
        accuracy=curve[-1].accuracy,
        loss=curve[-1].loss,
        curve=curve,
        macs=size.macs,
        parameters=size.parameters,
        seconds=time.perf_counter() - start,
        held_out=len(split.held_out_x),
        network=network.cpu().eval(),
    )


def _epochs(
    network: Network,
    split: Split,
    recipe: TrainingRecipe,
    generator: torch.Generator,
    progress: OnProgress | None,
    on_epoch: OnEpoch | None,
    saved: CheckpointFile | None,
    team: Team,
) -> Iterator[EpochMetrics]:
    """Train and validate epoch after epoch, up to the last or to divergence."""
    _to_channels_last(network)
    network.to(team.device)
    optimizer = torch.optim.SGD(
        parameter_groups(network, recipe.weight_decay), lr=recipe.peak_lr, momentum=recipe.momentum
    )
    behind = saved.restore(network, optimizer, generator) if saved is not None else []
    curve = [EpochMetrics(*numbers) for numbers in behind]
    for epoch, metrics in enumerate(curve, start=1):
        if on_epoch is not None:
            on_epoch(epoch, metrics)
        yield metrics
    together = team.join(network)  # after the state was restored, so that all begin alike
    steps_per_epoch = len(split.train_x) // recipe.batch_size
    total = recipe.epochs * steps_per_epoch
    for epoch in range(len(curve) + 1, recipe.epochs + 1):
        network.train()
        done = (epoch - 1) * steps_per_epoch
        losses: list[float] = []
        for loss in _steps(together, optimizer, split, recipe, generator, done, team):
            losses.append(loss)
            done += 1
            if progress is not None:
                progress(done, total)
            if not math.isfinite(loss):
                break
        finite = math.isfinite(losses[-1])
        metrics = EpochMetrics(
            accuracy=_validate(network, split, team) if finite else math.nan,
            loss=sum(losses) / len(losses),
            learning_rate=recipe.learning_rate(done - 1, steps_per_epoch),
        )
        curve.append(metrics)
        diverged = math.isnan(metrics.accuracy)
        if saved is not None and team.leads and not diverged and epoch < recipe.epochs:
            saved.store(network, optimizer, generator, [astuple(past) for past in curve])
        if on_epoch is not None:
            on_epoch(epoch, metrics)
        yield metrics
        if diverged:
            return


def _validate(network: Network, split: Split, team: Team) -> float:
    """Top-1 of the leader's network, whose batch norm statistics are the ones that are kept."""
    accuracy = top1(network, split.held_out_x, split.held_out_y) if team.leads else 0.0
    return team.from_leader(accuracy)


def _steps(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    split: Split,
    recipe: TrainingRecipe,
    generator: torch.Generator,
    done: int,
    team: Team,
) -> Iterator[float]:
    """Take the optimiser steps of one epoch after ``done`` steps; give the loss before each."""
    steps_per_epoch = len(split.train_x) // recipe.batch_size
    order = torch.randperm(len(split.train_x), generator=generator)
    for position in range(steps_per_epoch):
        batch = order[position * recipe.batch_size : (position + 1) * recipe.batch_size]
        chosen = team.share(batch)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate(done + position, steps_per_epoch)
        images = split.train_x[chosen].to(team.device, memory_format=torch.channels_last)
        labels = split.train_y[chosen].to(team.device)
        loss = functional.cross_entropy(
            network(images), labels, label_smoothing=recipe.label_smoothing
        )
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        yield team.mean(loss.detach())


def _identity(
    blocks: Sequence[BlockConfig], data: DataSet, recipe: TrainingRecipe, seed: int, team: Team
) -> str:
    return fingerprint(
        {
            "blocks": [block.key for block in blocks],
            "data": data.fingerprint(),
            "recipe": recipe.spec(),
            "seed": seed,
            "processes": team.size,
        }
    )


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Divide parameters for SGD: matrices and kernels decay, batch norm and biases do not."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _to_channels_last(network: nn.Module) -> None:
    """Store convolution kernels channels last, which halves the time of a step on the CPU."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            kernel = module.weight
            kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use this many CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_fit(blocks: Sequence[BlockConfig], data: DataSet) -> None:
    """Refuse blocks that are no whole network for the data.

    Raises:
        DataError: naming both.
    """
    first, last = blocks[0], blocks[-1]
    if last.kind != "head":
        raise DataError(
            f"the last block is {last}: a network to train on {data.name} ends in a head"
        )
    if first.input_shape != data.input_shape or last.c_out != data.classes:
        raise DataError(
            f"the network takes {first.input_shape} and gives {last.c_out} classes, but data set "
            f"{data.name} has {data.input_shape} and {data.classes}: make the space with "
            f"input_shape={data.input_shape}, classes={data.classes}"
        )
