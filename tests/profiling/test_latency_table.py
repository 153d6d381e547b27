from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from optuna_pop.errors import InputError, MissingBlockError
from optuna_pop.profiling.table import Correction, LatencyRecord, LatencyTable
from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.spaces.pool import PoolSpace

CORRECTED = Correction(a=1.1, b=-0.002)


def test_a_saved_table_loads_equal(table: LatencyTable, tmp_path: Path) -> None:
    table = table.model_copy(update={"correction": CORRECTED})
    path = tmp_path / "new" / "table.json"
    table.save(path)
    loaded = LatencyTable.load(path)
    assert loaded == table
    assert loaded.fingerprint == table.fingerprint
    content = json.loads(path.read_text())
    assert content["schema"] == "optuna-pop/latency-table"
    assert content["schema_version"] == 1
    assert content["conditions"]["date"] == "2026-01-02T03:04:05Z"
    assert [entry.name for entry in path.parent.iterdir()] == ["table.json"]


def test_fingerprint_follows_the_content(table: LatencyTable) -> None:
    again = LatencyTable.model_validate(table.model_dump())
    assert again.fingerprint == table.fingerprint
    key, record = next(iter(table.blocks.items()))
    other = record.model_copy(update={"minimum": record.minimum / 2})
    changed = table.model_copy(update={"blocks": {**table.blocks, key: other}})
    slower = table.conditions.model_copy(update={"threads": 2})
    prints = {
        table.fingerprint,
        changed.fingerprint,
        table.model_copy(update={"conditions": slower}).fingerprint,
        table.model_copy(update={"correction": CORRECTED}).fingerprint,
    }
    assert len(prints) == 4


def test_fingerprint_does_not_depend_on_the_order_of_blocks(table: LatencyTable) -> None:
    backwards = dict(reversed(table.blocks.items()))
    assert table.model_copy(update={"blocks": backwards}).fingerprint == table.fingerprint


def test_a_table_cannot_be_changed(table: LatencyTable) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        table.statistic = "median"


@pytest.mark.parametrize("statistic", ["minimum", "median"])
@pytest.mark.parametrize("correction", [None, CORRECTED])
def test_costs_are_the_sums_over_blocks(
    table: LatencyTable, space: BackboneSpace, statistic: str, correction: Correction | None
) -> None:
    table = table.model_copy(update={"statistic": statistic, "correction": correction})
    a, b = (correction.a, correction.b) if correction else (1.0, 0.0)
    expected = []
    for row in range(len(space)):
        blocks = space.blocks(space.at(row))
        total = sum(getattr(table.blocks[block.key], statistic) for block in blocks)
        expected.append(a * total + b * len(blocks))
        assert table.latency(blocks) == pytest.approx(expected[-1])
    costs = table.costs(space)
    assert costs.shape == (len(space),)
    assert costs.dtype == np.float64
    np.testing.assert_allclose(costs, expected)
    some = np.array([5, 0, 5])
    np.testing.assert_array_equal(table.costs(space, some), costs[some])
    np.testing.assert_array_equal(space.sum_blocks(table.block_cost), costs)


def test_no_block_costs_less_than_nothing(table: LatencyTable, space: BackboneSpace) -> None:
    harsh = table.model_copy(update={"correction": Correction(a=1.0, b=-10.0)})
    assert harsh.latency(space.block_configs()[:2]) == 0.0


def test_missing_blocks_are_named(table: LatencyTable) -> None:
    wider = BackboneSpace(
        widths=(4, 8, 16, 32), max_depths=(2, 2), input_shape=(1, 16, 16), classes=3
    )
    missing = table.missing(wider)
    assert len(missing) > 5
    assert all(block.key not in table.blocks for block in missing)
    assert {block.key for block in wider.block_configs()} == (
        {block.key for block in missing}
        | ({block.key for block in wider.block_configs()} & set(table.blocks))
    )
    widest = wider.blocks(wider.at(int(wider.vectors().sum(axis=1).argmax())))
    lacking = next(block for block in sorted(widest) if block.key not in table.blocks)
    with pytest.raises(MissingBlockError, match="run `optuna-pop profile`") as caught:
        table.latency(widest)
    assert lacking.key in str(caught.value)
    with pytest.raises(MissingBlockError, match=lacking.key):
        table.block_cost(lacking)
    with pytest.raises(MissingBlockError, match=f"{len(missing)} block") as caught:
        table.costs(wider)
    assert missing[0].key in str(caught.value)
    assert missing[5].key not in str(caught.value)
    assert f"and {len(missing) - 5} more" in str(caught.value)


def test_nothing_is_missing_of_the_measured_space(
    table: LatencyTable, space: BackboneSpace
) -> None:
    assert table.missing(space) == ()


def test_a_space_without_blocks_is_refused(table: LatencyTable) -> None:
    with pytest.raises(InputError, match="no block configurations"):
        table.costs(PoolSpace([[0], [1]]))


# --- records and imports -----------------------------------------------------------------------


def test_a_record_summarises_its_samples(table: LatencyTable) -> None:
    record = LatencyRecord.of([4.0, 2.0, 3.0, 9.0, 5.0, 2.5], table.conditions.date)
    assert (record.minimum, record.median, record.samples) == (2.0, 3.5, 6)
    assert record.spread == 0.5  # minima of halves: 2.0 and 2.5
    assert record.unit == "ms"


def test_a_record_needs_two_samples(table: LatencyTable) -> None:
    with pytest.raises(InputError, match="at least 2"):
        LatencyRecord.of([1.0], table.conditions.date)


def test_a_table_needs_no_engine() -> None:
    code = (
        "import sys, optuna_pop.profiling.table\n"
        "heavy = {'onnxruntime', 'onnx', 'psutil', 'rich', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
