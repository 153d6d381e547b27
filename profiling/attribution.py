"""Layer times of a whole network, given back to its blocks by name.

An engine fuses layers and names them after what it fused. Each naming habit of TensorRT 3 to 11,
ONNX Runtime and OpenVINO that is known is undone here: "a + b", "a || b", "PWN(a, b)",
"Reformatting CopyNode for Input Tensor 0 to a", "a copy", "{ForeignNode[a...b]}". A layer whose
parts belong to one block is that block's; any other is unattributed and is shown as such, since
nobody knows how its time would split.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import TypeAlias

from optuna_pop.errors import InputError
from optuna_pop.profiling.engines.base import LayerTime

Owner: TypeAlias = Callable[[str], str | None]
"""Gives the block that a node belongs to by the node's name, or None."""

_FOREIGN = re.compile(r"\{ForeignNode\[(?P<first>.+?)\.\.\.(?P<last>.+?)\]\}")
_COPY = re.compile(r"^.*Tensor \d+ (?:to|of|from) (?P<node>.+)$|^(?P<plain>.+) copy$")
_WRAPPED = re.compile(r"^[A-Z]\w*\((?P<inside>.+)\)$")
_FUSED = re.compile(r" \+ | \|\| ")
_SCOPE = re.compile(r"(?:^|[^A-Za-z0-9/])/(\d+)/")


@dataclass(frozen=True, slots=True)
class Unattributed:
    """A layer that is no single block's.

    Attributes:
        layer: As the engine gave it.
        blocks: Those it spans, sorted; empty where it names none.
    """

    layer: LayerTime
    blocks: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why it is no single block's, in words."""
        return f"spans {' and '.join(self.blocks)}" if self.blocks else "names no block"


@dataclass(frozen=True, slots=True)
class Attribution:
    """Where a network's time goes.

    Attributes:
        blocks: Milliseconds by block, in order of execution.
        layers: The block of every layer, in order of execution; None for the unattributed.
        unattributed: Layers that are no single block's.
        total: Milliseconds of all layers.
    """

    blocks: dict[str, float]
    layers: tuple[tuple[LayerTime, str | None], ...]
    unattributed: tuple[Unattributed, ...]
    total: float

    @property
    def share(self) -> float:
        """Share of the time that was attributed, 0 to 1."""
        return fsum(self.blocks.values()) / self.total if self.total else 0.0


def attribute(layers: Sequence[LayerTime], owner: Owner) -> Attribution:
    """Give the times of layers to blocks.

    Args:
        layers: In order of execution.
        owner: Block of a node.

    Raises:
        InputError: if there are no layers.
    """
    if not layers:
        raise InputError("there are no layers to attribute: does the engine time them?")
    blocks: dict[str, list[float]] = {}
    left, each = list[Unattributed](), list[tuple[LayerTime, str | None]]()
    for layer in layers:
        owners = _owners(layer, owner)
        block = next(iter(owners)) if len(owners) == 1 else None
        each.append((layer, block))
        if block is not None:
            blocks.setdefault(block, []).append(layer.ms)
        else:
            left.append(Unattributed(layer, tuple(sorted(owners))))
    return Attribution(
        {block: fsum(times) for block, times in blocks.items()},
        tuple(each),
        tuple(left),
        fsum(layer.ms for layer in layers),
    )


def _owners(layer: LayerTime, owner: Owner) -> set[str]:
    """Name the blocks of a layer's parts; nodes told by the engine are trusted before the name."""
    for parts in (layer.nodes, parts_of(layer.name)):
        found = {block for part in parts if (block := owner(part)) is not None}
        if found:
            return found
    return set()


def parts_of(name: str) -> tuple[str, ...]:
    """Take an engine's layer name apart into names of nodes.

    A range "{ForeignNode[a...b]}" gives its two ends: where they lie in one block, so does what is
    between them.
    """
    names: list[str] = []
    for ends in _FOREIGN.finditer(name):
        names += ends["first"], ends["last"]
    for part in _FUSED.split(_FOREIGN.sub("", name)):
        if copied := _COPY.match(part):
            names += parts_of(copied["node"] or copied["plain"])
        elif wrapped := _WRAPPED.match(part):
            for inside in wrapped["inside"].split(", "):
                names += parts_of(inside)
        elif part.strip(" ()"):
            names.append(part.strip(" ()"))
    return tuple(names)


def by_position(node: str) -> str | None:
    """Block of a node of a network that this project exported: its number in the network.

    Nodes of ``optuna_pop.trainables.export`` are called "/NUMBER/...", and engines keep that in
    names of their own.
    """
    found = _SCOPE.search(node)
    return found[1] if found else None


def by_prefix(prefixes: Iterable[tuple[str, str]]) -> Owner:
    """Return an owner by the beginning of names; the longest that fits wins.

    Args:
        prefixes: Pairs of a beginning and the block it means.
    """
    longest_first = sorted(prefixes, key=lambda pair: -len(pair[0]))

    def owner(node: str) -> str | None:
        return next((block for start, block in longest_first if node.startswith(start)), None)

    return owner
