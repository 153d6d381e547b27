"""ONNX Runtime on the CPU: one thread, sequential, input and output bound once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.profiling.engines import ENGINES
from optuna_pop.profiling.engines.base import Engine, EngineInfo

_DTYPES: dict[str, DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
_PROVIDER = "CPUExecutionProvider"
_ERRORS_ONLY = 3


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

    @classmethod
    def info(cls) -> EngineInfo:
        """Describe the engine."""
        return EngineInfo("onnxruntime", _library().__version__, "float32", threads=1)

    def _compile_impl(self, model: bytes) -> None:
        ort = _library()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(model, options, providers=[_PROVIDER])
        except Exception as error:  # its exceptions have no common base; all mean "rejected"
            raise InputError(
                f"ONNX Runtime rejects the model of {self.label!r}: {error}"
            ) from error
        binding = session.io_binding()
        # Small numbers of both signs: no denormals, which run slower than real activations do.
        random = np.random.default_rng(0)
        for node in session.get_inputs():
            array = random.standard_normal(self._shape(node)).astype(self._dtype(node))
            binding.bind_ortvalue_input(node.name, ort.OrtValue.ortvalue_from_numpy(array))
        for node in session.get_outputs():
            value = ort.OrtValue.ortvalue_from_shape_and_type(self._shape(node), self._dtype(node))
            binding.bind_ortvalue_output(node.name, value)
        self._session, self._binding = session, binding

    def _run_impl(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def _close_impl(self) -> None:
        del self._session, self._binding

    def _shape(self, node: Any) -> tuple[int, ...]:
        shape = tuple(node.shape)
        if not all(isinstance(size, int) for size in shape) or math.prod(shape) < 1:
            raise InputError(
                f"model of {self.label!r}: {node.name!r} has the dynamic shape {shape}; "
                "export it with static shapes"
            )
        if shape[:1] != (1,):
            raise InputError(
                f"model of {self.label!r}: {node.name!r} has the shape {shape}; export it with "
                "batch 1, its first dimension"
            )
        return shape

    def _dtype(self, node: Any) -> DTypeLike:
        if node.type not in _DTYPES:
            raise InputError(
                f"model of {self.label!r}: {node.name!r} is a {node.type}; "
                f"give one of {', '.join(_DTYPES)}"
            )
        return _DTYPES[node.type]
