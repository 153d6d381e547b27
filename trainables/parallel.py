"""One training by several processes of this machine: torch DDP, led from the process that asks."""

from __future__ import annotations

import contextlib
import io
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from optuna_pop.errors import (
    DataError,
    InputError,
    OptunaPopError,
    OutOfMemoryError,
    StorageError,
    needs_extra,
)
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.spaces.df import backbone_of
from optuna_pop.trainables.data.base import DataSet
from optuna_pop.trainables.networks import build_network, check_chain, network_size
from optuna_pop.trainables.recipes import TrainingRecipe
from optuna_pop.trainables.team import Rank, require_devices
from optuna_pop.trainables.training import (
    EpochMetrics,
    OnEpoch,
    OnProgress,
    TrainingResult,
    check_fit,
    train,
)
from optuna_pop.trainables.weights import Weights

with needs_extra("train"):
    import torch
    from torch import multiprocessing
    from torch.multiprocessing.spawn import (
        ProcessContext,
        ProcessExitedException,
        ProcessRaisedException,
        start_processes,
    )

_LOOK_S = 0.05  # between looks at whether all processes live
_OURS: dict[str, type[OptunaPopError]] = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (DataError, InputError, OutOfMemoryError)
}
"""What a process may raise of ours, by the name in its traceback."""


@dataclass(frozen=True, slots=True)
class _Job:
    """The arguments of ``train`` for every process."""

    blocks: Sequence[BlockConfig]
    data: DataSet
    recipe: TrainingRecipe
    seed: int
    threads: int
    checkpoint: Path | None
    weights: Weights | None


def train_parallel(
    blocks: Sequence[BlockConfig],
    data: DataSet,
    recipe: TrainingRecipe,
    *,
    seed: int,
    processes: int,
    threads: int = 1,
    on_epoch: OnEpoch | None = None,
    progress: OnProgress | None = None,
    checkpoint: Path | None = None,
    weights: Weights | None = None,
) -> TrainingResult:
    """Train a network as ``training.train`` does, by several processes with a share of each batch.

    Every process has a GPU of its own; without any GPU all are on the CPU. The recipe's batch is
    the whole one. The processes end with this call, whatever ends it: an error, Ctrl-C, or an
    ``on_epoch`` that raises; and soon after this process if it is killed. ``on_epoch`` and
    ``progress`` are called in this process.

    Args:
        blocks: As in ``train``.
        data: As in ``train``; every process loads it.
        recipe: As in ``train``.
        seed: As in ``train``.
        processes: At least 2.
        threads: Of torch in each process.
        on_epoch: As in ``train``.
        progress: As in ``train``.
        checkpoint: As in ``train``; the state goes on with the same number of processes only. With
            two of them to the same weights, bit for bit; with more, sums may be taken in another
            order.
        weights: As in ``train``.

    Returns:
        As ``train`` does.

    Raises:
        ArchitectureError: if the blocks do not chain.
        DataError: as ``train`` does, also from a process.
        InputError: if the batch does not divide, or there are fewer GPUs than processes.
        OutOfMemoryError: if a process lacks memory.
        RuntimeError: if a process fails or is killed; it names the rank and what happened.
        StorageError: if the checkpoint cannot be written.
    """
    if processes < 2:
        raise InputError(f"processes must be at least 2 but got {processes}: use train for one")
    if recipe.batch_size % processes:
        raise InputError(
            f"batch_size {recipe.batch_size} does not divide among {processes} processes: change "
            "either"
        )
    check_chain(backbone_of(blocks) if blocks else blocks)
    check_fit(blocks, data)
    require_devices(processes)
    job = _Job(blocks, data, recipe, seed, threads, checkpoint, weights)
    here, there = multiprocessing.get_context("spawn").Pipe()
    with tempfile.TemporaryDirectory(prefix="optuna-pop-") as folder, here:
        with there:
            team = start_processes(  # type: ignore[no-untyped-call]
                _work,
                args=(processes, f"{folder}/meeting", job, there),
                nprocs=processes,
                join=False,
                start_method="spawn",
            )
        try:
            done = _follow(team, here, on_epoch, progress)
        finally:
            for process in team.processes:
                process.kill()
            for process, errors in zip(team.processes, team.error_files, strict=True):
                process.join()
                Path(errors).unlink(missing_ok=True)
    network = build_network(blocks, seed=seed)
    network.load_state_dict(torch.load(io.BytesIO(done.pop("network")), weights_only=True))
    size = network_size(blocks)
    return TrainingResult(
        **done, network=network.eval(), macs=size.macs, parameters=size.parameters
    )


def _follow(
    team: ProcessContext, leader: Connection, on_epoch: OnEpoch | None, progress: OnProgress | None
) -> dict[str, Any]:
    """Pass on what the leader tells, up to its result."""
    while True:
        while leader.poll(_LOOK_S):
            try:
                kind, content = leader.recv()
            except EOFError:  # all have ended
                break
            if kind == "step" and progress is not None:
                progress(*content)
            elif kind == "epoch":
                if on_epoch is not None:
                    on_epoch(*content)
                leader.send(None)
            elif kind == "full":
                raise StorageError(content)
            elif kind == "done":
                return dict(content)
        _check(team)


def _check(team: ProcessContext) -> None:
    """Raise if a process has ended."""
    size = len(team.processes)
    for rank, process in enumerate(team.processes):
        # Looked at first, as its death makes the others fail, too.
        if process.exitcode is not None and process.exitcode < 0:
            raise RuntimeError(f"training process {rank} of {size} {_ended(process.exitcode)}")
    try:
        ended = team.join(timeout=0)
    except ProcessRaisedException as error:
        words = str(error).strip().splitlines()[-1]
        kind, _, said = words.partition(": ")
        where = f"training process {error.error_index} of {size}"
        if kind in _OURS:
            raise _OURS[kind](f"{where}: {said}") from error
        raise RuntimeError(f"{where}: {words}") from error
    except ProcessExitedException as error:
        raise RuntimeError(
            f"training process {error.error_index} of {size} {_ended(error.exit_code)}"
        ) from error
    if ended:
        raise RuntimeError(f"the {size} training processes ended without a result")


def _ended(status: int) -> str:
    """Say how a process ended."""
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _work(rank: int, size: int, meeting: str, job: _Job, parent: Connection) -> None:
    """One process of a team."""
    if rank != 0:
        parent.close()
    team = Rank(rank, size, meeting)

    def after_epoch(epoch: int, metrics: EpochMetrics) -> None:
        parent.send(("epoch", (epoch, metrics)))
        parent.recv()  # the others wait for this one in their next step

    def after_step(done: int, total: int) -> None:
        parent.send(("step", (done, total)))

    try:
        result = train(
            job.blocks,
            job.data,
            job.recipe,
            seed=job.seed,
            threads=job.threads,
            on_epoch=after_epoch if team.leads else None,
            progress=after_step if team.leads else None,
            checkpoint=job.checkpoint,
            team=team,
            weights=job.weights,
        )
    except StorageError as error:
        with contextlib.suppress(OSError):
            parent.send(("full", str(error)))
        raise
    if team.leads:
        parent.send(("done", _told(result)))
    team.end()


def _told(result: TrainingResult) -> dict[str, Any]:
    weights = io.BytesIO()
    torch.save(result.network.state_dict(), weights)
    return {
        "accuracy": result.accuracy,
        "loss": result.loss,
        "curve": result.curve,
        "seconds": result.seconds,
        "held_out": result.held_out,
        "images_per_second": result.images_per_second,
        "diverged": result.diverged,
        "network": weights.getvalue(),
    }
