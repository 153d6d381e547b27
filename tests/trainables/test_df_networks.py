"""The published networks: sizes, shapes, and the decoder's wiring."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from optuna_pop.errors import ArchitectureError, InputError, UnknownNameError
from optuna_pop.profiling.attribution import by_position
from optuna_pop.profiling.engines import ENGINES
from optuna_pop.profiling.onnx_stats import model_size
from optuna_pop.spaces import DF1, DF2, BackboneSpace, BlockConfig, DecoderSpace
from optuna_pop.spaces.df import NAMES, df_blocks, df_features, segmentation_blocks
from optuna_pop.spaces.presets import load_space, space_from_spec
from optuna_pop.trainables.export import export_onnx, to_onnx
from optuna_pop.trainables.networks import SegmentationNetwork, build_network, network_size
from tests.trainables.architectures import BLOCKS

SMALL = (3, 128, 192)


@pytest.mark.parametrize(
    ("name", "mmacs", "depth"), [("df1", 746.7, 23), ("df2", 1774.3, 43), ("df2a", 1916, 60)]
)
def test_backbones_have_their_published_size(name: str, mmacs: float, depth: int) -> None:
    size = network_size(df_blocks(name))
    assert size.macs / 1e6 == pytest.approx(mmacs, abs=0.05 if mmacs != 1916 else 0.5)
    assert size.depth == depth


def test_backbones_are_those_of_the_space() -> None:
    space = BackboneSpace(max_depths=(3, 11, 6))
    assert df_blocks("df1") == space.blocks(DF1)
    assert df_blocks("df2") == space.blocks(DF2)
    mixed = BackboneSpace(max_depths=(3, 11, 6), block=("basic", "bottleneck", "bottleneck"))
    assert df_blocks("df2a") == mixed.blocks(DF2)


@pytest.mark.parametrize("name", [name for name in NAMES if "seg" in name])
def test_segmentation_scores_every_pixel(name: str) -> None:
    blocks = df_blocks(name, input_shape=SMALL, classes=11)
    network = build_network(blocks)
    assert isinstance(network, SegmentationNetwork)
    scale = 8 if name.endswith("d8") else 1
    out = network(torch.randn(2, *SMALL))
    assert out.shape == (2, 11, SMALL[1] // scale, SMALL[2] // scale)
    out.square().mean().backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


def test_controllers_have_the_published_widths() -> None:
    widths = {
        name: tuple(block.c_out for block in df_blocks(name) if block.kind == "control")
        for name in NAMES
        if "seg" in name
    }
    assert widths == {
        "df1-seg-d8": (19, 32, 128),
        "df1-seg": (19, 32, 128),
        "df2-seg1": (19, 19, 32),
        "df2-seg2": (19, 256, 512),
    }
    # The number of classes is a width of its own.
    controls = [b.c_out for b in df_blocks("df1-seg", classes=11) if b.kind == "control"]
    assert controls == [11, 32, 128]


def test_a_decoder_uses_every_stage() -> None:
    """Changing what a tap gives changes the scores: nothing is left unconnected."""
    network = build_network(df_blocks("df1-seg-d8", input_shape=SMALL), seed=3).eval()
    assert isinstance(network, SegmentationNetwork)
    x = torch.randn(1, *SMALL)
    with torch.no_grad():
        plain = network(x)
        for place in (*network._taps, network._features):
            handle = network[place].register_forward_hook(lambda _, __, out: out + 1)
            assert not torch.allclose(network(x), plain)
            handle.remove()


@pytest.mark.parametrize("config", [c for kind in BLOCKS for c in BLOCKS[kind]], ids=str)
def test_every_block_alone_runs_in_an_engine(config: BlockConfig) -> None:
    session = onnxruntime.InferenceSession(export_onnx([config]))
    inputs = [node.shape for node in session.get_inputs()]
    fed = {n.name: np.zeros(n.shape, np.float32) for n in session.get_inputs()}
    (out,) = session.run(None, fed)
    assert out.shape[1] == config.c_out
    assert inputs[0] == [1, *config.input_shape]


@pytest.mark.parametrize("name", ["df1-seg", "df2a"])
def test_an_engine_computes_what_torch_does(name: str) -> None:
    shape = (3, 96, 160)  # 3x5 at stage 5: no level of the pyramid divides it
    network = build_network(df_blocks(name, input_shape=shape, classes=5), seed=1).eval()
    x = torch.randn(1, *shape)
    with torch.no_grad():
        wanted = network(x).numpy()
    session = onnxruntime.InferenceSession(to_onnx(network))
    (found,) = session.run(None, {"input": x.numpy()})
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_nodes_of_a_decoder_say_their_block() -> None:
    import onnx

    blocks = df_blocks("df1-seg", input_shape=SMALL)
    graph = onnx.load_from_string(export_onnx(blocks)).graph
    convs = {by_position(node.name) for node in graph.node if node.op_type == "Conv"}
    assert convs == {str(i) for i, b in enumerate(blocks) if b.kind != "upsample"}


def test_the_decoder_space_is_made_of_blocks() -> None:
    space = DecoderSpace(11, (32, 64), backbone="df1", input_shape=SMALL)
    assert len(space) == 27
    found = set(space.block_configs())
    for row in range(len(space)):
        blocks = space.blocks(space.at(row))
        assert set(blocks) <= found
        assert SegmentationNetwork(blocks).configs == blocks
    sums = space.sum_blocks(lambda block: float(block.c_out))
    assert sums[0] == sum(block.c_out for block in space.blocks(space.at(0)))
    assert space_from_spec(space.spec()).spec() == space.spec()
    assert load_space("df1-seg").spec() == DecoderSpace(backbone="df1").spec()
    with pytest.raises(InputError, match="has no block configurations"):
        DecoderSpace().blocks(space.at(0))


def test_wrong_names_and_shapes() -> None:
    with pytest.raises(UnknownNameError, match="df3"):
        df_blocks("df3")
    with pytest.raises(UnknownNameError, match="backbone 'df1-seg'"):
        df_features("df1-seg", SMALL)
    with pytest.raises(ArchitectureError, match="three resolutions"):
        segmentation_blocks(df_features("df1", (3, 4, 4)), (8, 8, 8), 5, None)
    with pytest.raises(ArchitectureError, match="inner width"):
        build_network([BlockConfig("bottleneck", 8, 4, 4, 8, 4, 4)])
    with pytest.raises(ArchitectureError, match="keeps height and width"):
        build_network([BlockConfig("control", 8, 4, 4, 8, 2, 2)])
    with pytest.raises(ArchitectureError, match="a segmentation network is a backbone"):
        build_network([*df_features("df1", SMALL), BlockConfig("fusion", 512, 4, 6, 8, 8, 12)])
    with pytest.raises(ArchitectureError, match="up-sampling keeps channels"):
        build_network([BlockConfig("upsample", 8, 4, 4, 8, 2, 2)])


@pytest.mark.parametrize("name", NAMES)
def test_every_published_network_is_built_counted_exported_and_timed(name: str) -> None:
    """Small images, as it is the way that is tested; sizes at full size are tested above."""
    blocks = df_blocks(name, input_shape=SMALL)
    counted = network_size(blocks)
    model = export_onnx(blocks)
    assert model_size(model).macs == counted.macs
    with ENGINES["onnxruntime"](model) as engine:
        engine.warm()
        engine.run()
        assert engine.time().ms > 0


@pytest.mark.parametrize(("name", "mmacs"), [("df1", 746.7), ("df2", 1774.3), ("df2a", 1916.1)])
def test_exported_backbones_have_their_published_size(name: str, mmacs: float) -> None:
    found = model_size(export_onnx(df_blocks(name)))
    assert found.macs / 1e6 == pytest.approx(mmacs, abs=0.05)
    # Most is alive at the ReLU of stage 1: its input and its output, float32.
    assert found.activation_bytes == 2 * 4 * 32 * 112 * 112
