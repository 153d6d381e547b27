"""One session of measuring: compile networks, measure them together, say under which conditions."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic

import numpy as np

from optuna_pop.errors import EngineError
from optuna_pop.profiling import device, gpu_measuring
from optuna_pop.profiling.accelerator import Accelerator, NvmlGauge, gauge, summarised
from optuna_pop.profiling.engines import ENGINES, Engine, EngineInfo, EngineOptions, LayerTime
from optuna_pop.profiling.journal import Journal
from optuna_pop.profiling.measuring import MIN_CYCLES, K, Measurement, round_robin
from optuna_pop.profiling.progress import Progress, terminal_bar
from optuna_pop.profiling.records import (
    AcceleratorRecord,
    Conditions,
    DeviceRecord,
    LatencyRecord,
    Note,
    Statistic,
)
from optuna_pop.profiling.reference import reference_model

SECONDS = 20.0


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        engine: Name of a registered engine.
        options: How it compiles.
        cycles: On a CPU, visits to every network, at least 15.
        seconds: On a CPU, measure at least so long.
        seed: Of the order of visits.
        journal: File that keeps what is measured until its owner deletes it, so that an interrupted
            session goes on where it was; None keeps nothing.
    """

    engine: str = "onnxruntime"
    options: EngineOptions = field(default_factory=EngineOptions)
    cycles: int = MIN_CYCLES
    seconds: float = SECONDS
    seed: int = 0
    journal: Path | None = None


@dataclass(frozen=True)
class Session(Generic[K]):
    """What was measured together.

    Attributes:
        measured: Samples by name.
        info: The engine.
        accelerator: The GPU, if one ran the networks.
        layers: Passes of layer times by name, of the networks for which they were asked.
    """

    measured: Measurement[K]
    info: EngineInfo
    accelerator: Accelerator | None
    layers: Mapping[K, Sequence[Sequence[LayerTime]]]

    @property
    def statistic(self) -> Statistic:
        """Which number of a record is the latency."""
        return "minimum" if self.info.kind == "cpu" else "median"

    def record(self, name: K) -> LatencyRecord:
        """Summarise one network."""
        samples = self.measured.samples[name]
        warnings: tuple[Note, ...] = ()
        if self.info.kind == "gpu":
            warnings = gpu_measuring.notes(samples, self.measured.enqueue.get(name, ()))
        return LatencyRecord.of(samples, self.measured.started, warnings)

    def conditions(self) -> Conditions:
        """Say on what and how this session measured."""
        measured, info = self.measured, self.info
        fast, slow = np.quantile(measured.reference, (0.05, 0.95))
        gpu = self.accelerator
        return Conditions(
            device=DeviceRecord(**asdict(device.describe())),
            accelerator=AcceleratorRecord(**asdict(gpu)) if gpu else None,
            engine=info.name,
            precision=info.precision,
            versions={info.name: info.version, **_versions()},
            threads=info.threads,
            date=measured.started,
            cycles=measured.cycles,
            clock=info.clock,
            reference=LatencyRecord.of(measured.reference, measured.started),
            drift=float(slow / fast),
        )


def measure(
    models: Mapping[K, Callable[[], bytes]],
    plan: Plan,
    *,
    label: Callable[[K], str] = str,
    layers_of: Sequence[K] = (),
    layer_passes: int = 3,
    progress: Progress | None = None,
) -> Session[K]:
    """Compile networks with one engine, and measure them against each other.

    Args:
        models: What gives the serialized ONNX model of each network, by name.
        plan: How.
        label: What a network is called in messages.
        layers_of: Networks whose layers are timed too, in passes after everything else.
        layer_passes: How often.
        progress: Told what is done; by default a bar where standard error is a terminal.

    Raises:
        InputError: if the engine rejects a model, or has no such precision.
        UnknownNameError: if there is no such engine.
        MissingExtraError: if the engine's library is not installed.
        EngineError: if it cannot run here, or the device is lost meanwhile.
        TableError: if the journal holds a session of something else.
    """
    engine = ENGINES[plan.engine]
    info = engine.info(plan.options)  # refuses a missing library before the work begins
    with ExitStack() as open_now:
        show = open_now.enter_context(terminal_bar()) if progress is None else progress
        look = open_now.enter_context(gauge())
        gpu = _accelerator(look, info)
        journal = Journal(plan.journal, _identity(info, gpu, plan, models, label), len(models))
        compiled: dict[K, Engine] = {}
        for number, (name, export) in enumerate(models.items()):
            show("compiling", number, len(models))
            options = replace(plan.options, layers=name in layers_of)
            one = engine(export(), label=label(name), options=options)
            compiled[name] = open_now.enter_context(one)
        show("compiling", len(models), len(models))
        reference = open_now.enter_context(
            engine(reference_model(), label="reference", options=plan.options)
        )
        common: dict[str, Any] = {"seed": plan.seed, "progress": show, "journal": journal}
        try:
            if info.kind == "cpu":
                measured = round_robin(
                    compiled, reference, cycles=plan.cycles, seconds=plan.seconds, **common
                )
            else:
                measured = gpu_measuring.visit_in_rounds(compiled, reference, look, **common)
        except BaseException as error:  # also Ctrl-C
            journal.keep(journal.cycles, journal.elapsed, now=True)
            if isinstance(error, EngineError) and plan.journal is not None:
                raise EngineError(
                    f"{error} What was measured is kept in {plan.journal}: the same command goes on"
                ) from error
            raise
        layers = {n: [compiled[n].layers() for _ in range(layer_passes)] for n in layers_of}
    if gpu is not None:
        gpu = summarised(gpu, measured.readings)
    return Session(measured, info, gpu, layers)


def device_name(plan: Plan) -> str:
    """Return the name of the device that a plan would measure: the GPU, or the processor.

    Raises:
        MissingExtraError: if the engine's library is not installed.
        EngineError: if the engine cannot run here.
    """
    info = ENGINES[plan.engine].info(plan.options)
    with gauge() as look:
        gpu = _accelerator(look, info)
    return gpu.name if gpu else device.describe().name


def _accelerator(look: object, info: EngineInfo) -> Accelerator | None:
    if info.kind == "cpu":
        return None
    if isinstance(look, NvmlGauge):
        return look.describe()
    return Accelerator(f"GPU of {device.describe().name}", "unknown", None)


def _identity(
    info: EngineInfo,
    gpu: Accelerator | None,
    plan: Plan,
    models: Mapping[K, object],
    label: Callable[[K], str],
) -> dict[str, Any]:
    return {
        "engine": asdict(info),
        "device": gpu.name if gpu else device.describe().name,
        "seed": plan.seed,
        "networks": [label(name) for name in models],
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("optuna-pop", "numpy", "onnx", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
