"""The processes that train one network: one alone, or several with a share of each batch.

Accelerate does the work of devices, processes and mixed precision.
"""

from __future__ import annotations

import os
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from optuna_pop.errors import InputError, needs_extra

with needs_extra("train"):
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import broadcast
    from torch import Tensor, nn

_MIXED = {"float32": "no", "bf16": "bf16", "fp16": "fp16"}


class Team:
    """What a training asks of the processes that it runs in; this one is alone.

    Args:
        rank: Of this process, from 0, which leads.
        size: Processes in all.

    Attributes:
        size: Processes in all.
        leads: Whether this one validates, reports and keeps the state.
        device: Where this one trains: the first GPU that it may use, else the CPU.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.size, self._rank = size, rank
        self.leads = rank == 0
        self.begin("float32")
        self.device: torch.device = self._accelerator.device

    def begin(self, precision: str) -> None:
        """Set the number type of what joins next.

        Raises:
            InputError: if the device does not know the precision.
        """
        # It is a singleton, and trainings of one process may differ in their precision.
        AcceleratorState._reset_state()
        try:
            self._accelerator = Accelerator(mixed_precision=_MIXED[precision])
        except ValueError as error:
            raise InputError(
                f"precision {precision} cannot be trained in on this device: {error}"
            ) from error
        if precision != "float32" and not self._accelerator.native_amp:
            # As fp16 on a CPU, for which accelerate would train in float32 without a word.
            raise InputError(
                f"precision {precision} cannot be trained in on {self._accelerator.device.type}: "
                "choose float32, or bf16"
            )

    def join(self, network: nn.Module) -> nn.Module:
        """Return what to train in place of a network, whose gradients are then the team's."""
        # Of kernels of a single channel, for which channels last and first are the same.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        joined: nn.Module = self._accelerator.prepare_model(network)
        return joined

    def leave(self, joined: nn.Module) -> None:
        """Give back the network that was joined, as it was."""
        self._accelerator.unwrap_model(joined, keep_fp32_wrapper=False, keep_torch_compile=False)

    def prepare(self, optimizer: torch.optim.Optimizer) -> Any:
        """Return what to step in place of an optimiser."""
        return self._accelerator.prepare_optimizer(optimizer)

    @property
    def scaler(self) -> Any:
        """The scaler of gradients, whose state goes on with the training; None without fp16."""
        return self._accelerator.scaler

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients to those of the parameters."""
        self._accelerator.backward(loss)

    def unsynced(self, joined: nn.Module, *, when: bool) -> AbstractContextManager[Any]:
        """Let gradients inside the block wait for a later one to be shared."""
        return self._accelerator.no_sync(joined) if when and self.size > 1 else nullcontext()

    def share(self, batch: Tensor) -> Tensor:
        """Return this process's part of a batch's sample indices (n,), n a multiple of ``size``."""
        return batch[self._rank :: self.size]

    def mean(self, loss: Tensor) -> float:
        """Return the mean of a loss (), the same on every process, so all see a divergence."""
        if self.size == 1:
            return float(loss.item())
        total: Tensor = self._accelerator.reduce(loss, "mean")
        return float(total.item())

    def from_leader(self, value: float) -> float:
        """Return the leader's value."""
        if self.size == 1:
            return value
        return float(broadcast(torch.tensor(value, dtype=torch.float64, device=self.device)).item())


class Rank(Team):
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
        gpus = require_devices(size)
        if gpus:
            torch.cuda.set_device(rank)
        else:
            os.environ["ACCELERATE_USE_CPU"] = "true"
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):  # nobody outside may connect
            os.environ.setdefault(name, "lo")
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # else accelerate sets it, and warns
        # What torchrun sets; accelerate finds the group below already there and joins it.
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
        os.environ.update({name: str(value) for name, value in place.items()})
        torch.distributed.init_process_group(
            "nccl" if gpus else "gloo",
            init_method=f"file://{meeting}",
            rank=rank,
            world_size=size,
        )
        super().__init__(rank, size)

    def end(self) -> None:
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
