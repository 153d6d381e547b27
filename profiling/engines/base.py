"""The life cycle every inference engine has: compile → warm → run → layers → close.

One instance is one network, resident and ready to run. The public methods check the state; a
concrete engine writes only the ``_impl`` methods and ``info``.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from optuna_pop.errors import EngineError, InputError, OptunaPopError

State = Literal["new", "compiled", "warm", "closed"]
Precision = Literal["float32", "tf32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "float16", "int8")
Kind = Literal["cpu", "gpu"]
_NS_PER_MS = 1e6
_LAYER_RUNS = 20


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How networks shall be compiled.

    Attributes:
        precision: Number type of weights and activations. "tf32" stores float32 and lets the tensor
            cores of NVIDIA GPUs multiply with fewer digits.
        cache: Folder where compiled networks and timing caches are kept between runs on the same
            device; None keeps nothing.
        layers: Whether single layers shall be timed, too: some engines keep the model for that.
    """

    precision: Precision = "float32"
    cache: Path | None = None
    layers: bool = False


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What ran the networks.

    Attributes:
        name: Registered name.
        version: Version of the engine's library.
        precision: Number type of weights and activations, e.g. "float32".
        threads: Threads of the host that one run uses.
        kind: What computes; decides how latencies are measured.
        clock: What times a run: the host's clock around it, or events in the GPU's own queue.
    """

    name: str
    version: str
    precision: str
    threads: int
    kind: Kind = "cpu"
    clock: Literal["host", "cuda events"] = "host"


@dataclass(frozen=True, slots=True)
class Timing:
    """One timed run.

    Attributes:
        ms: Its latency in milliseconds.
        enqueue_ms: Time the host took to hand the run to a GPU, in milliseconds; None where host
            and device are one, or it is not known.
    """

    ms: float
    enqueue_ms: float | None = None


@dataclass(frozen=True, slots=True)
class LayerTime:
    """What an engine says of one of its layers.

    Attributes:
        name: The engine's name of it; fused layers are often called "a + b". Names may repeat.
        ms: Mean time per run, in milliseconds.
        nodes: Names of the ONNX nodes it computes, where the engine tells.
    """

    name: str
    ms: float
    nodes: tuple[str, ...] = field(default=())


def checked_precision(
    engine: str, options: EngineOptions | None, known: Sequence[str] = PRECISIONS
) -> Precision:
    """Return the precision that is asked for.

    Raises:
        InputError: if the engine has no such precision.
    """
    precision = (options or EngineOptions()).precision
    if precision not in known:
        raise InputError(
            f"engine {engine!r} has no precision {precision!r}: choose one of {', '.join(known)}"
        )
    return precision


def require_static(label: str, name: str, shape: object, *, dynamic: bool) -> None:
    """Refuse an input or output whose shape is not fixed, or whose batch is not 1.

    Args:
        label: What the model is.
        name: Of the input or output.
        shape: As the engine's library has it.
        dynamic: Whether that is not fixed.

    Raises:
        InputError: saying how to mend it.
    """
    where = f"model of {label!r}: {name!r} has the"
    if dynamic:
        raise InputError(f"{where} dynamic shape {shape}; export it with static shapes")
    if not isinstance(shape, tuple) or shape[:1] != (1,):
        raise InputError(f"{where} shape {shape}; export it with batch 1, its first dimension")


class Engine(ABC):
    """A network compiled by an inference engine; use as a context manager.

    Args:
        model: A serialized ONNX model, batch 1, static shapes.
        label: What the model is, for messages, e.g. a block's key.
        options: How to compile it.

    Example:
        >>> with ENGINES["onnxruntime"](model, label="DF1") as engine:  # compiles
        ...     engine.warm()
        ...     engine.time().ms
    """

    def __init__(
        self, model: bytes, *, label: str = "model", options: EngineOptions | None = None
    ) -> None:
        self._model = model
        self._state: State = "new"
        self.label = label
        self.options = options or EngineOptions()

    # --- what an engine writes ---------------------------------------------------------------

    @classmethod
    @abstractmethod
    def info(cls, options: EngineOptions | None = None) -> EngineInfo:
        """Describe the engine.

        Raises:
            MissingExtraError: if the engine's library is not installed.
            EngineError: if it cannot run here, e.g. without a GPU.
            InputError: if it has no such precision.
        """

    @abstractmethod
    def _compile_impl(self, model: bytes) -> None:
        """Make the model ready: its memory allocated, its input filled and bound."""

    @abstractmethod
    def _run_impl(self) -> None:
        """Execute the network once and return when its result is there."""

    @abstractmethod
    def _close_impl(self) -> None:
        """Free what ``_compile_impl`` took."""

    def _time_impl(self) -> Timing:
        """Execute the network once and time it; by default on the host's clock."""
        start = time.perf_counter_ns()
        self._run_impl()
        return Timing((time.perf_counter_ns() - start) / _NS_PER_MS)

    def _sample_impl(self, warm_s: float, seconds: float, least: int) -> list[Timing]:
        """Warm up by time, then time runs; for engines that time themselves to override."""
        begin = time.perf_counter()
        while time.perf_counter() - begin < warm_s:
            self._run_impl()
        taken: list[Timing] = []
        begin = time.perf_counter()
        while len(taken) < least or time.perf_counter() - begin < seconds:
            taken.append(self._time_impl())
        return taken

    def _layers_impl(self, runs: int) -> Sequence[LayerTime]:  # noqa: ARG002 - for others
        """Time layer by layer; engines that can do it override this."""
        raise EngineError(
            f"{type(self).__name__} does not time single layers: measure blocks on their own, or "
            "use an engine that does (onnxruntime, openvino, tensorrt, trtexec)"
        )

    # --- the life cycle ----------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where in its life the engine is."""
        return self._state

    def __enter__(self) -> Self:
        self._require("new")
        self._compile_impl(self._model)
        self._model = b""  # the engine has its own copy now
        self._state = "compiled"
        return self

    def warm(self, runs: int = 2) -> None:
        """Execute untimed, so that lazily made buffers and caches exist before a timed run."""
        self._require("compiled", "warm")
        for _ in range(runs):
            self._run_impl()
        self._state = "warm"

    def run(self) -> None:
        """Execute the network once.

        Raises:
            OptunaPopError: if the engine was not compiled and warmed, or is closed.
            EngineError: if the device was lost.
        """
        if self._state != "warm":
            self._require("warm")
        self._run_impl()

    def time(self) -> Timing:
        """Execute the network once and return how long it took; errors as of ``run``."""
        if self._state != "warm":
            self._require("warm")
        return self._time_impl()

    def sample(self, *, warm_s: float, seconds: float, least: int) -> list[Timing]:
        """Warm up for some time, then time runs one after the other; errors as of ``run``.

        Args:
            warm_s: Seconds of untimed runs, so that a GPU's clocks rise.
            seconds: Seconds of timed runs.
            least: Timed runs, however long they take.
        """
        self._require("warm")
        return self._sample_impl(warm_s, seconds, least)

    def layers(self, runs: int = _LAYER_RUNS) -> tuple[LayerTime, ...]:
        """Time layer by layer, in a pass of its own, as asking for layers slows a network down.

        Never take a network's latency from the sum of these.

        Raises:
            EngineError: if this engine cannot.
            OptunaPopError: if it was not compiled for it.
        """
        self._require("warm")
        if not self.options.layers:
            raise OptunaPopError(
                f"{type(self).__name__} of {self.label!r} was not compiled to time layers: "
                "give EngineOptions(layers=True)"
            )
        return tuple(self._layers_impl(runs))

    def close(self) -> None:
        """Free everything; closing again does nothing."""
        if self._state in ("compiled", "warm"):
            self._close_impl()
        self._state = "closed"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _require(self, *states: State) -> None:
        if self._state not in states:
            raise OptunaPopError(
                f"{type(self).__name__} of {self.label!r} is {self._state} but must be "
                f"{' or '.join(states)}: use `with engine: engine.warm(); engine.run()`, once"
            )
