"""Making a latency table: measure blocks and whole networks together, then verify."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

import numpy as np

from optuna_pop.errors import InputError
from optuna_pop.profiling.attribution import by_position
from optuna_pop.profiling.layered import block_samples, covering_rows
from optuna_pop.profiling.measuring import MIN_CYCLES
from optuna_pop.profiling.progress import Progress
from optuna_pop.profiling.records import LatencyRecord, NetworkRecord, Source
from optuna_pop.profiling.session import Plan, Session, measure
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
WIDEST = 32.0
"""Times the smallest network's size up to which whole networks are measured."""


def build_table(
    space: Space[A],
    export: Export,
    plan: Plan | None = None,
    *,
    networks: int = NETWORKS,
    source: Source = "blocks",
    progress: Progress | None = None,
) -> LatencyTable:
    """Measure every block configuration of a space on this device.

    Whole networks of the space are measured in the same session, to verify that sums of blocks
    predict them (POP paper, Figure 3(a)) and to fit this device's correction. It is kept only if
    it improves estimates of networks that it was not fitted on.

    Args:
        space: What to measure.
        export: Gives the ONNX model of blocks in a row.
        plan: With which engine, and how.
        networks: Whole networks to measure; fewer than 5 verify but fit no correction.
        source: "blocks" measures each block as a network of its own; "layers" measures whole
            networks that have them all, and adds up the engine's times of their layers.
        progress: Told what is done; by default a bar where standard error is a terminal.

    Returns:
        The table, with its verification where ``networks`` is not 0.

    Raises:
        InputError: if an argument cannot be used, the space has no blocks, the engine rejects
            a model, or layers cannot be given back to all blocks.
        UnknownNameError: if there is no such engine.
        MissingExtraError: if the engine's library is not installed.
        EngineError: if the engine cannot run here, does not time layers, or loses its device.
        TableError: if the plan's journal holds a session of something else.
    """
    plan = plan or Plan()
    if networks < 0 or plan.cycles < MIN_CYCLES or not 0 <= plan.seconds < float("inf"):
        raise InputError(
            f"networks and seconds must not be negative and cycles at least {MIN_CYCLES} "
            f"but got {networks}, {plan.seconds} and {plan.cycles}"
        )
    blocks = space.block_configs()
    whole = [space.blocks(space.at(row)) for row in spread_rows(space, networks, plan.seed)]
    covering: list[tuple[BlockConfig, ...]] = []
    if source == "layers":
        covering = [space.blocks(space.at(row)) for row in covering_rows(space, plan.seed)]
    alone = [(block,) for block in blocks] if source == "blocks" else []
    wanted: dict[Keys, Sequence[BlockConfig]] = {
        keys_of(row): row for row in [*alone, *whole, *covering]
    }
    session = measure(
        models(wanted, export),
        plan,
        label=" + ".join,
        layers_of=[keys_of(row) for row in covering],
        progress=progress,
    )
    if source == "blocks":
        records = {block.key: session.record((block.key,)) for block in blocks}
    else:
        found = block_samples(session.layers, by_position, [block.key for block in blocks])
        started = session.measured.started
        records = {key: LatencyRecord.of(times, started) for key, times in found.items()}
    table = LatencyTable(
        statistic=session.statistic,
        source=source,
        conditions=session.conditions(),
        blocks=records,
        networks=network_records(session, [keys_of(row) for row in whole]),
    )
    return verified(table)


def models(
    wanted: Mapping[Keys, Sequence[BlockConfig]], export: Export
) -> dict[Keys, Callable[[], bytes]]:
    """Say how each network's ONNX model is made, when its turn comes."""
    return {keys: partial(export, blocks) for keys, blocks in wanted.items()}


def network_records(session: Session[Keys], whole: Sequence[Keys]) -> tuple[NetworkRecord, ...]:
    """Summarise whole networks."""
    return tuple(NetworkRecord(blocks=keys, record=session.record(keys)) for keys in whole)


def spread_rows(space: Space[A], count: int, seed: int) -> list[int]:
    """Choose different architectures at random, spread over the range of sizes.

    The range of sizes (multiply-adds of a 3x3 convolution per block, a stand-in known before
    anything is measured), up to ``WIDEST`` times the smallest, is cut into ``count`` equal parts on
    a logarithmic scale, and each gives one architecture, or lends the nearest where it has none
    left. Larger ones are left out where there are enough others: nobody searches over a range of
    such latencies, and networks of gigabytes of weights would have to be resident together.

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
    within = sizes <= WIDEST * sizes.min()
    if within.sum() >= count:
        rows, sizes = rows[within], sizes[within]
    edges = np.geomspace(sizes.min(), sizes.max(), count + 1)
    edges[0], edges[-1] = sizes.min(), sizes.max()  # geomspace may round the ends
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


def keys_of(blocks: Sequence[BlockConfig]) -> Keys:
    """Name a network by the keys of its blocks, in order."""
    return tuple(block.key for block in blocks)


def verified(table: LatencyTable) -> LatencyTable:
    """Return the table with its verification and correction computed from what it holds.

    Raises:
        MissingBlockError: if a network has a block that the table lacks.
    """
    table.require(BlockConfig.from_key(key) for net in table.networks for key in net.blocks)
    if not table.networks:
        return table.model_copy(update={"verification": None, "correction": None})

    known = {key: table.of(record) for key, record in table.blocks.items()}
    verification, correction = verify(
        sums=np.array([sum(known[key] for key in net.blocks) for net in table.networks]),
        counts=np.array([len(net.blocks) for net in table.networks], dtype=np.float64),
        measured=np.array([table.of(net.record) for net in table.networks]),
        shortest=min(known.values()),
    )
    return table.model_copy(update={"verification": verification, "correction": correction})
