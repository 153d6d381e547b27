"""``optuna-pop profile`` and its subcommands, measuring for real."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from optuna_pop.profiling import LatencyTable

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--space", "space.json", "--seconds", "0.3")


@pytest.fixture
def own(folder: Path, run: Run) -> Path:
    """A table measured here."""
    code, out, err = run("profile", *QUICK, "--networks", "5", "--out", "own.json")
    assert code == 0, err
    assert "against 5 whole networks not fitted on" in out
    assert not list(folder.glob("*.partial"))
    return folder / "own.json"


def test_verify_measures_and_draws(own: Path, folder: Path, run: Run) -> None:
    words = (*QUICK, "--table", own, "--networks", "4", "--png", "check.png", "--json", "c.json")
    code, out, err = run("profile", "verify", *words)
    assert code == 0, err
    assert "4 whole networks" in out
    assert "within 10%" in out
    assert len(json.loads((folder / "c.json").read_text())["networks"]) == 4
    assert (folder / "check.png").read_bytes().startswith(b"\x89PNG")


def test_another_devices_table_is_refused(folder: Path, run: Run) -> None:
    code, _, err = run("profile", "verify", *QUICK, "--table", "latency.json")
    assert code == 2
    assert "'made up'" in err
    before = (folder / "latency.json").read_bytes()
    code, _, err = run("profile", *QUICK, "--out", "latency.json")
    assert code == 2
    assert "--force" in err
    assert (folder / "latency.json").read_bytes() == before
    assert run("profile", *QUICK, "--networks", "0", "--out", "latency.json", "--force")[0] == 0
    assert LatencyTable.load(folder / "latency.json").conditions.device.name != "made up"


def test_tables_side_by_side(own: Path, run: Run) -> None:
    code, out, _ = run("profile", "show", own, "latency.json")
    assert code == 0
    assert "made up" in out
    assert "latency.json against" in out


def test_int8_and_another_engine(folder: Path, run: Run) -> None:
    words = ("--networks", "0", "--engine", "openvino", "--precision", "int8", "--out", "q.json")
    assert run("profile", *QUICK, *words)[0] == 0
    where = LatencyTable.load(folder / "q.json").conditions
    assert (where.engine, where.precision) == ("openvino", "int8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--out latency.json"),
        (("--out", "x.json", "--engine", "abacus"), "abacus"),
        (("--out", "x.json", "--engine", "tensorrt"), "optuna-pop[tensorrt]"),
        (("--out", "x.json", "--engine", "trtexec"), "profile export"),
        (("--out", "x.json", "--precision", "tf32"), "float32, int8"),
    ],
)
def test_what_cannot_be_measured(
    folder: Path, run: Run, words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRTEXEC", "/nowhere")
    code, _, err = run("profile", *QUICK, *words)
    assert code == 2
    assert said in err


def test_export_says_what_to_do_next(folder: Path, run: Run) -> None:
    code, out, _ = run("profile", "export", "tx2", "--space", "space.json", "--networks", "1")
    assert code == 0
    assert "sh measure.sh" in out
    assert (folder / "tx2" / "measure.sh").exists()
    code, _, err = run("profile", "import", "tx2", "--out", "tx2.json")
    assert code == 2
    assert "device.txt is missing" in err
    assert run("profile", "import", "tx2", "--out", "latency.json")[0] == 2
