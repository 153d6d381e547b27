"""Bad input: exit code 2, one line that names the value, the place and the mend, no traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest

from tests.cli.conftest import made_up_table

Run = Callable[..., tuple[int, str, str]]
SEARCH = ["search", "--space", "space.json", "--table", "latency.json", "--trials", "1"]


def refused(result: tuple[int, str, str], *words: str) -> None:
    code, out, err = result
    assert code == 2, (out, err)
    assert "Traceback" not in out + err
    for word in words:
        assert word in err.replace("\n", " "), err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--space", "dff"], ["'dff'", "df", "demo"]),
        (["--space", "nowhere.json"], ["nowhere.json", "cannot be read"]),
        (["--data", "imagenot"], ["'imagenot'", "digits"]),
        (["--recipe", "none"], ["'none'", "digits-demo"]),
        (["--cost-range", "5:1"], ["(5.0, 1.0)", "T_min must not exceed T_max"]),
        (["--cost-range", "five"], ["'five'", "e.g. 1:5"]),
        (["--cost-range", "100:200"], ["between 100 and 200", "ranges from"]),
        (["--tolerance", "-1"], ["-1.0", "at least 0"]),
        (["--storage", "nonsense"], ["nonsense", "sqlite:///"]),
        (["--storage", "sqlite:///:memory:"], ["outlive", "name a file"]),
        (["--storage", "postgresql+psycopg://u:secret@127.0.0.1:1/x"], ["u:***@127.0.0.1", "runs"]),
        (["--trials", "0"], ["--trials"]),
        (["--table", "new.json"], ["new.json", "several tables", "optuna-pop profile"]),
        (["--cost-range", "1:2", "--cost-range", "1:2"], ["bounds of 2 costs", "there are 1"]),
    ],
)
def test_search_refuses(folder: Path, run: Run, arguments: list[str], words: list[str]) -> None:
    result = run(*SEARCH, *arguments)
    refused(result, *words)
    assert "secret" not in result[2]


def test_search_refuses_an_unknown_engine(folder: Path, run: Run) -> None:
    words = ("search", "--space", "space.json", "--table", "new.json", "--engine", "abacus")
    refused(run(*words), "'abacus'", "onnxruntime")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text[: len(text) // 2], ["latency.json", "optuna-pop profile"]),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 99'), ["99"]),
        (lambda text: text.replace("optuna-pop/latency-table", "recipe-book"), ["recipe-book"]),
        (lambda text: json.dumps(_without_a_block(json.loads(text))), ["head 4x2x2->10x1x1"]),
    ],
    ids=["cut short", "schema version", "schema", "block missing"],
)
def test_search_refuses_a_bad_table(
    folder: Path, run: Run, spoil: Callable[[str], str], words: list[str]
) -> None:
    path = folder / "latency.json"
    spoilt = spoil(path.read_text())
    path.write_text(spoilt)
    refused(run(*SEARCH), *words)
    assert path.read_text() == spoilt, "a bad table is the user's to mend, not ours to overwrite"


def _without_a_block(content: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    del content["blocks"]["head 4x2x2->10x1x1"]
    return content


def test_search_refuses_data_that_does_not_fit(folder: Path, run: Run) -> None:
    spec = json.loads((folder / "space.json").read_text())
    (folder / "space.json").write_text(json.dumps({**spec, "classes": 11}))
    refused(run(*SEARCH), "11 classes", "digits", "choose others that fit")


def test_search_refuses_a_study_of_other_directions(folder: Path, run: Run) -> None:
    url = f"sqlite:///{folder}/study.db"
    optuna.create_study(study_name="other", storage=url, direction="minimize")
    refused(run(*SEARCH, "--storage", url, "--study", "other"), "'other'", "'minimize'")
    optuna.create_study(study_name="single", storage=url, direction="maximize")
    refused(run(*SEARCH, "--storage", url, "--study", "single"), "'single'", "--study")


def test_search_refuses_a_space_without_networks(folder: Path, run: Run) -> None:
    (folder / "space.json").write_text('{"space": "decoder", "classes": 19}')
    refused(run(*SEARCH), "'space.json'", "backbone")
    (folder / "space.json").write_text('{"space": "backbone", "widthz": [1]}')
    refused(run(*SEARCH), "widthz")


def test_not_enough_disk(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def small_disk(path: object) -> SimpleNamespace:
        return SimpleNamespace(total=10**9, used=10**9, free=5 * 2**20)

    monkeypatch.setattr(shutil, "disk_usage", small_disk)
    refused(run(*SEARCH), "5 MB left", "free some")


def test_boundary_refuses(folder: Path, run: Run) -> None:
    refused(run("boundary", "--storage", "sqlite:///none.db"), "none.db", "does not exist")
    assert not (folder / "none.db").exists()
    url = f"sqlite:///{folder}/study.db"
    for name in ("a", "b"):
        optuna.create_study(study_name=name, storage=url, directions=["maximize", "minimize"])
    refused(run("boundary", "--storage", url), "a, b", "--study")
    refused(run("boundary", "--storage", url, "--study", "c"), "'c'", "a, b")


def test_profile_refuses_where_it_could_not_write(folder: Path, run: Run) -> None:
    (folder / "file").write_text("")
    refused(run("profile", "--space", "space.json", "--out", "file/latency.json"), "file")


def test_made_up_tables_differ(folder: Path) -> None:
    assert made_up_table(folder, 2.0).fingerprint != made_up_table(folder).fingerprint


@pytest.mark.parametrize("command", ["profile", "search", "boundary"])
def test_help_has_an_example(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"Example: optuna-pop {command}" in " ".join(out.split())
