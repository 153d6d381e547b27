"""The reference convolution that shows how the machine drifts while it measures."""

from __future__ import annotations

import numpy as np

from optuna_pop.errors import needs_extra

_CHANNELS, _SIZE, _KERNEL = 32, 16, 3


def reference_model() -> bytes:
    """Return an ONNX model of one 3x3 convolution, 32 to 32 channels at 16x16: 2.4 MMACs.

    Raises:
        MissingExtraError: if onnx is not installed.
    """
    with needs_extra("profiling"):
        from onnx import TensorProto, helper, numpy_helper
    shape = [1, _CHANNELS, _SIZE, _SIZE]
    weight = np.random.default_rng(0).standard_normal((_CHANNELS, _CHANNELS, _KERNEL, _KERNEL))
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        "reference",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weight.astype(np.float32), "w")],
    )
    # Written in an old format on purpose: every engine of the last years reads it.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    return bytes(model.SerializeToString())
