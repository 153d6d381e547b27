from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from optuna_pop.spaces import BlockConfig
from optuna_pop.trainables.blocks import input_shapes
from optuna_pop.trainables.export import INPUT_NAME, OUTPUT_NAME, export_onnx, to_onnx
from optuna_pop.trainables.networks import build_network
from tests.trainables.architectures import BLOCKS, NETWORKS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SEQUENCES: dict[str, Sequence[BlockConfig]] = {
    **{str(config): [config] for configs in BLOCKS.values() for config in configs},
    **{name: NETWORKS[name] for name in NETWORKS if name != "df2"},
    "from the middle": NETWORKS["wider inside a stage"][2:5],
}


def _run(model: bytes, *inputs: torch.Tensor) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    assert names[0] == INPUT_NAME
    fed = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
    (out,) = session.run([OUTPUT_NAME], fed)
    return np.asarray(out)


@pytest.mark.parametrize("name", SEQUENCES)
def test_onnx_gives_what_torch_gives(name: str) -> None:
    configs = SEQUENCES[name]
    generator = torch.Generator().manual_seed(0)
    network = build_network(configs)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, generator=generator)
    shapes = input_shapes(configs[0])
    inputs = [torch.randn(1, *shape, generator=generator) for shape in shapes]
    whole = network[0] if len(network) == 1 else network
    model = to_onnx(whole, shapes)
    assert network.training  # the mode is left alone
    with torch.no_grad():
        network.eval()
        expected = whole(*inputs).numpy()
    np.testing.assert_allclose(
        _run(model, *inputs), expected, rtol=1e-3, atol=1e-4 * expected.std()
    )


@pytest.mark.parametrize("name", ["df1", "wider inside a stage", "basic 8x7x9->8x4x5"])
def test_model_is_static_and_folded(name: str) -> None:
    configs = SEQUENCES[name]
    graph = onnx.load_from_string(export_onnx(configs)).graph
    assert {node.op_type for node in graph.node} <= {
        "Conv", "Relu", "Add", "GlobalAveragePool", "Flatten", "Gemm",
    }  # fmt: skip
    (given,) = graph.input
    shape = [d.dim_value for d in given.type.tensor_type.shape.dim]
    assert shape == [1, *configs[0].input_shape]
    convolutions = sum(isinstance(m, nn.Conv2d) for m in build_network(configs).modules())
    assert sum(node.op_type == "Conv" for node in graph.node) == convolutions


def test_export_is_the_same_for_the_same_seed() -> None:
    configs = NETWORKS["smallest"]
    assert export_onnx(configs, seed=1) == export_onnx(configs, seed=1)
    assert export_onnx(configs, seed=1) != export_onnx(configs, seed=2)
