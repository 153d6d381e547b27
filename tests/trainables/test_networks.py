import pytest
import torch
from torch import nn

from optuna_pop.errors import ArchitectureError, UnknownNameError
from optuna_pop.spaces import BlockConfig
from optuna_pop.trainables import blocks
from optuna_pop.trainables.blocks.conv import conv_bn
from optuna_pop.trainables.networks import (
    build_network,
    count_macs,
    count_parameters,
    depth,
    network_size,
)
from tests.trainables.architectures import BLOCKS, NETWORKS

SINGLE = [config for configs in BLOCKS.values() for config in configs]


def test_every_registered_block_is_tested() -> None:
    registered = {name: blocks.BLOCKS[name] for name in blocks.BLOCKS.names()}
    # A benchmark that another test imported brings blocks of its own.
    own = {n for n, builder in registered.items() if builder.__module__.startswith(blocks.__name__)}
    assert own == set(BLOCKS)


def _output_shape(config: BlockConfig, samples: int) -> tuple[int, ...]:
    return (samples, config.c_out) if config.kind == "head" else (samples, *config.output_shape)


def _check(network: nn.Module, first: BlockConfig, last: BlockConfig) -> None:
    """Forward gives the promised shape without NaN, and every parameter gets a gradient."""
    generator = torch.Generator().manual_seed(0)
    shapes = blocks.input_shapes(first)
    inputs = [torch.randn(2, *shape, generator=generator) for shape in shapes]
    whole = network[0] if isinstance(network, nn.Sequential) and len(network) == 1 else network
    out = whole(*inputs)
    assert out.shape == _output_shape(last, 2)
    assert out.isfinite().all()
    if out.requires_grad:
        out.square().sum().backward()
    if first.kind == "upsample":
        assert not list(network.parameters())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("config", SINGLE, ids=str)
def test_block_computes_what_its_configuration_says(config: BlockConfig) -> None:
    _check(build_network([config], seed=1), config, config)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "df2"])  # df1 has its size
def test_network_gives_logits_and_trains_every_parameter(name: str) -> None:
    configs = NETWORKS[name]
    network = build_network(configs)
    _check(network, configs[0], configs[-1])
    assert len(network) == len(configs)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_block_gives_what_the_next_takes(name: str) -> None:
    configs = NETWORKS[name]
    network = build_network(configs).eval()
    x = torch.zeros(1, *configs[0].input_shape)
    with torch.no_grad():
        for config, block in zip(configs, network, strict=True):
            x = block(x)
            assert x.shape == _output_shape(config, 1)


@pytest.mark.parametrize(
    ("name", "mmacs", "layers", "parameters"),
    [("df1", 746.7, 23, 8_533_128), ("df2", 1774.3, 43, 17_987_208)],
)
def test_released_networks_have_their_published_size(
    name: str, mmacs: float, layers: int, parameters: int
) -> None:
    configs = NETWORKS[name]
    assert count_macs(configs) / 1e6 == pytest.approx(mmacs, abs=0.05)
    assert depth(configs) == layers
    assert count_parameters(configs) == parameters
    assert sum(p.numel() for p in build_network(configs).parameters()) == parameters


def test_size_of_one_block_by_hand() -> None:
    size = network_size([BlockConfig("basic", 8, 8, 8, 16, 4, 4)])
    assert size.macs == 16 * (16 * 8 * 9 + 16 * 16 * 9 + 16 * 8)
    assert size.parameters == 16 * 8 * 9 + 16 * 16 * 9 + 16 * 8 + 3 * 2 * 16
    assert size.depth == 2


def test_identity_shortcut_only_where_shapes_agree() -> None:
    kinds = [type(build_network([config])[0].shortcut) for config in BLOCKS["basic"]]
    assert kinds == [nn.Identity, nn.Sequential, nn.Sequential, nn.Sequential]


def test_seed_decides_the_weights_and_global_randomness_is_untouched() -> None:
    configs = NETWORKS["wider inside a stage"]
    before = torch.get_rng_state()
    one, same, other = (build_network(configs, seed=seed) for seed in (3, 3, 4))
    network_size(configs)
    assert torch.equal(before, torch.get_rng_state())
    weights, twice, others = (
        nn.utils.parameters_to_vector(n.parameters()) for n in (one, same, other)
    )
    assert torch.equal(weights, twice)
    assert not torch.equal(weights, others)


@pytest.mark.parametrize("channels", [4, 16])
def test_strided_shortcut_computes_a_plain_strided_convolution(channels: int) -> None:
    conv = conv_bn(channels, 6, kernel=1, stride=2).conv
    plain = nn.Conv2d(channels, 6, 1, 2, bias=False)
    plain.load_state_dict(conv.state_dict())
    x = torch.randn(3, channels, 7, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(conv(x), plain(x))
    conv(x).square().sum().backward()
    plain(x).square().sum().backward()
    torch.testing.assert_close(conv.weight.grad, plain.weight.grad)
    with torch.no_grad():
        torch.testing.assert_close(conv(x), plain(x))


def test_convolutions_start_kaiming_normal() -> None:
    conv = build_network([BlockConfig("conv", 64, 8, 8, 64, 8, 8)])[0].conv
    assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ([], "at least one block"),
        (
            [BlockConfig("conv", 1, 8, 8, 4, 4, 4), BlockConfig("basic", 8, 4, 4, 8, 4, 4)],
            r"block 1 \(basic 8x4x4->8x4x4\) takes \(8, 4, 4\) but block 0 .* gives \(4, 4, 4\)",
        ),
        ([BlockConfig("basic", 8, 8, 8, 8, 5, 5)], "cannot be built: stride 2"),
        ([BlockConfig("conv", 8, 8, 8, 8, 4, 8)], "output of 4x4 pixels, not 4x8"),
        ([BlockConfig("conv", 0, 8, 8, 8, 4, 4)], "size below 1"),
        ([BlockConfig("head", 8, 2, 2, 5, 2, 2)], "output is 1x1"),
        ([BlockConfig("basic", 8, 2, 2, 8, 2, 2, (("se", 4),))], "unknown option 'se'"),
    ],
)
def test_impossible_blocks_are_refused(configs: list[BlockConfig], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        build_network(configs)


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown block 'bottle': .*basic, bottleneck"):
        build_network([BlockConfig("bottle", 8, 2, 2, 8, 2, 2)])
