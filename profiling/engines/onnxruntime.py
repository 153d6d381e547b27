"""ONNX Runtime: the CPU, and NVIDIA GPUs through its execution providers.

On the CPU one thread, sequential; everywhere input and output are bound once, on the device.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

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

_DTYPES: dict[str, DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
_CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3
_US_PER_MS = 1e3


def _library() -> Any:
    with needs_extra("profiling"):
        import onnxruntime
    return onnxruntime


@ENGINES.register("onnxruntime")
class OnnxRuntimeEngine(Engine):
    """ONNX Runtime's CPU provider.

    One thread: with two the sums of block latencies stop predicting networks (Pearson's r .74
    against .999), because a block alone and a block inside a network share the cores differently.
    """

    name: ClassVar = "onnxruntime"
    provider: ClassVar = _CPU
    precisions: ClassVar[tuple[str, ...]] = ("float32", "int8")  # float16 would run as float32

    @classmethod
    def info(cls, options: EngineOptions | None = None) -> EngineInfo:
        """Describe the engine; see ``Engine.info``."""
        precision = checked_precision(cls.name, options, cls.precisions)
        ort = _library()
        cls._require_provider(ort)
        kind: Kind = "cpu" if cls.provider == _CPU else "gpu"
        return EngineInfo(cls.name, str(ort.__version__), precision, threads=1, kind=kind)

    @classmethod
    def _require_provider(cls, ort: Any) -> None:
        """Refuse a provider that this installation of ONNX Runtime lacks."""
        if cls.provider not in ort.get_available_providers():
            raise EngineError(
                f"engine {cls.name!r}: this ONNX Runtime has no {cls.provider}; it has "
                f"{', '.join(ort.get_available_providers())}. Install onnxruntime-gpu in place of "
                "onnxruntime, with the CUDA libraries of its version"
            )

    def _provider_options(self) -> Mapping[str, str]:
        return {}

    def _session_of(self, model: bytes, *, profile: Path | None = None) -> Any:
        ort = _library()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if self.provider != _CPU:
            # A network that runs half on the CPU would be timed as something it is not.
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        if profile is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile)
        try:
            return self._open(ort, model, options)
        except Exception as error:  # its exceptions have no common base; all mean "rejected"
            raise InputError(
                f"ONNX Runtime rejects the model of {self.label!r}: {error}"
            ) from error

    def _open(self, ort: Any, model: bytes, options: Any) -> Any:
        """Make the session; providers that are plug-ins do it their own way."""
        return ort.InferenceSession(
            model, options, providers=[(self.provider, dict(self._provider_options()))]
        )

    def _compile_impl(self, model: bytes) -> None:
        model = in_precision(model, self.options.precision, self.label)
        self._source = model if self.options.layers else b""
        self._session = self._session_of(model)
        self._binding = self._bound(self._session)

    def _bound(self, session: Any) -> Any:
        ort = _library()
        place = "cpu" if self.provider == _CPU else "cuda"
        binding = session.io_binding()
        # Small numbers of both signs: no denormals, which run slower than real activations do.
        random = np.random.default_rng(0)
        for node in session.get_inputs():
            array = random.standard_normal(self._shape(node)).astype(self._dtype(node))
            value = ort.OrtValue.ortvalue_from_numpy(array, place)
            binding.bind_ortvalue_input(node.name, value)
        for node in session.get_outputs():
            value = ort.OrtValue.ortvalue_from_shape_and_type(
                self._shape(node), self._dtype(node), place
            )
            binding.bind_ortvalue_output(node.name, value)
        return binding

    def _run_impl(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def _layers_impl(self, runs: int) -> Sequence[LayerTime]:
        """Kernel times of a second session, which ONNX Runtime profiles."""
        with tempfile.TemporaryDirectory() as folder:
            session = self._session_of(self._source, profile=Path(folder, "profile"))
            binding = self._bound(session)
            for _ in range(runs + 1):  # the first is left out
                session.run_with_iobinding(binding)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        took: dict[str, list[float]] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                name = event["name"].removesuffix("_kernel_time")
                took.setdefault(name, []).append(event["dur"] / _US_PER_MS)
        return [
            LayerTime(name, float(np.mean(times[len(times) // (runs + 1) :])), (name,))
            for name, times in took.items()
        ]

    def _close_impl(self) -> None:
        del self._session, self._binding, self._source

    def _shape(self, node: Any) -> tuple[int, ...]:
        shape = tuple(node.shape)
        dynamic = not all(isinstance(size, int) for size in shape) or math.prod(shape) < 1
        require_static(self.label, node.name, shape, dynamic=dynamic)
        return shape

    def _dtype(self, node: Any) -> DTypeLike:
        if node.type not in _DTYPES:
            raise InputError(
                f"model of {self.label!r}: {node.name!r} is a {node.type}; "
                f"give one of {', '.join(_DTYPES)}"
            )
        return _DTYPES[node.type]


@ENGINES.register("onnxruntime-cuda")
class CudaProviderEngine(OnnxRuntimeEngine):
    """ONNX Runtime's CUDA provider; a run ends when the GPU has its result."""

    name: ClassVar = "onnxruntime-cuda"
    provider: ClassVar = "CUDAExecutionProvider"
    precisions: ClassVar = ("float32", "tf32", "float16")

    def _provider_options(self) -> Mapping[str, str]:
        return {
            "use_tf32": "1" if self.options.precision == "tf32" else "0",
            "cudnn_conv_algo_search": "EXHAUSTIVE",
        }


@ENGINES.register("onnxruntime-tensorrt")
class TensorRTProviderEngine(OnnxRuntimeEngine):
    """ONNX Runtime's TensorRT provider; TensorRT's own API times more exactly."""

    name: ClassVar = "onnxruntime-tensorrt"
    provider: ClassVar = "TensorrtExecutionProvider"
    precisions: ClassVar = ("float32", "float16", "int8")

    def _provider_options(self) -> Mapping[str, str]:
        cache = self.options.cache
        if cache is None:
            return {}
        return {
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(cache),
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache),
        }


@ENGINES.register("onnxruntime-tensorrt-rtx")
class TensorRTRTXProviderEngine(OnnxRuntimeEngine):
    """TensorRT for RTX as a plug-in of ONNX Runtime (``onnxruntime-ep-nv-tensorrt-rtx``)."""

    name: ClassVar = "onnxruntime-tensorrt-rtx"
    provider: ClassVar = "NvTensorRTRTXExecutionProvider"
    precisions: ClassVar = ("float32", "float16", "int8")

    @classmethod
    def _require_provider(cls, ort: Any) -> None:
        with needs_extra("tensorrt-rtx"):
            import onnxruntime_ep_nv_tensorrt_rtx as plugin
        if not any(device.ep_name == cls.provider for device in ort.get_ep_devices()):
            try:
                ort.register_execution_provider_library(cls.provider, plugin.get_library_path())
            except Exception as error:  # of its own kinds; all mean "cannot be loaded"
                raise EngineError(
                    f"engine {cls.name!r} cannot be loaded; it needs an NVIDIA driver: {error}"
                ) from error
        if not cls._devices(ort):
            raise EngineError(
                f"engine {cls.name!r} finds no NVIDIA GPU: it needs one, and its driver"
            )

    @classmethod
    def _devices(cls, ort: Any) -> list[Any]:
        return [device for device in ort.get_ep_devices() if device.ep_name == cls.provider]

    def _open(self, ort: Any, model: bytes, options: Any) -> Any:
        self._require_provider(ort)
        options.add_provider_for_devices(self._devices(ort)[:1], {})
        return ort.InferenceSession(model, options)
