"""Measuring where no Python is: ONNX files and a script out, a latency table back in.

``export`` writes a folder with a model for every block and network, and ``measure.sh`` for the
device, which needs a POSIX shell and trtexec. ``import_table`` makes the table from what came back.
The protocol is that of ``gpu_measuring``: rounds in shuffled order, warm-up by time, medians.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from optuna_pop.errors import InputError, StorageError, TableError
from optuna_pop.files import write_whole
from optuna_pop.profiling import gpu_measuring, trtexec
from optuna_pop.profiling.attribution import by_position
from optuna_pop.profiling.build import Export, keys_of, spread_rows, verified
from optuna_pop.profiling.device_script import SCRIPT
from optuna_pop.profiling.engines.base import PRECISIONS
from optuna_pop.profiling.layered import block_samples, covering_rows
from optuna_pop.profiling.precision import in_precision
from optuna_pop.profiling.progress import Progress, silent
from optuna_pop.profiling.records import (
    AcceleratorRecord,
    Conditions,
    DeviceRecord,
    LatencyRecord,
    NetworkRecord,
    Source,
)
from optuna_pop.profiling.reference import reference_model
from optuna_pop.profiling.table import LatencyTable
from optuna_pop.spaces.base import Space
from optuna_pop.spaces.blocks import BlockConfig

A = TypeVar("A")
SCHEMA: Final = "optuna-pop/profile-export"
PLAN: Final = "plan.json"
_REFERENCE: Final = "reference"


def export(
    space: Space[A],
    folder: Path,
    onnx: Export,
    *,
    precision: str = "float32",
    networks: int = 12,
    seed: int = 0,
    progress: Progress = silent,
) -> int:
    """Write what a device without Python needs to measure a space.

    Args:
        space: What to measure.
        folder: Made if it is not there; must be empty.
        onnx: Gives the ONNX model of blocks in a row.
        precision: Number type of weights and activations.
        networks: Whole networks to fit and verify the correction on. Some more are added so that
            layers of whole networks cover every block.
        seed: Of the choice of networks and the order of visits.
        progress: Told what is done.

    Returns:
        How many models were written.

    Raises:
        InputError: if the folder is not empty, or a model has no form in the precision.
        StorageError: if it cannot be written.
    """
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder: choose another, or remove it")
    alone: list[tuple[BlockConfig, ...]] = [(block,) for block in space.block_configs()]
    whole = [space.blocks(space.at(row)) for row in spread_rows(space, networks, seed)]
    covering = [space.blocks(space.at(row)) for row in covering_rows(space, seed)]
    rows = {keys_of(blocks): blocks for blocks in [*alone, *whole, *covering]}
    names = {keys: f"{'b' if len(keys) == 1 else 'n'}{i:04}" for i, keys in enumerate(rows)}
    try:
        for part in ("models", "results"):
            (folder / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {folder}: {error.strerror or error}") from error
    _write_model(folder, _REFERENCE, reference_model(), precision)
    for done, (keys, blocks) in enumerate(rows.items()):
        progress("exporting", done, len(rows))
        _write_model(folder, names[keys], onnx(blocks), precision)
    progress("exporting", len(rows), len(rows))
    plan = {
        "schema": SCHEMA,
        "version": 1,
        "space": str(space),
        "precision": precision,
        "rounds": gpu_measuring.ROUNDS,
        "blocks": {keys[0]: names[keys] for keys in map(keys_of, alone)},
        "networks": [{"blocks": keys, "model": names[keys]} for keys in map(keys_of, whole)],
        "covering": [{"blocks": keys, "model": names[keys]} for keys in map(keys_of, covering)],
    }
    write_whole(folder / PLAN, json.dumps(plan, indent=1) + "\n")
    _write_script(folder, list(names.values()), precision, seed)
    return len(rows)


def import_table(folder: Path, *, source: Source = "blocks") -> LatencyTable:
    """Make a latency table of what a device measured.

    Args:
        folder: That ``export`` wrote, with ``results`` filled by ``measure.sh``.
        source: "blocks" takes the blocks measured alone, "layers" adds up the layers of whole
            networks.

    Raises:
        TableError: if results are missing or damaged; it names them, and why where the device
            said so.
        StorageError: if the folder cannot be read.
        InputError: if layers cannot be given back to all blocks.
    """
    plan = _plan(folder)
    device = _device(folder)
    names = [*plan["blocks"].values(), *(net["model"] for net in plan["networks"])]
    if source == "layers":
        names = [net["model"] for net in [*plan["networks"], *plan["covering"]]]
    lacking = sorted({n for n in names if not _times(folder, n)})
    if lacking:
        raise TableError(_lacking(folder, plan, lacking))
    when = datetime.fromtimestamp(int(device["started"]), tz=UTC)
    if source == "blocks":
        blocks = {key: _record(folder, name, when) for key, name in plan["blocks"].items()}
    else:
        blocks = _from_layers(folder, plan, when)
    networks = tuple(
        NetworkRecord(blocks=tuple(net["blocks"]), record=_record(folder, net["model"], when))
        for net in plan["networks"]
    )
    return verified(
        LatencyTable(
            statistic="median",
            source=source,
            conditions=_conditions(folder, plan, device, when),
            blocks=blocks,
            networks=networks,
        )
    )


def _write_model(folder: Path, name: str, model: bytes, precision: str) -> None:
    """Write a model; where TensorRT's version decides how float16 is asked for, in both forms."""
    first = in_precision(model, "int8", name) if precision == "int8" else model
    write_whole(folder / "models" / f"{name}.onnx", first)
    if precision == "float16":
        typed = in_precision(model, "float16", name)
        write_whole(folder / "models" / f"{name}.typed.onnx", typed)


def _write_script(folder: Path, names: list[str], precision: str, seed: int) -> None:
    rounds = []
    for number in range(1, gpu_measuring.ROUNDS + 1):
        order = np.random.default_rng((seed, number)).permutation(len(names))
        shuffled = " ".join([_REFERENCE, *(names[i] for i in order)])
        rounds.append(f'visit {number} "{shuffled}"')
    text = SCRIPT.format(
        precision=precision,
        warm_ms=round(1000 * gpu_measuring.WARM_S),
        seconds=gpu_measuring.VISIT_S,
        runs=gpu_measuring.RUNS,
        visits="\n".join(rounds),
        layered=" ".join(name for name in names if name.startswith("n")),
    )
    write_whole(folder / "measure.sh", text)
    (folder / "measure.sh").chmod(0o755)


def _plan(folder: Path) -> dict[str, Any]:
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(
            f"{folder} is not what `optuna-pop profile export` wrote: {PLAN} cannot be read "
            f"({error.strerror or error})"
        ) from error
    except ValueError as error:
        raise TableError(f"{folder / PLAN} is damaged ({error}): export again") from error
    if not isinstance(plan, dict) or plan.get("schema") != SCHEMA or plan.get("version") != 1:
        raise TableError(f"{folder / PLAN} is not of `optuna-pop profile export`: export again")
    return plan


def _device(folder: Path) -> dict[str, str]:
    path = folder / "results" / "device.txt"
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise TableError(
            f"{path} is missing: copy the whole folder to the device, run measure.sh there, and "
            "bring its results back"
        ) from error
    found = {k: v.strip() for k, _, v in (line.partition("=") for line in lines) if v.strip()}
    for wanted in ("started", "trtexec"):
        if wanted not in found:
            raise TableError(f"{path} does not say {wanted!r}: run measure.sh on the device again")
    return found


def _times(folder: Path, name: str) -> list[Path]:
    found = sorted((folder / "results").glob(f"{name}.*.times.json"))
    return found if len(found) >= gpu_measuring.ROUNDS else []


def _lacking(folder: Path, plan: dict[str, Any], lacking: list[str]) -> str:
    keys = {name: key for key, name in plan["blocks"].items()}
    shown = []
    for name in lacking[:5]:
        log = folder / "results" / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        said = [line for line in lines if "[E]" in line][-1:]
        shown.append(
            f"{keys.get(name, 'a whole network')} ({name}){': ' + said[0] if said else ''}"
        )
    more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
    return (
        f"{folder / 'results'} lacks {len(lacking)} measurements: {'; '.join(shown)}{more}. Run "
        "measure.sh on the device again: it makes only what is missing"
    )


def _record(folder: Path, name: str, when: datetime) -> LatencyRecord:
    times = [trtexec.read_times(path) for path in _times(folder, name)]
    compute = np.concatenate([each.compute for each in times])
    enqueue = np.concatenate([each.enqueue for each in times])
    return LatencyRecord.of(compute, when, gpu_measuring.notes(compute, enqueue))


def _from_layers(folder: Path, plan: dict[str, Any], when: datetime) -> dict[str, LatencyRecord]:
    results = folder / "results"
    layers = {}
    for net in [*plan["networks"], *plan["covering"]]:
        profiles = sorted(results.glob(f"{net['model']}.*.profile.json"))
        information = results / f"{net['model']}.layers.json"
        if profiles:
            layers[tuple(net["blocks"])] = [
                trtexec.read_profile(path, information) for path in profiles
            ]
    found = block_samples(layers, by_position, list(plan["blocks"]))
    return {key: LatencyRecord.of(times, when) for key, times in found.items()}


def _conditions(
    folder: Path, plan: dict[str, Any], device: dict[str, str], when: datetime
) -> Conditions:
    reference = _record(folder, _REFERENCE, when) if _times(folder, _REFERENCE) else None
    if reference is None:
        raise TableError(f"{folder / 'results'} lacks the reference: run measure.sh there again")
    runs = np.concatenate([trtexec.read_times(p).compute for p in _times(folder, _REFERENCE)])
    fast, slow = np.quantile(runs, (0.05, 0.95))
    version = trtexec.version_in(device["trtexec"])
    board = device.get("board", "unknown")
    return Conditions(
        device=DeviceRecord(
            name=board,
            cores=int(device.get("cores", "1")),
            machine=device.get("machine", "unknown"),
            system=device.get("system", "unknown"),
            memory_gib=round(int(device.get("memory_kib", "0")) / 2**20, 1),
        ),
        accelerator=AcceleratorRecord(
            name=device.get("gpu") or board, driver=device.get("driver", "unknown"), memory_gib=None
        ),
        engine="trtexec",
        precision=plan["precision"],
        versions={"trtexec": version},
        threads=1,
        date=when,
        cycles=plan["rounds"],
        clock="cuda events",
        reference=reference,
        drift=max(1.0, float(slow / fast)),
    )
