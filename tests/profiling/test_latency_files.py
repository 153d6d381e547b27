from __future__ import annotations

import json
import math
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optuna_pop.errors import StorageError, TableError
from optuna_pop.profiling.table import Correction, LatencyTable

CORRECTED = Correction(a=1.1, b=-0.002)

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
