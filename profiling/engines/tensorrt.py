"""TensorRT through NVIDIA's Python API, and TensorRT for RTX, which has the same interface.

Two passes, because one disturbs the other: end to end by CUDA events without a profiler, and layer
by layer with one, in an execution context of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from optuna_pop.errors import EngineError
from optuna_pop.profiling.cuda import Cuda, open_cuda
from optuna_pop.profiling.engines import ENGINES
from optuna_pop.profiling.engines.base import (
    Engine,
    EngineInfo,
    EngineOptions,
    LayerTime,
    Timing,
    checked_precision,
)
from optuna_pop.profiling.trt import library
from optuna_pop.profiling.trt.building import build, listening_logger
from optuna_pop.profiling.trt.layers import nodes_by_layer, recorder, with_nodes

_NS_PER_MS = 1e6


@ENGINES.register("tensorrt")
class TensorRTEngine(Engine):
    """TensorRT 8.6 to 11; memory, stream and events by pycuda or torch."""

    flavour: ClassVar[library.Flavour] = "tensorrt"
    _shared: ClassVar[Cuda | None] = None  # one stream for all engines of the process

    @classmethod
    def info(cls, options: EngineOptions | None = None) -> EngineInfo:
        """Describe the engine; see ``Engine.info``."""
        precision = checked_precision(cls.flavour, options)
        trt = library.load(cls.flavour)
        cls._cuda()
        return EngineInfo(
            cls.flavour,
            str(trt.__version__),
            precision,
            threads=1,
            kind="gpu",
            clock="cuda events",
        )

    @classmethod
    def _cuda(cls) -> Cuda:
        if TensorRTEngine._shared is None:
            TensorRTEngine._shared = open_cuda()
        return TensorRTEngine._shared

    def _compile_impl(self, model: bytes) -> None:
        self._trt = library.load(self.flavour)
        self._gpu = self._cuda()
        plan = build(self._trt, model, self.options, label=self.label, device=self._gpu.device_name)
        self._logger = listening_logger(self._trt)
        self._runtime = self._trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f"TensorRT cannot load the engine of {self.label!r}: "
                f"{'; '.join(self._logger.complaints[-2:])}"
            )
        self._kept: list[object] = []
        self._addresses = {name: self._buffer(name) for name in self._tensors()}
        self._context = self._new_context()
        self._start, self._end = self._gpu.event(), self._gpu.event()

    def _tensors(self) -> list[str]:
        return [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]

    def _buffer(self, name: str) -> int:
        shape = tuple(self._engine.get_tensor_shape(name))
        kind = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name)))
        values = np.random.default_rng(0).standard_normal(shape).astype(kind)
        address, memory = self._gpu.upload(values)
        self._kept.append(memory)
        return address

    def _new_context(self) -> Any:
        context = self._engine.create_execution_context()
        if context is None:
            raise EngineError(
                f"TensorRT has no room to run {self.label!r}: "
                f"{'; '.join(self._logger.complaints[-2:])}"
            )
        for name, address in self._addresses.items():
            context.set_tensor_address(name, address)
        return context

    def _enqueue(self, context: Any) -> None:
        if not context.execute_async_v3(self._gpu.stream):
            raise EngineError(
                f"the GPU failed while it ran {self.label!r}: "
                f"{'; '.join(self._logger.complaints[-2:]) or 'TensorRT does not say why'}."
            )

    def _run_impl(self) -> None:
        self._enqueue(self._context)
        self._wait()

    def _wait(self) -> None:
        try:
            self._gpu.synchronize()
        except Exception as error:  # pycuda's and torch's own kinds: the device is lost
            raise EngineError(f"the GPU was lost while it ran {self.label!r}: {error}.") from error

    def _time_impl(self) -> Timing:
        self._gpu.record(self._start)
        begin = time.perf_counter_ns()
        self._enqueue(self._context)
        handed = (time.perf_counter_ns() - begin) / _NS_PER_MS
        self._gpu.record(self._end)
        try:
            ms = self._gpu.elapsed_ms(self._start, self._end)
        except Exception as error:  # as above
            raise EngineError(f"the GPU was lost while it ran {self.label!r}: {error}.") from error
        return Timing(ms, handed)

    def _layers_impl(self, runs: int) -> Sequence[LayerTime]:
        context, heard = self._new_context(), recorder(self._trt)
        context.profiler = heard
        context.enqueue_emits_profile = False
        for _ in range(2):  # warm up, unheard
            heard.begin()
            self._enqueue(context)
            self._wait()
            context.report_to_profiler()
        heard.ms = [0.0] * len(heard.ms)
        for _ in range(runs):
            heard.begin()
            self._enqueue(context)
            self._wait()
            context.report_to_profiler()
        inspector = self._engine.create_engine_inspector()
        told = inspector.get_engine_information(self._trt.LayerInformationFormat.JSON)
        times = [(n, ms / runs) for n, ms in zip(heard.names, heard.ms, strict=True)]
        return with_nodes(times, nodes_by_layer(told))

    def _close_impl(self) -> None:
        del self._context, self._engine, self._runtime, self._start, self._end
        self._kept.clear()


@ENGINES.register("tensorrt-rtx")
class TensorRTRTXEngine(TensorRTEngine):
    """TensorRT for RTX, for GeForce cards."""

    flavour: ClassVar[library.Flavour] = "tensorrt-rtx"
