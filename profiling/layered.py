"""Block latencies from the layers of whole networks, for ``source="layers"`` of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from optuna_pop.errors import InputError
from optuna_pop.profiling.attribution import Owner, attribute
from optuna_pop.profiling.engines.base import LayerTime
from optuna_pop.spaces.base import Space

A = TypeVar("A")
_DRAWN = 4_000


def covering_rows(space: Space[A], seed: int) -> list[int]:
    """Choose few architectures that together have every block configuration of a space.

    The one with most blocks still lacking is taken, again and again, among some thousand drawn.

    Raises:
        InputError: if those drawn do not have all blocks.
    """
    count = len(space)
    drawn = (
        np.arange(count)
        if count <= _DRAWN
        else np.random.default_rng(seed).integers(count, size=_DRAWN)
    )
    has = {int(row): {b.key for b in space.blocks(space.at(int(row)))} for row in drawn}
    lacking = {block.key for block in space.block_configs()}
    chosen = []
    while lacking:
        row = max(has, key=lambda row: (len(has[row] & lacking), -row))
        if not has[row] & lacking:
            raise InputError(
                f"no drawn architecture has {len(lacking)} of the blocks, e.g. "
                f"{min(lacking)!r}: measure blocks on their own, or choose another seed"
            )
        chosen.append(row)
        lacking -= has[row]
    return chosen


def block_samples(
    layers: Mapping[tuple[str, ...], Sequence[Sequence[LayerTime]]],
    position: Owner,
    wanted: Sequence[str],
) -> dict[str, list[float]]:
    """Add up layers to blocks.

    Args:
        layers: Passes of layer times, by the keys of a network's blocks.
        position: Gives the number of a block in its network by a node's name.
        wanted: Keys of the blocks to find.

    Returns:
        Milliseconds by block: one for each pass over each network and place in it, in which all
        of the engine's layers could be told apart.

    Raises:
        InputError: if nothing of a block could be attributed; it says which layers were not.
    """
    found: dict[str, list[float]] = {}
    lost: set[str] = set()
    for keys, passes in layers.items():
        for each in passes:
            told = attribute(each, position)
            shared = {block for one in told.unattributed for block in one.blocks}
            lost |= {one.layer.name for one in told.unattributed}
            for place, ms in told.blocks.items():
                if place not in shared:  # part of its time may be in a layer shared with others
                    found.setdefault(keys[int(place)], []).append(ms)
    lacking = [key for key in wanted if len(found.get(key, ())) < 2]
    if lacking:
        example = f"; not attributed were, e.g., {sorted(lost)[:3]}" if lost else ""
        raise InputError(
            f"the engine's layers could not be given back to {len(lacking)} blocks, e.g. "
            f"{lacking[0]!r}{example}: measure blocks on their own (--source blocks)"
        )
    return {key: found[key] for key in wanted}
