"""Models in other number types: float16 and int8 written into the ONNX model itself.

Since TensorRT 11 every network is strongly typed: it computes in the types that the model has. So
the types are written here, once, for all engines. Weights and scales are made up, as latencies do
not depend on them; a model made here says nothing of accuracy.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from optuna_pop.errors import InputError, needs_extra

_QUANTIZED = ["Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "AveragePool", "GlobalAveragePool"]


def in_precision(model: bytes, precision: str, label: str = "model") -> bytes:
    """Return the model computing in a number type; its inputs and outputs stay float32.

    Args:
        model: A serialized float32 ONNX model, batch 1, static shapes.
        precision: "float32" and "tf32" leave the model as it is; "float16" converts every layer
            that has the type; "int8" puts quantize/dequantize pairs around convolutions and what
            follows them, with scales from two random inputs.
        label: What the model is, for messages.

    Raises:
        InputError: if it cannot be converted, or the precision is unknown.
        MissingExtraError: if onnx or onnxruntime is not installed.
    """
    if precision in ("float32", "tf32"):
        return model
    convert = {"float16": _to_float16, "int8": _to_int8}.get(precision)
    if convert is None:
        raise InputError(f"unknown precision {precision!r}: float32, tf32, float16 or int8")
    try:
        with _quiet():
            return convert(model)
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise InputError(f"the model of {label!r} has no form in {precision}: {error}") from error


def _to_float16(model: bytes) -> bytes:
    with needs_extra("profiling"):
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    converted = convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True)
    return bytes(converted.SerializeToString())


def _to_int8(model: bytes) -> bytes:
    with needs_extra("profiling"):
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    shapes = {
        node.name: tuple(size.dim_value for size in node.type.tensor_type.shape.dim)
        for node in onnx.load_from_string(model).graph.input
    }

    class Samples(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            random = np.random.default_rng(0)
            self._left = [
                {n: random.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
                for _ in range(2)
            ]

        def get_next(self) -> dict[str, Any] | None:
            return self._left.pop() if self._left else None

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(model)
        quantize_static(
            source,
            target,
            Samples(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTIZED,
            per_channel=True,
            # As TensorRT wants it: no zero points, and biases left as they are.
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
            },
        )
        return target.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ONNX Runtime's advice on preparing models for accuracy out of the way."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
