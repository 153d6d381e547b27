"""From a trial to a network that can be used: trained to the end, exported, checked, measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, cast

from optuna_pop.errors import EngineError, InputError, MissingExtraError
from optuna_pop.fingerprint import fingerprint
from optuna_pop.profiling import LatencyTable
from optuna_pop.profiling.engines import EngineOptions, Precision
from optuna_pop.profiling.records import LatencyRecord
from optuna_pop.profiling.session import Plan, device_name, measure
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.tracking.model_package import Exported
from optuna_pop.tracking.network_facts import Cost
from optuna_pop.trainables.data import DataSet
from optuna_pop.trainables.export import check_parity, to_onnx
from optuna_pop.trainables.image_model import ImageModel, check_image_parity, to_image_onnx
from optuna_pop.trainables.loading import all_of
from optuna_pop.trainables.parallel import train_parallel
from optuna_pop.trainables.recipes import TrainingRecipe
from optuna_pop.trainables.tasks import TASKS
from optuna_pop.trainables.training import OnEpoch, OnProgress, TrainingResult, train
from optuna_pop.trainables.weights import Weights, load_weights, save_weights

LARGEST_EXCESS = 0.1
"""A measured latency may lie above the one that a network was chosen by, by this share of it."""
_NETWORK = "network"
_TENSORRT: Final[dict[str, Literal["tensorrt", "tensorrt-rtx"]]] = {
    "tensorrt": "tensorrt",
    "tensorrt-rtx": "tensorrt-rtx",
}
"""Engines of tables that TensorRT's own files can be built for."""


@dataclass(frozen=True)
class FinalTraining:
    """How a network is trained to the end.

    Attributes:
        data: What to train on.
        recipe: How.
        named: Name of the recipe, and what was changed of it.
        seed: Of the training.
        begun: Weights that the backbone begins with.
        threads: Of torch on the CPU.
        processes: That train it together.
    """

    data: DataSet
    recipe: TrainingRecipe
    named: str
    seed: int = 0
    begun: Weights | None = None
    threads: int = 1
    processes: int = 1

    def digest(self, blocks: Sequence[BlockConfig]) -> str:
        """Return 16 hexadecimal digits of all that decides the weights, on one machine."""
        return fingerprint(
            {
                "blocks": [block.key for block in blocks],
                "data": self.data.fingerprint(),
                "recipe": self.recipe.spec(),
                "seed": self.seed,
                "begun": None if self.begun is None else self.begun.digest,
            }
        )


def train_to_file(
    blocks: Sequence[BlockConfig],
    how: FinalTraining,
    out: Path,
    *,
    on_epoch: OnEpoch | None = None,
    progress: OnProgress | None = None,
) -> tuple[TrainingResult, dict[str, Any]]:
    """Train a network to the end and write its weights; what was interrupted goes on.

    Args:
        blocks: Of the network.
        how: To train it.
        out: Where to write the weights; the state of the training lies beside it meanwhile.
        on_epoch: Told of each epoch.
        progress: Told of each step.

    Returns:
        The result, and what was written about it: data, recipe, held-out and test accuracy, how
        images are normalised.

    Raises:
        InputError: if the training diverges.
        StorageError: if the weights cannot be written.
    """
    images = how.data
    task = TASKS[images.task]
    run = partial(train_parallel, processes=how.processes) if how.processes > 1 else train
    result = run(
        blocks,
        images,
        how.recipe,
        seed=how.seed,
        threads=how.threads,
        on_epoch=on_epoch,
        progress=progress,
        checkpoint=Path(f"{out}.partial"),
        weights=how.begun,
    )
    if math.isnan(result.accuracy):
        raise InputError(
            f"the training diverged at {result.diverged or 'validation'}: lower the learning rate, "
            f"e.g. --set peak_lr={how.recipe.peak_lr / 4:g}"
        )
    about: dict[str, Any] = {
        "data": images.name,
        "recipe": how.named,
        "training": how.digest(blocks),
        "held_out": result.accuracy,
        "measure": task.accuracy,
        "statistics": images.statistics,
        "class_names": images.class_names,
    }
    test = images.load().test
    if test is not None:
        batches = all_of(test, images.input_shape, images.workers, classes=images.classes)
        about["test"] = task.measure(result.network, batches, images.classes)
    save_weights(out, result.network, about)
    return result, about


def finished(path: Path, training: str) -> Weights | None:
    """Return the weights of a training that was finished before; None where there are none."""
    if not path.exists():
        return None
    found = load_weights(path)
    return found if found.about.get("training") == training else None


def export(weights: Weights, path: Path, tables: Sequence[LatencyTable]) -> Exported:
    """Export a network, and check that every form computes what torch does.

    Args:
        weights: Of the network.
        path: Their file.
        tables: Latency tables; of one that TensorRT measured on this GPU an engine is built, too.

    Raises:
        InputError: if a form does not.
        MissingExtraError: if onnx or onnxruntime is not installed.
    """
    network = weights.network()
    plain = to_onnx(network)
    check_parity(network, plain)
    model = ImageModel(network, weights.statistics)
    whole = to_image_onnx(model)
    check_image_parity(model, whole)
    engines = {
        f"{table.fingerprint}.engine": _engine(plain, table, path.name)
        for table in tables
        if table.conditions.engine in _TENSORRT
        and table.conditions.precision != "int8"  # which needs the ranges of real activations
        and unlike_here(table) is None
    }
    return Exported(whole, plain, path.read_bytes(), engines, model.example().numpy())


def _engine(model: bytes, table: LatencyTable, label: str) -> bytes:
    """Build what a table of TensorRT measured, for this GPU alone."""
    from optuna_pop.profiling.trt import building, library

    trt = library.load(_TENSORRT[table.conditions.engine])
    return building.build(trt, model, _plan(table, 0.0).options, label=label)


def unlike_here(table: LatencyTable) -> str | None:
    """Say why a network cannot be measured here as a table was; None if it can."""
    was = table.conditions
    try:
        here = device_name(_plan(table, 0.0))
    except (MissingExtraError, EngineError, InputError) as error:
        return f"its table is of engine {was.engine!r}, which does not run here ({error})"
    if here != was.device_name:
        return f"its table is of device {was.device_name!r}, but this is {here!r}."
    return None


def measured(cost: Cost, network: bytes, *, seconds: float) -> Cost:
    """Measure an exported network as the table of a cost was, where this is the table's device.

    Other work on the machine only ever adds time, so what lies too high is measured again.

    Args:
        cost: By the table.
        network: ONNX of the bare network.
        seconds: On a CPU, measure at least so long.

    Returns:
        The cost with what was measured, or with a note that says why it was not.

    Raises:
        EngineError: if the engine fails meanwhile.
    """
    if cost.table is None:
        return replace(cost, note="It was not measured before it was registered.")
    reason = unlike_here(cost.table)
    if reason is not None:
        return replace(cost, note=reason)
    found = replace(cost, measured=_record(cost.table, network, seconds))
    if is_too_slow(found):
        again = replace(cost, measured=_record(cost.table, network, seconds))
        found = min(found, again, key=lambda one: one.latency or math.inf)
    return found


def is_too_slow(cost: Cost) -> bool:
    """Whether the measured latency lies above the cost by more than ``LARGEST_EXCESS``."""
    return cost.excess is not None and cost.excess > LARGEST_EXCESS


def _record(table: LatencyTable, network: bytes, seconds: float) -> LatencyRecord:
    return measure({_NETWORK: lambda: network}, _plan(table, seconds)).record(_NETWORK)


def _plan(table: LatencyTable, seconds: float) -> Plan:
    # The engine refuses a precision that it does not have.
    options = EngineOptions(precision=cast("Precision", table.conditions.precision))
    return Plan(table.conditions.engine, options, seconds=seconds)
