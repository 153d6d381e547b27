"""Times of TensorRT's layers, and the ONNX nodes that each computes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from optuna_pop.profiling.engines.base import LayerTime

_NODE = re.compile(r"\[ONNX Layer: (?P<node>.*?)\](?=[\x1e\x1f]|$)")


def recorder(trt: Any) -> Any:
    """Return a profiler that adds up what TensorRT reports, in ``times`` by place and name."""

    class Recorder(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)  # without it TensorRT calls into nothing
            self.names: list[str] = []
            self.ms: list[float] = []
            self._place = 0

        def begin(self) -> None:
            """Start a run: layers are reported in the same sequence each time."""
            self._place = 0

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            if self._place == len(self.names):
                self.names.append(layer_name)
                self.ms.append(0.0)
            self.ms[self._place] += ms
            self._place += 1

    return Recorder()


def nodes_of(metadata: str) -> tuple[str, ...]:
    r"""Return the ONNX nodes in a layer's metadata: "[ONNX Layer: a]\x1e[ONNX Layer: b]"."""
    return tuple(_NODE.findall(metadata))


def nodes_by_layer(information: str | Mapping[str, Any]) -> dict[str, list[tuple[str, ...]]]:
    """Read what TensorRT's inspector, or ``trtexec --exportLayerInfo``, says of an engine.

    Args:
        information: Its JSON, {"Layers": [{"Name": ..., "Metadata": ...}, ...], ...}. Without
            detailed verbosity layers are mere names, and nothing is known of their nodes.

    Returns:
        Nodes by layer name; one entry for each layer of that name, in sequence, as names can
        repeat.
    """
    content = json.loads(information) if isinstance(information, str) else information
    found: dict[str, list[tuple[str, ...]]] = {}
    for layer in content.get("Layers", ()):
        if isinstance(layer, dict):
            nodes = nodes_of(str(layer.get("Metadata", "")))
            found.setdefault(str(layer.get("Name", "")), []).append(nodes)
    return found


def with_nodes(
    times: Sequence[tuple[str, float]], nodes: Mapping[str, Sequence[tuple[str, ...]]]
) -> list[LayerTime]:
    """Put names, times and nodes together.

    A name that repeats is matched in sequence; where the counts differ nobody knows which is
    which, and the layers keep their names alone.
    """
    counts: dict[str, int] = {}
    for name, _ in times:
        counts[name] = counts.get(name, 0) + 1
    seen: dict[str, int] = {}
    found = []
    for name, ms in times:
        at = seen.get(name, 0)
        seen[name] = at + 1
        known = nodes.get(name, ())
        found.append(LayerTime(name, ms, known[at] if len(known) == counts[name] else ()))
    return found
