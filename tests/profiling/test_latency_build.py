from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from optuna_pop.errors import InputError, MissingBlockError, UnknownNameError
from optuna_pop.profiling import LatencyTable, build_table
from optuna_pop.profiling.build import WIDEST, spread_rows, verified
from optuna_pop.profiling.session import Plan
from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.spaces.blocks import BlockConfig

Onnx = Callable[..., bytes]
NETWORKS = 6


@pytest.fixture(scope="module")
def built(onnx: Onnx) -> tuple[LatencyTable, BackboneSpace, list[object]]:
    space = BackboneSpace(widths=(8, 16), max_depths=(2, 2), input_shape=(3, 32, 32), classes=3)
    seen: list[object] = []
    table = build_table(
        space,
        onnx,
        Plan(seconds=1.0),
        networks=NETWORKS,
        progress=lambda *step: seen.append(step),
    )
    return table, space, seen


Built = tuple[LatencyTable, BackboneSpace, list[object]]


def test_a_built_table_has_every_block(built: Built) -> None:
    table, space, _ = built
    assert set(table.blocks) == {block.key for block in space.block_configs()}
    costs = table.costs(space)
    assert np.isfinite(costs).all()
    assert (costs > 0).all()


def test_all_records_are_of_one_round_robin(built: Built) -> None:
    table, _, _ = built
    records = [*table.blocks.values(), *(network.record for network in table.networks)]
    assert {record.samples for record in records} == {table.conditions.cycles}
    assert {record.time for record in records} == {table.conditions.date}
    assert table.conditions.reference.samples == table.conditions.cycles * len(records)


def test_conditions_say_what_measured(built: Built) -> None:
    conditions = built[0].conditions
    assert (conditions.engine, conditions.threads, conditions.batch) == ("onnxruntime", 1, 1)
    assert {"onnxruntime", "numpy", "python", "optuna-pop"} <= set(conditions.versions)
    assert conditions.drift >= 1


def test_whole_networks_verify_the_table(built: Built) -> None:
    table, space, _ = built
    known = {tuple(block.key for block in space.blocks(space.at(row))) for row in range(len(space))}
    assert len({network.blocks for network in table.networks}) == NETWORKS
    assert {network.blocks for network in table.networks} <= known
    assert table.verification is not None
    assert table.verification.n == NETWORKS
    assert table.verification.corrected is not None
    kept = table.verification.corrected.mape < table.verification.sums.mape
    assert (table.correction is not None) == kept
    measured = [network.record.minimum for network in table.networks]
    assert measured[-1] > measured[0]  # from small to large


def test_the_verification_can_be_recomputed(built: Built, tmp_path: Path) -> None:
    table = built[0]
    table.save(tmp_path / "table.json")
    loaded = LatencyTable.load(tmp_path / "table.json")
    assert loaded == table
    bare = loaded.model_copy(update={"verification": None, "correction": None})
    assert verified(bare) == table


def test_a_verification_needs_its_blocks(built: Built) -> None:
    table = built[0]
    lost = table.networks[0].blocks[0]
    fewer = {key: record for key, record in table.blocks.items() if key != lost}
    with pytest.raises(MissingBlockError, match=lost):
        verified(table.model_copy(update={"blocks": fewer}))


def test_progress_tells_of_both_stages(built: Built) -> None:
    table, _, seen = built
    everything = len(table.blocks) + NETWORKS
    assert seen[0] == ("compiling", 0, everything)
    assert ("compiling", everything, everything) in seen
    assert seen[-1] == ("measuring", 100, 100)


def test_no_networks_no_verification(space: BackboneSpace, onnx: Onnx) -> None:
    table = build_table(space, onnx, Plan(seconds=0), networks=0)
    assert table.networks == ()
    assert table.verification is None
    assert table.correction is None
    assert table.conditions.cycles == 15


def test_every_distinct_model_is_exported_once(space: BackboneSpace, onnx: Onnx) -> None:
    asked: list[tuple[BlockConfig, ...]] = []

    def export(blocks: Sequence[BlockConfig]) -> bytes:
        asked.append(tuple(blocks))
        return onnx(blocks)

    build_table(space, export, Plan(seconds=0), networks=2)
    assert len(asked) == len(set(asked)) == len(space.block_configs()) + 2


def test_a_model_the_engine_rejects_is_named(space: BackboneSpace) -> None:
    first = space.block_configs()[0]
    with pytest.raises(InputError, match=first.key):
        build_table(space, lambda _: b"nonsense", networks=0)


@pytest.mark.parametrize(
    ("networks", "plan", "named"),
    [
        (-1, Plan(), "-1"),
        (2, Plan(cycles=3), "3"),
        (2, Plan(seconds=-1.0), "-1"),
        (2, Plan(seconds=float("nan")), "nan"),
    ],
)
def test_wrong_numbers_are_refused(
    space: BackboneSpace, onnx: Onnx, networks: int, plan: Plan, named: str
) -> None:
    with pytest.raises(InputError, match=named):
        build_table(space, onnx, plan, networks=networks)


def test_an_unknown_engine_is_refused(space: BackboneSpace, onnx: Onnx) -> None:
    with pytest.raises(UnknownNameError, match="abacus"):
        build_table(space, onnx, Plan("abacus"))


class TestSpreadRows:
    SPACE = BackboneSpace(widths=(8, 16, 32), max_depths=(2, 2, 2), input_shape=(1, 64, 64))

    def test_follows_the_seed(self) -> None:
        assert spread_rows(self.SPACE, 10, 0) == spread_rows(self.SPACE, 10, 0)
        assert spread_rows(self.SPACE, 10, 0) != spread_rows(self.SPACE, 10, 1)

    def test_covers_the_range_of_sizes(self) -> None:
        sizes = self.SPACE.sum_blocks(lambda b: 9.0 * b.c_in * b.c_out * b.h_out * b.w_out)
        chosen = np.log(sizes[spread_rows(self.SPACE, 10, 0)])
        largest = min(np.log(sizes.max()), np.log(WIDEST * sizes.min()))
        part = (largest - np.log(sizes.min())) / 10
        assert chosen[0] <= np.log(sizes.min()) + part
        assert chosen[-1] >= largest - 1.5 * part
        assert all(b - a <= 3 * part for a, b in pairwise(chosen))

    def test_leaves_out_what_nobody_searches(self) -> None:
        space = BackboneSpace()
        sizes = space.sum_blocks(lambda b: 9.0 * b.c_in * b.c_out * b.h_out * b.w_out)
        assert sizes.max() > 2 * WIDEST * sizes.min()
        assert sizes[spread_rows(space, 12, 0)].max() <= WIDEST * sizes.min()
        # Where there are too few others, they are taken.
        large = BackboneSpace((8, 64), (1, 1), input_shape=(1, 32, 32))
        assert len(spread_rows(large, 3, 0)) == 3

    def test_chooses_different_ones(self) -> None:
        rows = spread_rows(self.SPACE, 60, 3)
        assert len(set(rows)) == 60

    def test_takes_all_of_a_small_space(self, space: BackboneSpace) -> None:
        assert sorted(spread_rows(space, 10_000, 0)) == list(range(len(space)))

    def test_can_choose_none(self) -> None:
        assert spread_rows(self.SPACE, 0, 0) == []

    def test_space_beyond_listing(self) -> None:
        space = BackboneSpace(max_depths=(20, 20, 20))
        rows = spread_rows(space, 12, 0)
        assert len(set(rows)) == 12
        macs = space.sum_blocks(
            lambda b: float(b.c_in * b.c_out * b.h_out * b.w_out), space.vectors_at(np.array(rows))
        )
        assert (np.diff(macs) > 0).all()
        assert macs[-1] > 3 * macs[0]
