"""A small space and a table made of round numbers, so that commands need not measure."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from optuna_pop.cli import main
from optuna_pop.profiling import Conditions, LatencyRecord, LatencyTable
from optuna_pop.profiling.records import DeviceRecord
from optuna_pop.spaces.presets import load_space
from optuna_pop.trainables.data.digits import Digits

SPACE = {
    "space": "backbone",
    "widths": [4, 8, 12],
    "max_depths": [1, 1, 1],
    "input_shape": list(Digits().input_shape),
    "classes": 10,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with ``space.json`` and ``latency.json`` that fit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    made_up_table(tmp_path).save(tmp_path / "latency.json")
    return tmp_path


def made_up_table(folder: Path, factor: float = 1.0) -> LatencyTable:
    """A table with latencies by formula: for tests of what is done with a table, not of timing."""
    now = datetime.now(UTC)

    def record(value: float) -> LatencyRecord:
        return LatencyRecord(minimum=value, median=value, spread=0, samples=15, time=now)

    blocks = load_space(str(folder / "space.json")).block_configs()
    return LatencyTable(
        statistic="minimum",
        conditions=Conditions(
            device=DeviceRecord(
                name="made up", cores=1, machine="none", system="none", memory_gib=1
            ),
            engine="onnxruntime",
            precision="float32",
            versions={},
            threads=1,
            date=now,
            cycles=15,
            reference=record(1.0),
            drift=1.0,
        ),
        blocks={b.key: record(factor * (0.01 + 1e-5 * b.c_in * b.c_out)) for b in blocks},
    )


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished studies ``digits`` and ``streets``, to register networks of."""
    from tests.cli.registered import make_studies

    folder = tmp_path_factory.mktemp("finished")
    make_studies(folder)
    return folder


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: (exit code, standard output, standard error)."""

    def call(*words: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["optuna-pop", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err

    return call
