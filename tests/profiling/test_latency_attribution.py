"""Layers given back to blocks, by the names that engines give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_pop.errors import InputError
from optuna_pop.profiling.attribution import attribute, by_position, by_prefix, parts_of
from optuna_pop.profiling.engines import LayerTime


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("/0/conv/Conv", ("/0/conv/Conv",)),
        ("/0/conv/Conv + /0/relu/Relu", ("/0/conv/Conv", "/0/relu/Relu")),
        ("a || b", ("a", "b")),
        ("PWN(PWN(/0/Sigmoid), /0/Mul)", ("/0/Sigmoid", "/0/Mul")),
        ("/1/Conv + PWN(/1/Relu)", ("/1/Conv", "/1/Relu")),
        (
            "Reformatting CopyNode for Input Tensor 0 to /1/Conv + /1/Relu",
            ("/1/Conv", "/1/Relu"),
        ),
        ("psp.pool1.interp copy", ("psp.pool1.interp",)),
        ("{ForeignNode[/2/a.../3/b]}", ("/2/a", "/3/b")),
        ("{ForeignNode[/2/a.../2/b]} + /2/c", ("/2/a", "/2/b", "/2/c")),
    ],
)
def test_names_are_taken_apart(name: str, parts: tuple[str, ...]) -> None:
    assert parts_of(name) == parts


@pytest.mark.parametrize(
    ("node", "block"),
    [
        ("/0/conv/Conv", "0"),
        ("/12/conv1/conv/Conv_output_0_nchwc", "12"),
        ("input_abcd_acdb_/3/conv/Conv/WithoutBiases", "3"),
        ("/4/pools/1/Conv", "4"),
        ("ReorderOutput_token_5", None),
        ("output", None),
    ],
)
def test_nodes_of_exported_networks_say_their_block(node: str, block: str | None) -> None:
    assert by_position(node) == block


def test_layers_go_to_blocks_and_the_rest_is_shown() -> None:
    layers = [
        LayerTime("/0/conv/Conv + /0/relu/Relu", 1.0),
        LayerTime("/0/pool + /1/conv/Conv", 2.0),
        LayerTime("/1/conv2/Conv", 4.0),
        LayerTime("__myl_Fc", 8.0, ("/1/linear/Gemm",)),
        LayerTime("__myl_Move", 16.0),
    ]
    found = attribute(layers, by_position)
    assert found.blocks == {"0": 1.0, "1": 12.0}
    assert [(one.layer.name, one.reason) for one in found.unattributed] == [
        ("/0/pool + /1/conv/Conv", "spans 0 and 1"),
        ("__myl_Move", "names no block"),
    ]
    assert found.total == 31.0
    assert found.share == pytest.approx(13 / 31)
    assert [block for _, block in found.layers] == ["0", None, "1", "1", None]


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 3), max_size=3), st.floats(0.001, 10)), min_size=1)
)
def test_every_layer_is_accounted_for(rows: list[tuple[list[int], float]]) -> None:
    layers = [
        LayerTime(" + ".join(f"/{place}/Conv" for place in places) or "copy", ms)
        for places, ms in rows
    ]
    found = attribute(layers, by_position)
    whole = sum(found.blocks.values()) + sum(one.layer.ms for one in found.unattributed)
    assert whole == pytest.approx(found.total) == sum(ms for _, ms in rows)
    assert len(found.layers) == len(layers)
    for one in found.unattributed:
        assert len({f"/{b}/" for b in one.blocks}) != 1


def test_the_longest_beginning_wins() -> None:
    owner = by_prefix([("score", "score"), ("score.up8", "upsample")])
    assert owner("score.up8 copy") == "upsample"
    assert owner("score.conv") == "score"
    assert owner("conv1") is None


def test_no_layers_are_refused() -> None:
    with pytest.raises(InputError, match="no layers"):
        attribute([], by_position)
