"""Making a latency table: measure blocks and whole networks together, then verify."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TypeAlias, TypeVar

import numpy as np

from optuna_pop.errors import InputError
from optuna_pop.profiling import device
from optuna_pop.profiling.engines import ENGINES, Engine, EngineInfo
from optuna_pop.profiling.measuring import MIN_CYCLES, Measurement, round_robin
from optuna_pop.profiling.progress import Progress, terminal_bar
from optuna_pop.profiling.records import Conditions, DeviceRecord, LatencyRecord, NetworkRecord
from optuna_pop.profiling.reference import reference_model
from optuna_pop.profiling.table import LatencyTable
from optuna_pop.profiling.verify import verify
from optuna_pop.spaces.base import MOST_ENUMERATED, Space
from optuna_pop.spaces.blocks import BlockConfig

_DRAWN = 20_000  # architectures that a space beyond listing is represented by

A = TypeVar("A")
Export: TypeAlias = Callable[[Sequence[BlockConfig]], bytes]
"""Gives a serialized ONNX model (batch 1, static shapes) of blocks in a row."""

Keys: TypeAlias = tuple[str, ...]
"""A network as the keys of its blocks; a block alone has one."""

NETWORKS = 12
SECONDS = 20.0


def build_table(
    space: Space[A],
    engine_name: str,
    export: Export,
    *,
    networks: int = NETWORKS,
    cycles: int = MIN_CYCLES,
    seconds: float = SECONDS,
    seed: int = 0,
    progress: Progress | None = None,
) -> LatencyTable:
    """Measure every block configuration of a space on this device.

    Whole networks of the space are measured in the same round robin, to verify that sums of
    blocks predict them (POP paper, Figure 3(a)) and to fit this device's correction. It is kept
    only if it improves estimates of networks that it was not fitted on.

    Args:
        space: What to measure.
        engine_name: Name of a registered engine.
        export: Gives the ONNX model of blocks in a row.
        networks: Whole networks to measure; fewer than 5 verify but fit no correction.
        cycles: Visits to every block and network, at least 15.
        seconds: Measure at least so long.
        seed: Of the choice of networks and the order of visits.
        progress: Told what is done; by default a bar where standard error is a terminal.

    Returns:
        The table, with its verification where ``networks`` is not 0.

    Raises:
        InputError: if an argument cannot be used, the space has no blocks, or the engine rejects
            a model.
        UnknownNameError: if there is no such engine.
        MissingExtraError: if the engine's library is not installed.
    """
    if networks < 0 or cycles < MIN_CYCLES or not 0 <= seconds < float("inf"):
        raise InputError(
            f"networks and seconds must not be negative and cycles at least {MIN_CYCLES} "
            f"but got {networks}, {seconds} and {cycles}"
        )
    engine = ENGINES[engine_name]
    info = engine.info()  # refuses a missing library before the work begins
    blocks = space.block_configs()
    whole = [space.blocks(space.at(row)) for row in spread_rows(space, networks, seed)]
    wanted = {_keys(row): row for row in [*((block,) for block in blocks), *whole]}
    with ExitStack() as open_now:
        show = open_now.enter_context(terminal_bar()) if progress is None else progress
        compiled = _compile(open_now, engine, wanted, export, show)
        reference = open_now.enter_context(engine(reference_model(), label="reference"))
        measured = round_robin(
            compiled, reference, cycles=cycles, seconds=seconds, seed=seed, progress=show
        )
    return _table(measured, info, [_keys((b,)) for b in blocks], [_keys(row) for row in whole])


def spread_rows(space: Space[A], count: int, seed: int) -> list[int]:
    """Choose different architectures at random, spread over the range of sizes.

    The range of sizes (multiply-adds of a 3x3 convolution per block, a stand-in known before
    anything is measured) is cut into ``count`` equal parts, and each gives one architecture, or
    lends the nearest where it has none left.

    Returns:
        Rows of ``space.vectors()``, from small to large; all of them if the space has fewer.
    """
    if count == 0:
        return []
    random = np.random.default_rng(seed)
    if len(space) > MOST_ENUMERATED:
        # Far more than could be listed: draw some, of which each part of the range has a few.
        rows = np.unique(random.integers(len(space), size=_DRAWN))
        sizes = space.sum_blocks(_size, space.vectors_at(rows))
    else:
        rows, sizes = np.arange(len(space)), space.sum_blocks(_size)  # (n,)
    if count >= len(sizes):
        return [int(row) for row in rows[np.argsort(sizes, kind="stable")]]
    edges = np.linspace(sizes.min(), sizes.max(), count + 1)
    free = np.ones(len(sizes), dtype=bool)
    chosen = []
    for low, high in itertools.pairwise(edges):
        inside = np.flatnonzero(free & (sizes >= low) & (sizes <= high))
        if not len(inside):
            far = np.where(free, np.abs(sizes - (low + high) / 2), np.inf)
            inside = np.flatnonzero(far == far.min())
        at = int(random.choice(inside))
        free[at] = False
        chosen.append(at)
    return [int(rows[at]) for at in sorted(chosen, key=lambda at: (sizes[at], at))]


def _size(block: BlockConfig) -> float:
    return 9.0 * block.c_in * block.c_out * block.h_out * block.w_out


def _keys(blocks: Sequence[BlockConfig]) -> Keys:
    return tuple(block.key for block in blocks)


def _compile(
    open_now: ExitStack,
    engine: type[Engine],
    wanted: Mapping[Keys, Sequence[BlockConfig]],
    export: Export,
    progress: Progress,
) -> dict[Keys, Engine]:
    """Export and compile everything; all of it stays resident until ``open_now`` closes."""
    compiled = {}
    for done, (keys, blocks) in enumerate(wanted.items()):
        progress("compiling", done, len(wanted))
        model = engine(export(blocks), label=" + ".join(keys))
        compiled[keys] = open_now.enter_context(model)
    progress("compiling", len(wanted), len(wanted))
    return compiled


def _table(
    measured: Measurement[Keys], info: EngineInfo, blocks: list[Keys], whole: list[Keys]
) -> LatencyTable:
    def record(keys: Keys) -> LatencyRecord:
        return LatencyRecord.of(measured.samples[keys], measured.started)

    fast, slow = np.quantile(measured.reference, (0.05, 0.95))
    conditions = Conditions(
        device=DeviceRecord(**asdict(device.describe())),
        engine=info.name,
        precision=info.precision,
        versions={info.name: info.version, **_versions()},
        threads=info.threads,
        date=measured.started,
        cycles=measured.cycles,
        reference=LatencyRecord.of(measured.reference, measured.started),
        drift=float(slow / fast),
    )
    table = LatencyTable(
        statistic="minimum",
        conditions=conditions,
        blocks={keys[0]: record(keys) for keys in blocks},
        networks=tuple(NetworkRecord(blocks=keys, record=record(keys)) for keys in whole),
    )
    return verified(table)


def verified(table: LatencyTable) -> LatencyTable:
    """Return the table with its verification and correction computed from what it holds.

    Raises:
        MissingBlockError: if a network has a block that the table lacks.
    """
    table.require(BlockConfig.from_key(key) for net in table.networks for key in net.blocks)
    if not table.networks:
        return table.model_copy(update={"verification": None, "correction": None})

    def latency(record: LatencyRecord) -> float:
        return float(getattr(record, table.statistic))

    known = {key: latency(record) for key, record in table.blocks.items()}
    verification, correction = verify(
        sums=np.array([sum(known[key] for key in net.blocks) for net in table.networks]),
        counts=np.array([len(net.blocks) for net in table.networks], dtype=np.float64),
        measured=np.array([latency(net.record) for net in table.networks]),
        shortest=min(known.values()),
    )
    return table.model_copy(update={"verification": verification, "correction": correction})


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("optuna-pop", "numpy", "onnx", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
