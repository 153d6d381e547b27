"""OpenVINO: Intel's engine, on the CPU or an integrated GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from optuna_pop.errors import EngineError, InputError, needs_extra
from optuna_pop.profiling.engines import ENGINES
from optuna_pop.profiling.engines.base import (
    Engine,
    EngineInfo,
    EngineOptions,
    Kind,
    LayerTime,
    checked_precision,
    require_static,
)
from optuna_pop.profiling.precision import in_precision


def _library() -> Any:
    with needs_extra("openvino"):
        import openvino
    return openvino


@ENGINES.register("openvino")
class OpenVinoEngine(Engine):
    """OpenVINO on the CPU: one thread, one stream, latency mode."""

    name: ClassVar = "openvino"
    device: ClassVar = "CPU"
    kind: ClassVar[Kind] = "cpu"
    precisions: ClassVar[tuple[str, ...]] = ("float32", "int8")  # float16 would run as bfloat16

    @classmethod
    def info(cls, options: EngineOptions | None = None) -> EngineInfo:
        """Describe the engine; see ``Engine.info``."""
        precision = checked_precision(cls.name, options, cls.precisions)
        library = _library()
        found = library.Core().available_devices
        if not any(name.startswith(cls.device) for name in found):
            raise EngineError(
                f"engine {cls.name!r} finds no {cls.device} device: OpenVINO has "
                f"{', '.join(found) or 'none'}; install the device's driver"
            )
        version = str(library.__version__).partition("-")[0]
        return EngineInfo(cls.name, version, precision, threads=1, kind=cls.kind)

    def _settings(self) -> dict[str, str]:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            # Else OpenVINO computes in bfloat16 or float16 where the device is quicker with it.
            "INFERENCE_PRECISION_HINT": "f16" if self.options.precision == "float16" else "f32",
        }
        if self.device == "CPU":
            settings |= {"INFERENCE_NUM_THREADS": "1", "ENABLE_CPU_PINNING": "NO"}
        return settings

    def _compile(self, *, profile: bool) -> Any:
        core = _library().Core()
        settings = {**self._settings(), "PERF_COUNT": "YES" if profile else "NO"}
        try:
            model = core.read_model(self._source, b"")
            return core.compile_model(model, self.device, settings).create_infer_request()
        except RuntimeError as error:
            raise InputError(f"OpenVINO rejects the model of {self.label!r}: {error}") from error

    def _compile_impl(self, model: bytes) -> None:
        precision = self.options.precision
        self._source = in_precision(model, precision, self.label) if precision == "int8" else model
        self._request = self._compile(profile=False)
        self._fill(self._request)
        if not self.options.layers:
            self._source = b""

    def _fill(self, request: Any) -> None:
        random = np.random.default_rng(0)
        for port in request.get_compiled_model().inputs:
            shape = port.get_partial_shape()
            sizes = shape if shape.is_dynamic else tuple(port.get_shape())
            require_static(self.label, port.get_any_name(), sizes, dynamic=shape.is_dynamic)
            values = random.standard_normal(sizes).astype(np.float32)
            request.set_tensor(port, _library().Tensor(values))

    def _run_impl(self) -> None:
        self._request.infer()

    def _layers_impl(self, runs: int) -> Sequence[LayerTime]:
        """Counters of a second request, compiled to count."""
        request = self._compile(profile=True)
        self._fill(request)
        took: dict[str, list[float]] = {}
        request.infer()
        for _ in range(runs):
            request.infer()
            for layer in request.get_profiling_info():
                if "EXECUTED" in str(layer.status):
                    ms = layer.real_time.total_seconds() * 1e3
                    took.setdefault(layer.node_name, []).append(ms)
        return [LayerTime(name, float(np.sum(times)) / runs) for name, times in took.items()]

    def _close_impl(self) -> None:
        del self._request, self._source


@ENGINES.register("openvino-gpu")
class OpenVinoGpuEngine(OpenVinoEngine):
    """OpenVINO on an Intel GPU."""

    name: ClassVar = "openvino-gpu"
    precisions: ClassVar = ("float32", "float16", "int8")
    device: ClassVar = "GPU"
    kind: ClassVar[Kind] = "gpu"
