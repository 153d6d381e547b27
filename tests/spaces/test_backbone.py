from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_pop.errors import ArchitectureError, InputError
from optuna_pop.order import precedes
from optuna_pop.spaces import DF1, DF2, BackboneArchitecture, BackboneSpace, BlockConfig

SMALL = BackboneSpace(widths=(8, 16, 32), max_depths=(2, 3, 2), input_shape=(3, 64, 96), classes=5)
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


@given(rows)
@settings(max_examples=30)
def test_blocks_chain_from_image_to_classes(row: int) -> None:
    blocks = SMALL.blocks(SMALL.at(row))
    assert blocks[0].input_shape == (3, 64, 96)
    assert blocks[-1].output_shape == (5, 1, 1)
    for a, b in itertools.pairwise(blocks):
        assert a.output_shape == b.input_shape
    assert set(blocks) <= set(SMALL.block_configs())
    assert [b.stride for b in blocks if b.kind == "basic"].count(2) == 3


def test_block_configs_are_exactly_those_needed() -> None:
    needed = {b for row in range(len(SMALL)) for b in SMALL.blocks(SMALL.at(row))}
    assert set(SMALL.block_configs()) == needed


def test_vectorised_sum_equals_the_sum_of_blocks() -> None:
    rng = np.random.default_rng(0)
    for space in (SMALL, BackboneSpace(stem=(16, 48)), BackboneSpace(widths=(64,))):
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
