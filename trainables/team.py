"""The processes that train one network: one alone, or several with a share of each batch."""

from __future__ import annotations

import os
import warnings
from typing import Protocol

from optuna_pop.errors import InputError, needs_extra

with needs_extra("train"):
    import torch
    from torch import Tensor, nn


class Team(Protocol):
    """What a training asks of the processes that it runs in.

    Attributes:
        size: How many they are.
        leads: Whether this one validates, reports and keeps the state.
        device: Where this one trains.
    """

    size: int
    leads: bool
    device: torch.device

    def join(self, network: nn.Module) -> nn.Module:
        """Return what to train in place of a network, whose gradients are then the team's."""

    def share(self, batch: Tensor) -> Tensor:
        """Return this process's part of a batch's sample indices (n,), n a multiple of ``size``."""

    def mean(self, loss: Tensor) -> float:
        """Return the mean of a loss () over the team."""

    def from_leader(self, value: float) -> float:
        """Return the leader's value."""


class Alone:
    """A single process, on the first GPU that it may use, else on the CPU."""

    size = 1
    leads = True

    def __init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def join(self, network: nn.Module) -> nn.Module:
        """Return the network."""
        return network

    def share(self, batch: Tensor) -> Tensor:
        """Return the batch."""
        return batch

    def mean(self, loss: Tensor) -> float:
        """Return the loss."""
        return float(loss.item())

    def from_leader(self, value: float) -> float:
        """Return the value."""
        return value


class Rank:
    """One of several processes of this machine, each on a GPU of its own or all on the CPU.

    Gradients are averaged by torch's DistributedDataParallel, so that a step is that of the whole
    batch. Batch norm takes the statistics of each process's share, as in the paper's trainings on
    several GPUs; the leader's are kept.

    Args:
        rank: Of this process, from 0, which leads.
        size: Processes in all.
        meeting: Path of a file, absent at first, through which they find each other.

    Raises:
        InputError: if there are GPUs, but fewer than processes.
    """

    def __init__(self, rank: int, size: int, meeting: str) -> None:
        self.size = size
        self.leads = rank == 0
        self._rank = rank
        gpus = require_devices(size)
        self.device = torch.device("cuda", rank) if gpus else torch.device("cpu")
        if gpus:
            torch.cuda.set_device(self.device)
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):  # nobody outside may connect
            os.environ.setdefault(name, "lo")
        torch.distributed.init_process_group(
            "nccl" if gpus else "gloo",
            init_method=f"file://{meeting}",
            rank=rank,
            world_size=size,
        )

    def join(self, network: nn.Module) -> nn.Module:
        """Wrap the network, which takes the leader's weights."""
        # Of kernels of a single channel, for which channels last and first are the same.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(network, device_ids=ids)

    def share(self, batch: Tensor) -> Tensor:
        """Return every ``size``-th index."""
        return batch[self._rank :: self.size]

    def mean(self, loss: Tensor) -> float:
        """Return the mean, the same on every process, so that all see a divergence at once."""
        total = loss.clone()
        torch.distributed.all_reduce(total)
        return float(total.item()) / self.size

    def from_leader(self, value: float) -> float:
        """Return the leader's value."""
        held = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(held, src=0)
        return float(held.item())

    def leave(self) -> None:
        """End the group."""
        torch.distributed.destroy_process_group()


def require_devices(processes: int) -> bool:
    """Whether there is a GPU for each of so many processes; False where there is none at all.

    Raises:
        InputError: if there are some, but fewer.
    """
    gpus = torch.cuda.device_count()
    if 0 < gpus < processes:
        raise InputError(
            f"{processes} processes train one network, each on its own GPU, but there are {gpus}: "
            "ask for fewer, or hide the GPUs with CUDA_VISIBLE_DEVICES= to train on the CPU"
        )
    return gpus > 0
