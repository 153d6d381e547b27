from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from optuna_pop.errors import InputError, MissingBlockError, StorageError, TableError
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


# --- bad files ---------------------------------------------------------------------------------


def _first_record(content: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = next(iter(content["blocks"].values()))
    return record


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another schema": (lambda c: c.update(schema="other/thing"), "schema is 'other/thing'"),
    "no schema": (lambda c: c.pop("schema"), "schema is None"),
    "a later version": (lambda c: c.update(schema_version=2), "schema_version 2"),
    "no version": (lambda c: c.pop("schema_version"), "schema_version None"),
    "a NaN latency": (lambda c: _first_record(c).update(minimum=math.nan), "minimum"),
    "an infinite latency": (lambda c: _first_record(c).update(median=math.inf), "median"),
    "a negative latency": (lambda c: _first_record(c).update(minimum=-0.5), "-0.5"),
    "a zero latency": (lambda c: _first_record(c).update(minimum=0), "minimum"),
    "a minimum above the median": (lambda c: _first_record(c).update(minimum=9.0), "above median"),
    "another unit": (lambda c: _first_record(c).update(unit="s"), "unit"),
    "a missing number": (lambda c: _first_record(c).pop("samples"), "samples"),
    "a time without zone": (lambda c: _first_record(c).update(time="2026-01-02T03:04:05"), "time"),
    "no blocks": (lambda c: c.update(blocks={}), "blocks"),
    "a key that is no block": (
        lambda c: c["blocks"].update({"nonsense": _first_record(c)}),
        "not a block configuration",
    ),
    "a key written otherwise": (
        lambda c: c["blocks"].update({"conv 01x4x4->4x2x2": _first_record(c)}),
        "conv 1x4x4->4x2x2",
    ),
    "an unknown field": (lambda c: c.update(colour="red"), "colour"),
    "a NaN correction": (lambda c: c.update(correction={"a": 1.0, "b": math.nan}), "correction"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_table_is_refused(table: LatencyTable, tmp_path: Path, name: str) -> None:
    damage, says = DAMAGES[name]
    path = tmp_path / "table.json"
    table.save(path)
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(TableError) as caught:
        LatencyTable.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert says in message
    assert "optuna-pop" in message  # the mend
    assert "\n" not in message


@pytest.mark.parametrize("kept", [0, 1, 0.5, 0.999])
def test_a_table_cut_short_is_refused(table: LatencyTable, tmp_path: Path, kept: float) -> None:
    path = tmp_path / "table.json"
    table.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept if kept == 1 else kept * len(whole))])
    with pytest.raises(TableError, match="cut short") as caught:
        LatencyTable.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"hello", b"\xff\xfe\x00", b"[" * 100_000, b"[1]", b"null"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"picture\.png"):
        LatencyTable.load(path)


def test_a_missing_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere\.json"):
        LatencyTable.load(tmp_path / "nowhere.json")


# --- saving ------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_file(table: LatencyTable, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    table.save(path)
    old = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(old) // 2, limits[1]))  # a real failing write
    try:
        with pytest.raises(StorageError, match="unchanged") as caught:
            table.model_copy(update={"correction": CORRECTED}).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_save_leaves_the_old_file(
    table: LatencyTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.json"
    table.save(path)
    old = path.read_bytes()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        table.model_copy(update={"correction": CORRECTED}).save(path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_half_a_table(table: LatencyTable, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    table.save(path)
    old = path.read_bytes()
    with path.open("rb") as reader:  # a process that opened it just before
        table.model_copy(update={"correction": CORRECTED}).save(path)
        assert reader.read() == old
    assert LatencyTable.load(path).correction == CORRECTED


def test_a_place_that_is_no_folder_is_named(table: LatencyTable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/table\.json"):
        table.save(tmp_path / "file" / "table.json")


def test_a_link_stays_a_link(table: LatencyTable, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real.json")
    table.save(link)
    assert link.is_symlink()
    assert LatencyTable.load(tmp_path / "real.json") == table


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
