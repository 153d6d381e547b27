"""What a network costs besides time, counted on its ONNX model: MACs, parameters, memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from optuna_pop.errors import InputError, needs_extra

_BYTES: Final = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 16: 2}
"""Bytes of ONNX's element types: 1 is float32, 10 float16, 3 int8."""

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Counted on a model at batch 1.

    Attributes:
        macs: Multiply-accumulates of convolutions and matrix products.
        parameters: Numbers in weights and biases, as they are in the model: batch norm folded into
            a convolution leaves a bias for each channel.
        activation_bytes: Largest sum of the tensors alive at once when nodes run one after the
            other in the model's sequence, each freed after its last use; inputs and outputs
            included, weights not. An engine that computes in place needs less.
    """

    macs: int
    parameters: int
    activation_bytes: int


def model_size(model: bytes, label: str = "model") -> ModelSize:
    """Count a serialized ONNX model with static shapes.

    Args:
        model: Serialized; not changed.
        label: What it is, for messages.

    Raises:
        InputError: if it is damaged or has dynamic shapes; it names the input.
        MissingExtraError: if onnx is not installed.
    """
    with needs_extra("profiling"):
        import onnx
        from google.protobuf.message import DecodeError
        from onnx import shape_inference
    try:
        loaded = onnx.load_from_string(model)
        onnx.checker.check_model(loaded)
        graph = shape_inference.infer_shapes(loaded, strict_mode=True, data_prop=True).graph
    except (DecodeError, onnx.checker.ValidationError, shape_inference.InferenceError) as error:
        raise InputError(f"{label} is no valid ONNX model: {_first_line(error)}") from error
    weights = {w.name: tuple(w.dims) for w in graph.initializer}
    for given in graph.input:
        if given.name not in weights:
            _require_static(given, label)
    typed = [*graph.input, *graph.value_info, *graph.output]
    shapes: dict[str, tuple[int, ...]] = {v.name: _shape(v) for v in typed} | weights
    sizes = {
        v.name: math.prod(_shape(v)) * _BYTES.get(v.type.tensor_type.elem_type, 4) for v in typed
    }
    macs = sum(
        count(node, shapes) for node in graph.node if (count := _MACS.get(node.op_type)) is not None
    )
    constants = sum(
        math.prod(a.t.dims)
        for node in graph.node
        if node.op_type == "Constant"
        for a in node.attribute
        if a.name == "value" and a.t.data_type in (1, 10)
    )
    floats = sum(math.prod(w.dims) for w in graph.initializer if w.data_type in (1, 3, 10, 11))
    return ModelSize(macs, floats + constants, _peak(graph, sizes, set(weights)))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _require_static(given: Any, label: str) -> None:
    dims = given.type.tensor_type.shape.dim
    shape = tuple(d.dim_value if d.dim_value > 0 else (d.dim_param or "?") for d in dims)
    if not all(isinstance(size, int) for size in shape):
        raise InputError(
            f"{label}: input {given.name!r} has the dynamic shape {shape}; fix it, e.g. with "
            "`python -m onnxruntime.tools.make_dynamic_shape_fixed`, or export static shapes"
        )


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(d.dim_value for d in value.type.tensor_type.shape.dim)


def _conv(node: Any, shapes: Shapes) -> int:
    """Each output number sums over one filter: c_in / groups x kernel."""
    return math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])


def _conv_transpose(node: Any, shapes: Shapes) -> int:
    """Each input number is spread by c_out / groups x kernel."""
    return math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])


def _gemm(node: Any, shapes: Shapes) -> int:
    transposed = next((a.i for a in node.attribute if a.name == "transA"), 0)
    inner = shapes[node.input[0]][0 if transposed else 1]
    return math.prod(shapes[node.output[0]]) * inner


def _matmul(node: Any, shapes: Shapes) -> int:
    return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]


_MACS: Final[Mapping[str, Callable[[Any, Shapes], int]]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
}


def _peak(graph: Any, sizes: Mapping[str, int], weights: set[str]) -> int:
    end = len(graph.node)
    last = {value.name: end for value in graph.output}
    for place, node in enumerate(graph.node):
        for name in node.input:
            last[name] = max(last.get(name, 0), place)
    alive = {v.name: sizes[v.name] for v in graph.input if v.name not in weights}
    peak = sum(alive.values())
    for place, node in enumerate(graph.node):
        if node.op_type != "Constant":
            alive |= {name: sizes.get(name, 0) for name in node.output}
        peak = max(peak, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last.get(name, -1) > place}
    return peak
