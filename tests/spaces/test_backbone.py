from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_pop.errors import ArchitectureError, InputError
from optuna_pop.order import precedes
from optuna_pop.spaces import DF1, DF2, BackboneArchitecture, BackboneSpace, BlockConfig
from optuna_pop.spaces.presets import space_from_spec

SMALL = BackboneSpace(widths=(8, 16, 32), max_depths=(2, 3, 2), input_shape=(3, 64, 96), classes=5)
MIXED = BackboneSpace(
    widths=(8, 256, 512),
    max_depths=(2, 3, 2),
    input_shape=(3, 64, 96),
    classes=5,
    block=("basic", "bottleneck", "bottleneck"),
)
MIXED_OTHER_WAY = BackboneSpace(
    widths=(8, 16, 32),
    max_depths=(2, 3, 2),
    input_shape=(3, 64, 96),
    classes=5,
    stem=(4, 32),
    block=("bottleneck", "basic", "bottleneck"),
)
spaces = st.sampled_from([SMALL, MIXED, MIXED_OTHER_WAY])
rows = st.integers(0, len(SMALL) - 1)


def test_sizes_counted_by_the_formula_and_by_hand() -> None:
    assert len(BackboneSpace(max_depths=(4, 6, 4))) == 73_324
    by_stages = {
        (depth, widths)
        for depth in itertools.product(range(1, 3), range(1, 4), range(1, 3))
        for widths in itertools.combinations_with_replacement((8, 16, 32), sum(depth))
    }
    assert len(SMALL) == len(by_stages)
    assert len(np.unique(SMALL.vectors(), axis=0)) == len(SMALL)


@given(rows)
def test_round_trips(row: int) -> None:
    architecture = SMALL.at(row)
    assert SMALL.row(architecture) == row
    assert SMALL.architecture(SMALL.vector(architecture)) == architecture
    assert SMALL.from_params(SMALL.params(architecture)) == architecture
    assert len(SMALL.vector(architecture)) == len(SMALL.dimensions)


@given(rows, st.data())
def test_deleting_or_narrowing_a_block_gives_a_precedent(row: int, data: st.DataObject) -> None:
    stages = [list(stage) for stage in SMALL.at(row).stages]
    stage = data.draw(st.integers(0, 2))
    block = data.draw(st.integers(0, len(stages[stage]) - 1))
    if len(stages[stage]) > 1 and data.draw(st.booleans()):
        del stages[stage][block]
    else:
        narrower = [w for w in SMALL.widths if w < stages[stage][block]]
        if not narrower:
            return
        stages[stage][block] = data.draw(st.sampled_from(narrower))
    smaller = BackboneArchitecture(tuple(tuple(blocks) for blocks in stages))
    if list(smaller.widths) == sorted(smaller.widths):
        assert precedes(SMALL.vector(smaller), SMALL.vector(SMALL.at(row)))


@given(st.data())
def test_any_parameter_values_give_a_valid_architecture(data: st.DataObject) -> None:
    params = {
        name: data.draw(st.integers(dist.low, dist.high))  # type: ignore[attr-defined]
        for name, dist in SMALL.distributions().items()
    }
    architecture = SMALL.from_params(params)
    assert 0 <= SMALL.row(architecture) < len(SMALL)


@given(spaces, rows)
@settings(max_examples=90)
def test_blocks_chain_from_image_to_classes(space: BackboneSpace, row: int) -> None:
    blocks = space.blocks(space.at(row))
    assert blocks[0].input_shape == (3, 64, 96)
    assert blocks[-1].output_shape == (5, 1, 1)
    for a, b in itertools.pairwise(blocks):
        assert a.output_shape == b.input_shape
    assert set(blocks) <= set(space.block_configs())
    assert [b.stride for b in blocks if b.kind in ("basic", "bottleneck")].count(2) == 3


@pytest.mark.parametrize("space", [SMALL, MIXED, MIXED_OTHER_WAY])
def test_block_configs_are_exactly_those_needed(space: BackboneSpace) -> None:
    needed = {b for row in range(len(space)) for b in space.blocks(space.at(row))}
    assert set(space.block_configs()) == needed


def test_bottlenecks_project_where_their_width_changes() -> None:
    blocks = MIXED.blocks(BackboneArchitecture(((8, 8), (8, 256, 512), (512, 512))))
    assert [block.key for block in blocks[4:]] == [
        "bottleneck 8x8x12->32x4x6 width=8",
        "bottleneck 32x4x6->1024x4x6 width=256",
        "bottleneck 1024x4x6->1024x4x6 project=1,width=512",
        "bottleneck 1024x4x6->1024x2x3 width=512",
        "bottleneck 1024x2x3->1024x2x3 width=512",
        "head 1024x2x3->5x1x1",
    ]


def test_blocks_of_one_kind_are_one_space() -> None:
    named = BackboneSpace(block=("basic",) * 3)
    assert named.spec() == BackboneSpace().spec()
    assert named.spec()["block"] == "basic"
    again = space_from_spec(json.loads(json.dumps(MIXED.spec())))
    assert again.fingerprint == MIXED.fingerprint
    assert again.block_configs() == MIXED.block_configs()
    assert MIXED.fingerprint != SMALL.fingerprint


def test_drawing_by_cost_knows_the_blocks_of_each_stage() -> None:
    rng = np.random.default_rng(0)
    cost = {block: float(rng.random()) for block in MIXED.block_configs()}
    sums = MIXED.sum_blocks(cost.__getitem__)
    paths = MIXED.paths(cost.__getitem__)
    assert paths.counter.size == len(MIXED)
    assert (paths.cheapest, paths.dearest) == (sums.argmin(), sums.argmax())


def test_vectorised_sum_equals_the_sum_of_blocks() -> None:
    rng = np.random.default_rng(0)
    for space in (
        SMALL,
        MIXED,
        MIXED_OTHER_WAY,
        BackboneSpace(stem=(16, 48)),
        BackboneSpace(widths=(64,)),
    ):
        cost = {block: float(rng.random()) for block in space.block_configs()}
        sums = space.sum_blocks(cost.__getitem__)
        for row in rng.integers(0, len(space), 200).tolist():
            assert sums[row] == pytest.approx(sum(cost[b] for b in space.blocks(space.at(row))))


def test_paper_networks() -> None:
    space = BackboneSpace()
    assert str(DF1) == "64x3 | 128x3 | 256x3, 512x1"
    assert space.blocks(DF1)[1].key == "conv 32x112x112->64x56x56"
    deep = BackboneSpace(max_depths=(3, 11, 6))
    assert deep.at(deep.row(DF2)) == DF2
    with pytest.raises(ArchitectureError, match="outside"):
        space.row(DF2)  # eleven blocks in stage 4


@given(st.sampled_from(BackboneSpace().block_configs()))
def test_block_keys_round_trip(block: BlockConfig) -> None:
    assert BlockConfig.from_key(block.key) == block
    assert BlockConfig.from_key(str(block) + " groups=2,width=8").options == (
        ("groups", 2),
        ("width", 8),
    )


def test_errors_name_the_value() -> None:
    with pytest.raises(InputError, match="64x5"):
        BlockConfig.from_key("basic 64x5")
    with pytest.raises(InputError, match=r"\(4, 0, 4\)"):
        BackboneSpace(max_depths=(4, 0, 4))
    with pytest.raises(InputError, match=r"one for each of 3 stages, but is \('basic', 'bottl"):
        BackboneSpace(block=("basic", "bottleneck"))
    with pytest.raises(InputError, match="too small"):
        BackboneSpace(input_shape=(3, 16, 16))
    with pytest.raises(ArchitectureError, match="never decreasing"):
        SMALL.vector(BackboneArchitecture(((16,), (8,), (8,))))
    with pytest.raises(ArchitectureError, match="vector"):
        SMALL.architecture((9,) * 9)
    with pytest.raises(ArchitectureError, match="vector"):
        SMALL.architecture((99_999,) * 9)


def test_fingerprint_tells_spaces_apart() -> None:
    again = BackboneSpace((8, 16, 32), (2, 3, 2), input_shape=(3, 64, 96), classes=5)
    assert again.fingerprint == SMALL.fingerprint
    assert BackboneSpace((8, 16, 32), (2, 3, 3)).fingerprint != SMALL.fingerprint
