"""NVIDIA's trtexec: its command line, and the files it exports, of TensorRT 8.2 to 11.

Formats: ``--exportTimes`` gives [{"startEnqMs", "endEnqMs", "computeMs", ...}, ...], one for each
run; ``--exportProfile`` [{"count": n}, {"name", "timeMs", "averageMs", ...}, ...], without medians
in old versions; ``--exportLayerInfo`` {"Layers": [{"Name", "Metadata", ...}], ...}.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optuna_pop.errors import InputError, StorageError, TableError
from optuna_pop.profiling.engines.base import LayerTime
from optuna_pop.profiling.trt.layers import nodes_by_layer, with_nodes

PLACES: Final = ("/usr/src/tensorrt/bin/trtexec", "/opt/tensorrt/bin/trtexec")
VARIABLE: Final = "TRTEXEC"
_VERSION = re.compile(r"TensorRT v(\d{4,6})")
_FILE_WANTED = "run measure.sh on the device again: it makes only what is missing"


@dataclass(frozen=True, slots=True)
class Times:
    """Timed runs of one network.

    Attributes:
        compute: Milliseconds the GPU computed, shape (runs,).
        enqueue: Milliseconds the host took to hand each over, shape (runs,).
    """

    compute: NDArray[np.float64]
    enqueue: NDArray[np.float64]


def version_in(output: str) -> str:
    """Find TensorRT's version in what trtexec prints: "[TensorRT v8201]" is 8.2.1.

    Raises:
        InputError: if it is not there.
    """
    found = _VERSION.search(output)
    if found is None:
        raise InputError(f"trtexec does not say its version; it printed {output[:200]!r}")
    number = int(found[1])
    major = 1000 if number < 10_000 else 10_000  # 8601 is 8.6.1, and since 10 100300 is 10.3.0
    minor = major // (10 if major == 1000 else 100)
    return f"{number // major}.{number % major // minor}.{number % minor}"


def build_flags(help_text: str, precision: str) -> list[str]:
    """Flags that compile in a precision, with this trtexec.

    Where there are no precision flags (TensorRT 11 and later), networks are strongly typed and the
    model itself must have the types: ``optuna_pop.profiling.precision``.
    """
    flags = []
    wants = {"float16": "--fp16", "int8": "--int8"}.get(precision)
    if wants and has_flag(help_text, wants):
        flags.append(wants)
    if precision != "tf32" and has_flag(help_text, "--noTF32"):
        flags.append("--noTF32")
    for verbosity in ("--profilingVerbosity", "--nvtxMode"):  # the latter is the name before 8.4
        if has_flag(help_text, verbosity):
            flags.append(f"{verbosity}={'detailed' if verbosity[2] == 'p' else 'verbose'}")
            break
    return flags


def is_typed(help_text: str) -> bool:
    """Whether this trtexec has no precision flags, because the model decides."""
    return not has_flag(help_text, "--fp16")


def run_flags(help_text: str) -> list[str]:
    """Flags that time the GPU alone; newer versions do so by themselves."""
    return [f for f in ("--noDataTransfers", "--useSpinWait") if has_flag(help_text, f)]


def has_flag(help_text: str, flag: str) -> bool:
    """Whether trtexec's help knows a flag."""
    return re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", help_text) is not None


def read_times(path: Path) -> Times:
    """Read what ``--exportTimes`` wrote.

    Raises:
        StorageError: if the file cannot be read.
        TableError: if it is damaged, or holds no run.
    """
    rows = _json(path)
    try:
        compute = np.array([row["computeMs"] for row in rows], dtype=np.float64)
        enqueue = np.array([row["endEnqMs"] - row["startEnqMs"] for row in rows], dtype=np.float64)
    except (TypeError, KeyError, ValueError) as error:
        raise TableError(
            f"{path} is not what trtexec --exportTimes writes ({error!r}); {_FILE_WANTED}"
        ) from error
    if not compute.size or not np.isfinite(compute).all() or compute.min() <= 0:
        raise TableError(f"{path} holds no positive times; {_FILE_WANTED}")
    return Times(compute, enqueue)


def read_profile(path: Path, information: Path | None = None) -> list[LayerTime]:
    """Read layer times that ``--exportProfile`` wrote, with the nodes of ``--exportLayerInfo``.

    Args:
        path: Of the profile.
        information: Of the layers' information; without it layers have names alone.

    Raises:
        StorageError: if a file cannot be read.
        TableError: if one is damaged.
    """
    rows = _json(path)
    try:
        times = [
            (str(row["name"]), float(row["averageMs"]))
            for row in rows
            if not (isinstance(row, dict) and "count" in row and "name" not in row)
        ]
    except (TypeError, KeyError, ValueError) as error:
        raise TableError(
            f"{path} is not what trtexec --exportProfile writes ({error!r}); {_FILE_WANTED}"
        ) from error
    if information is None or not information.exists():
        return with_nodes(times, {})
    content = _json(information)
    if not isinstance(content, dict):
        raise TableError(
            f"{information} is not what trtexec --exportLayerInfo writes; {_FILE_WANTED}"
        )
    return with_nodes(times, nodes_by_layer(content))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise TableError(f"{path} is cut short or is not JSON ({error}); {_FILE_WANTED}") from error
