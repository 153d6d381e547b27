"""Table files: what they hold, and that an old one survives a failure."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from optuna_pop.errors import InputError, StorageError
from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import Trained
from optuna_pop.tracking.tables import write_csv

TRAINED = [
    Trained(0, "8x1 | 16x1, 32x1", 60.5, (0.3,)),
    Trained(2, 'a "quoted", one', 55.0, (0.4,)),
    Trained(3, "8x1 | 16x1", 52.25, (0.1,)),
]


def test_boundary_in_ascending_cost() -> None:
    assert [entry.number for entry in boundary_rows(TRAINED)] == [3, 0]
    assert boundary_rows([]) == []


def test_csv_holds_all_trained(tmp_path: Path) -> None:
    path = tmp_path / "new" / "boundary.csv"
    write_csv(path, TRAINED)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["on_boundary"] for row in rows] == ["true", "false", "true"]
    assert [row["architecture"] for row in rows] == [entry.architecture for entry in TRAINED]
    assert [float(row["accuracy"]) for row in rows] == [60.5, 55.0, 52.25]
    assert [float(row["latency_ms"]) for row in rows] == [0.3, 0.4, 0.1]
    assert [int(row["trial"]) for row in rows] == [0, 2, 3]


def test_csv_of_several_costs_and_of_none(tmp_path: Path) -> None:
    path = tmp_path / "boundary.csv"
    two = [Trained(0, "a", 1.0, (2.0, 3.0))]
    write_csv(path, two)
    assert path.read_text() == "trial,architecture,accuracy,cost_1,cost_2,on_boundary\n" + (
        "0,a,1.0,2.0,3.0,true\n"
    )
    write_csv(path, two, cost_names=["gpu_ms", "cpu_ms"])
    assert path.read_text().startswith("trial,architecture,accuracy,gpu_ms,cpu_ms,on_boundary\n")
    with pytest.raises(InputError, match="cost_names must name 2 costs"):
        write_csv(path, two, cost_names=["ms"])
    write_csv(path, [])
    assert path.read_text() == "trial,architecture,accuracy,latency_ms,on_boundary\n"


def test_a_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "boundary.csv"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"boundary\.csv: No space left on device; free"):
            write_csv(path, TRAINED)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*/file/boundary\.csv"):
        write_csv(tmp_path / "file" / "boundary.csv", TRAINED)
