"""Training one architecture: from block configurations to an accuracy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, cast

from optuna_pop.errors import DataError, InputError, needs_extra
from optuna_pop.fingerprint import fingerprint
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.spaces.df import at_input, backbone_of
from optuna_pop.trainables import surroundings
from optuna_pop.trainables.auxiliary import WithAuxiliary
from optuna_pop.trainables.checkpoint import CheckpointFile, Stateful
from optuna_pop.trainables.data.base import DataSet, Split, check_split
from optuna_pop.trainables.loading import all_of, batches
from optuna_pop.trainables.networks import Network, build_network, check_chain, network_size
from optuna_pop.trainables.recipes import TrainingRecipe
from optuna_pop.trainables.tasks import TASKS
from optuna_pop.trainables.team import Team
from optuna_pop.trainables.weights import Weights

with needs_extra("train"):
    import torch
    from torch import nn
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


_SEEDS_A_STEP = 2**20  # of augmentation, more than there are samples in a batch


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """State after an epoch.

    Attributes:
        accuracy: Top-1 or mIoU on the held-out samples, percent; NaN once training has diverged.
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
        accuracy: Top-1 or mIoU on the held-out samples after the last epoch, percent; NaN if the
            loss or the network's output became NaN or infinite.
        loss: Mean training loss of the last epoch, nats; not finite after divergence.
        curve: Metrics after each epoch.
        macs: Multiply-accumulates of one forward pass.
        parameters: Trainable numbers.
        seconds: Time spent, validation included, loading the data not.
        held_out: Samples the accuracy was taken on.
        network: The trained network, in evaluation mode; the moving average, if the recipe has one.
        images_per_second: That the steps took, reading the samples included.
        diverged: The step at which the loss was not finite, "step 3 of epoch 2"; None without.
    """

    accuracy: float
    loss: float
    curve: tuple[EpochMetrics, ...]
    macs: int
    parameters: int
    seconds: float
    held_out: int
    network: Network = field(repr=False)
    images_per_second: float = math.nan
    diverged: str | None = None


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
    weights: Weights | None = None,
) -> TrainingResult:
    """Train the network of these blocks and validate it after each epoch.

    It trains on the GPU where torch finds one. The same arguments give the same result, bit for
    bit, on the same CPU with the same number of threads; global random states are neither used nor
    changed.

    Args:
        blocks: Block configurations of a whole network, ending in a head or in a decoder's score.
        data: What to train on.
        recipe: How.
        seed: Decides the initial weights, the order of the samples and their augmentation.
        threads: Of torch on the CPU during this training. More than one pays for large networks on
            an idle machine; small ones on a busy machine get many times slower.
        on_epoch: Called after each epoch: the place to log, and to raise for a trial pruned early.
        progress: Called after each step, for a progress bar.
        checkpoint: Where the state is kept after each epoch. What an interrupted training left
            there is gone on with, to the same weights, bit for bit; ``on_epoch`` is told of the
            epochs behind once more. A finished training removes it.
        team: The processes that train this network together, each with these arguments; see
            ``parallel.train_parallel``. None for this process alone.
        weights: That the backbone begins with; the recipe's ``backbone_lr`` says how much they
            change. None begins from scratch.

    Returns:
        Accuracy, its curve and the trained network. A loss that is not finite ends the training
        early with accuracy NaN, which makes Optuna fail the trial.

    Raises:
        ArchitectureError: if the blocks do not chain.
        DataError: if the blocks do not fit the data, or the data cannot be read.
        InputError: if a batch is larger than the training set, weights are of another backbone, or
            there is no thread.
        OutOfMemoryError: if the network and its batch do not fit into memory.
    """
    if threads < 1:
        raise InputError(f"threads must be at least 1 but got {threads}")
    check_chain(backbone_of(blocks) if blocks else blocks)
    check_fit(blocks, data)
    team = team or Team()
    at_a_time = recipe.micro_batch or recipe.batch_size // team.size
    with (
        surroundings.threads(threads),
        surroundings.reproducible(wanted=recipe.deterministic),
        surroundings.memory_for(at_a_time),
    ):
        split = data.load()
        check_split(split, data)
        if len(split.train) < recipe.batch_size:
            raise InputError(
                f"batch_size {recipe.batch_size} is larger than the {len(split.train)} training "
                f"samples of {data.name}: lower it"
            )
        start = time.perf_counter()
        saved = None
        if checkpoint is not None:
            identity = _identity(blocks, data, recipe, seed, team, weights)
            saved = CheckpointFile(checkpoint, identity)
        training = _Training(blocks, data, split, recipe, seed, team, weights)
        curve = tuple(training.epochs(progress, on_epoch, saved))
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
        held_out=len(split.held_out),
        network=training.result(),
        images_per_second=training.images_per_second,
        diverged=training.diverged,
    )


class _Training:
    """One training in progress."""

    def __init__(
        self,
        blocks: Sequence[BlockConfig],
        data: DataSet,
        split: Split,
        recipe: TrainingRecipe,
        seed: int,
        team: Team,
        weights: Weights | None,
    ) -> None:
        self._blocks, self._data, self._split = blocks, data, split
        self._recipe, self._team = recipe, team
        self._task = TASKS[data.task]
        self._generator = torch.Generator().manual_seed(seed)
        trained = blocks
        if data.crop_shape != data.input_shape:
            trained = at_input(blocks, data.crop_shape)
        self._network = build_network(trained, seed=seed, residual_init=recipe.residual_init)
        if weights is not None:
            weights.into_backbone(self._network)
        if recipe.backbone_lr == 0:
            for block in self._network.backbone:
                block.requires_grad_(requires_grad=False)
        _to_channels_last(self._network)
        self._whole: nn.Module = self._network
        if recipe.auxiliary:
            self._whole = WithAuxiliary(self._network, seed)
        self._whole.to(team.device)
        groups = parameter_groups(self._whole, recipe.weight_decay, self._slow())
        self._optimizer = torch.optim.SGD(groups, lr=recipe.peak_lr, momentum=recipe.momentum)
        self._average: AveragedModel | None = None
        if recipe.ema:
            average = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            self._average = AveragedModel(self._network, multi_avg_fn=average, use_buffers=True)
        self._steps_per_epoch = len(split.train) // recipe.batch_size
        self._seconds, self._seen = 0.0, 0
        self.diverged: str | None = None

    def _slow(self) -> dict[int, float]:
        """Shares of the learning rate of parameters that do not take all of it."""
        share = self._recipe.backbone_lr
        if share == 1:
            return {}
        return {id(p): share for block in self._network.backbone for p in block.parameters()}

    @property
    def images_per_second(self) -> float:
        """Speed of the steps so far; NaN before the first."""
        return self._seen / self._seconds if self._seconds else math.nan

    def _kept(self) -> Network:
        """Return the network that is validated and kept."""
        if self._average is None:
            return self._network
        return cast("Network", self._average.module)

    def result(self) -> Network:
        """Return the trained network for whole images, on the CPU."""
        return self._at_full_size().cpu().eval()

    def _at_full_size(self) -> Network:
        kept = self._kept()
        if tuple(kept.configs) == tuple(self._blocks):
            return kept
        self._for_whole_images.load_state_dict(kept.state_dict())
        return self._for_whole_images

    @cached_property
    def _for_whole_images(self) -> Network:
        """The network at the size of whole images where crops are trained on, made once."""
        whole = build_network(self._blocks)
        _to_channels_last(whole)
        return whole.to(self._team.device)

    def _parts(self) -> dict[str, Stateful]:
        parts: dict[str, Any] = {"network": self._whole, "optimizer": self._optimizer}
        if self._average is not None:
            parts["average"] = self._average
        if self._team.scaler is not None:
            parts["scaler"] = self._team.scaler
        return parts

    def epochs(
        self, progress: OnProgress | None, on_epoch: OnEpoch | None, saved: CheckpointFile | None
    ) -> Iterator[EpochMetrics]:
        """Train and validate epoch after epoch, up to the last or to divergence."""
        recipe, team = self._recipe, self._team
        team.begin(recipe.precision)
        behind = saved.restore(self._parts(), self._generator) if saved is not None else []
        curve = [EpochMetrics(*numbers) for numbers in behind]
        for epoch, metrics in enumerate(curve, start=1):
            if on_epoch is not None:
                on_epoch(epoch, metrics)
            yield metrics
        # After the state was restored, so that all begin alike.
        compiled: Any = torch.compile(self._whole) if recipe.compile else self._whole
        joined = team.join(compiled)
        optimizer = team.prepare(self._optimizer)
        try:
            for epoch in range(len(curve) + 1, recipe.epochs + 1):
                metrics = self._epoch(epoch, joined, optimizer, progress)
                curve.append(metrics)
                diverged = math.isnan(metrics.accuracy)
                if saved is not None and team.leads and not diverged and epoch < recipe.epochs:
                    rows = [astuple(past) for past in curve]
                    saved.store(self._parts(), self._generator, rows)
                if on_epoch is not None:
                    on_epoch(epoch, metrics)
                yield metrics
                if diverged:
                    return
        finally:
            team.leave(joined)

    def _epoch(
        self, epoch: int, joined: nn.Module, optimizer: Any, progress: OnProgress | None
    ) -> EpochMetrics:
        steps, recipe = self._steps_per_epoch, self._recipe
        joined.train()
        if recipe.backbone_lr == 0:
            for block in self._network.backbone:
                block.eval()
        done = (epoch - 1) * steps
        losses: list[float] = []
        begun = time.perf_counter()
        for loss in self._steps(joined, optimizer, done):
            losses.append(loss)
            done += 1
            if progress is not None:
                progress(done, recipe.epochs * steps)
            if not math.isfinite(loss):
                self.diverged = f"step {len(losses)} of epoch {epoch}"
                break
        self._seconds += time.perf_counter() - begun
        self._seen += len(losses) * recipe.batch_size
        return EpochMetrics(
            accuracy=math.nan if self.diverged else self._validate(),
            loss=sum(losses) / len(losses),
            learning_rate=recipe.learning_rate(done - 1, steps),
        )

    def _validate(self) -> float:
        """Accuracy of the leader's network, whose batch norm statistics are those that are kept."""
        accuracy = 0.0
        if self._team.leads:
            data = self._data
            held_out = all_of(
                self._split.held_out, data.input_shape, data.workers, classes=data.classes
            )
            accuracy = self._task.measure(self._at_full_size(), held_out, data.classes)
        return self._team.from_leader(accuracy)

    def _steps(self, joined: nn.Module, optimizer: Any, done: int) -> Iterator[float]:
        """Take the optimiser steps of one epoch after ``done`` steps; give the loss before each."""
        recipe, team = self._recipe, self._team
        order = torch.randperm(len(self._split.train), generator=self._generator)
        seed = int(torch.randint(2**48, (), generator=self._generator))
        chunk = recipe.micro_batch or recipe.batch_size
        parts: list[list[tuple[torch.Tensor, int | None]]] = []
        for position in range(self._steps_per_epoch):
            batch = order[position * recipe.batch_size : (position + 1) * recipe.batch_size]
            share = torch.split(team.share(batch), chunk)
            first = seed + _SEEDS_A_STEP * position
            parts.append([(part, first + i * chunk) for i, part in enumerate(share)])
        device = team.device
        taken = batches(
            self._split.train,
            [wanted for step in parts for wanted in step],
            workers=self._data.workers,
            pinned=device.type == "cuda",
            classes=self._data.classes,
        )
        for position, step in enumerate(parts):
            for group in self._optimizer.param_groups:
                rate = recipe.learning_rate(done + position, self._steps_per_epoch)
                group["lr"] = rate * group["share"]
            optimizer.zero_grad(set_to_none=True)
            samples = sum(len(indices) for indices, _ in step)
            total = torch.zeros((), device=device)
            for number, (indices, _) in enumerate(step):
                x, y = next(taken)
                x = x.to(device, memory_format=torch.channels_last, non_blocking=True)
                y = y.to(device, non_blocking=True)
                with team.unsynced(joined, when=number + 1 < len(step)):
                    loss = self._loss(joined(x), y) * (len(indices) / samples)
                    team.backward(loss)
                total += loss.detach()
            optimizer.step()
            if self._average is not None:
                self._average.update_parameters(self._network)
            yield team.mean(total)

    def _loss(self, scores: Any, labels: torch.Tensor) -> torch.Tensor:
        smoothing = self._recipe.label_smoothing
        if isinstance(scores, tuple):
            main, auxiliary = (self._task.loss(s.float(), labels, smoothing) for s in scores)
            return main + self._recipe.auxiliary * auxiliary
        return self._task.loss(scores.float(), labels, smoothing)


def _identity(
    blocks: Sequence[BlockConfig],
    data: DataSet,
    recipe: TrainingRecipe,
    seed: int,
    team: Team,
    weights: Weights | None,
) -> str:
    return fingerprint(
        {
            "blocks": [block.key for block in blocks],
            "data": data.fingerprint(),
            "recipe": recipe.spec(),
            "seed": seed,
            "processes": team.size,
            "weights": None if weights is None else weights.digest,
        }
    )


def parameter_groups(
    network: nn.Module, weight_decay: float, shares: dict[int, float] | None = None
) -> list[dict[str, Any]]:
    """Divide parameters for SGD: matrices and kernels decay, batch norm and biases do not.

    Args:
        network: Whose parameters that are trained.
        weight_decay: Of those that decay.
        shares: Of the learning rate, by ``id`` of a parameter; 1 by default.
    """
    shares = shares or {}
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {(True, 1.0): [], (False, 1.0): []}
    for parameter in network.parameters():
        if parameter.requires_grad:
            key = (parameter.ndim > 1, shares.get(id(parameter), 1.0))
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": found, "weight_decay": weight_decay if decays else 0.0, "share": share}
        for (decays, share), found in groups.items()
    ]


def _to_channels_last(network: nn.Module) -> None:
    """Store convolution kernels channels last, which halves the time of a step on the CPU."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            kernel = module.weight
            kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)


def check_fit(blocks: Sequence[BlockConfig], data: DataSet) -> None:
    """Refuse blocks that are no whole network for the data.

    Raises:
        DataError: naming both.
    """
    first, last = blocks[0], blocks[-1]
    ends = TASKS[data.task].last_kinds
    if last.kind not in ends:
        raise DataError(
            f"the last block is {last}: a network to train on {data.name} ends in a "
            f"{' or '.join(ends)}, as it is for {data.task}"
        )
    if first.input_shape != data.input_shape or last.c_out != data.classes:
        raise DataError(
            f"the network takes {first.input_shape} and gives {last.c_out} classes, but data set "
            f"{data.name} has {data.input_shape} and {data.classes}: make the space with "
            f"input_shape={data.input_shape}, classes={data.classes}"
        )
