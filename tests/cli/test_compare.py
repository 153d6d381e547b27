"""``optuna-pop compare`` on small inputs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--input", "3x64x64", "--seconds", "0")


def test_networks_side_by_side(folder: Path, run: Run) -> None:
    files = ("--json", "c.json", "--csv", "c.csv", "--png", "c.png")
    code, out, err = run("compare", "df1", "torchvision:squeezenet1_1", *QUICK, *files)
    assert code == 0, err
    assert "torchvision:squeezenet1_1" in out
    assert "arXiv:1903.03777" in out
    rows = list(csv.DictReader((folder / "c.csv").read_text().splitlines()))
    assert [row["network"] for row in rows] == ["df1", "torchvision:squeezenet1_1"]
    assert float(rows[0]["minimum_ms"]) > 0
    assert json.loads((folder / "c.json").read_text())["schema"] == "optuna-pop/comparison"
    assert (folder / "c.png").read_bytes().startswith(b"\x89PNG")


def test_a_bad_file_is_named_and_the_rest_measured(folder: Path, run: Run) -> None:
    (folder / "bad.onnx").write_bytes(b"nonsense")
    code, _, err = run("compare", "df1", "bad.onnx", "--seconds", "0", "--csv", "c.csv")
    assert code == 2
    assert "bad.onnx is no valid ONNX model" in err
    assert "df1" in (folder / "c.csv").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("df9",), "df2-seg2"),
        (("df1", "--input", "224"), "CxHxW"),
        (("df1", "--engine", "tensorrt"), "optuna-pop[tensorrt]"),
        (("none.onnx",), "none.onnx"),
    ],
)
def test_what_cannot_be_compared(folder: Path, run: Run, words: tuple[str, ...], said: str) -> None:
    code, _, err = run("compare", *words)
    assert code == 2
    assert said in err
