"""trtexec's files and commands; the tool itself is a fake here, for want of a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from optuna_pop.errors import EngineError, InputError, StorageError, TableError
from optuna_pop.profiling import LatencyTable, exchange, trtexec
from optuna_pop.profiling.build import build_table
from optuna_pop.profiling.engines import ENGINES, EngineOptions
from optuna_pop.profiling.engines.trtexec import _help
from optuna_pop.profiling.session import Plan
from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.trainables.export import export_onnx

FAKE = Path(__file__).with_name("fake_trtexec.py")
VERSIONS = {8201: "8.2.1", 100300: "10.3.0", 110000: "11.0.0"}
SPACE = BackboneSpace(widths=(4, 8), max_depths=(2, 1), input_shape=(1, 16, 16), classes=3)


def put_fake(number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the fake where trtexec is looked for."""
    place = folder / "trtexec"
    place.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    place.chmod(0o755)
    monkeypatch.setenv("TRTEXEC", str(place))
    monkeypatch.setenv("FAKE_TRTEXEC_VERSION", str(number))


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    """Forget what an earlier fake said of itself."""
    _help.cache_clear()
    yield
    _help.cache_clear()


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Each version of the fake."""
    put_fake(request.param, tmp_path, monkeypatch)
    return int(request.param)


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest version alone."""
    put_fake(8201, tmp_path, monkeypatch)


def measured(folder: Path) -> subprocess.CompletedProcess[str]:
    words = ["sh", str(folder / "measure.sh")]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("&&&& RUNNING TensorRT.trtexec [TensorRT v8201] # trtexec", "8.2.1"),
        ("[TensorRT v8601]", "8.6.1"),
        ("[TensorRT v8510]", "8.5.10"),
        ("[TensorRT v100300]", "10.3.0"),
        ("[TensorRT v101303]", "10.13.3"),
        ("[TensorRT v110401]", "11.4.1"),
    ],
)
def test_versions(printed: str, said: str) -> None:
    assert trtexec.version_in(printed) == said


def test_a_tool_without_a_version_is_refused() -> None:
    with pytest.raises(InputError, match="does not say its version"):
        trtexec.version_in("sh: not found")


def test_a_flag_is_known_as_a_whole_word() -> None:
    assert trtexec.has_flag("  --fp16   Enable fp16", "--fp16")
    assert not trtexec.has_flag("  --fp16Layers", "--fp16")


class TestEngine:
    def test_says_its_version(self, version: int) -> None:
        info = ENGINES["trtexec"].info()
        assert (info.version, info.kind, info.clock) == (VERSIONS[version], "gpu", "cuda events")

    def test_times_runs_and_layers(self, version: int) -> None:
        blocks = SPACE.blocks(SPACE.at(0))
        options = EngineOptions(layers=True)
        with ENGINES["trtexec"](export_onnx(blocks), options=options) as engine:
            engine.warm()
            found = engine.sample(warm_s=0.1, seconds=0.1, least=12)
            layers = engine.layers()
        assert len(found) == 12
        assert found[0].enqueue_ms == pytest.approx(0.004)
        assert sum(layer.ms for layer in layers) == pytest.approx(found[0].ms - 0.005, rel=1e-3)
        assert any(layer.nodes for layer in layers) == (version != 8201)

    def test_float16_as_the_version_wants_it(self, version: int) -> None:
        model = export_onnx(SPACE.blocks(SPACE.at(0)))
        options = EngineOptions(precision="float16")
        with ENGINES["trtexec"](model, options=options) as engine:
            assert json.loads(engine._plan.read_text())["fp16"] == (version != 110000)
            typed = b"Cast" in Path(engine._folder.name, "model.onnx").read_bytes()
            assert typed == (version == 110000)

    def test_says_what_it_rejects(self, old: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FAKE_TRTEXEC_REFUSES", "model")
        model = ENGINES["trtexec"](export_onnx(SPACE.blocks(SPACE.at(0))), label="this one")
        with pytest.raises(InputError, match=r"rejects the model of 'this one'.*node number 3"):
            model.__enter__()

    def test_makes_a_table(self, version: int) -> None:
        for source in ("blocks", "layers"):
            table = build_table(SPACE, export_onnx, Plan("trtexec"), networks=2, source=source)
            assert table.statistic == "median"
            assert table.conditions.clock == "cuda events"
            assert table.conditions.versions["trtexec"] == VERSIONS[version]
            assert set(table.blocks) == {block.key for block in SPACE.block_configs()}


def test_without_trtexec_it_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRTEXEC", "/nowhere/trtexec")
    with pytest.raises(EngineError, match="profile export"):
        ENGINES["trtexec"].info()


class TestExchange:
    @pytest.mark.parametrize("precision", ["float32", "float16"])
    def test_out_measured_and_back(self, version: int, tmp_path: Path, precision: str) -> None:
        folder = tmp_path / "device"
        count = exchange.export(SPACE, folder, export_onnx, precision=precision, networks=5)
        done = measured(folder)
        assert done.returncode == 0, done.stderr
        rows = done.stdout.splitlines()
        assert sum(row.startswith("round") for row in rows) == 3 * (count + 1)  # the reference
        for source in ("blocks", "layers"):
            table = exchange.import_table(folder, source=source)
            assert set(table.blocks) == {block.key for block in SPACE.block_configs()}
            assert (table.source, table.statistic) == (source, "median")
            assert table.conditions.versions == {"trtexec": VERSIONS[version]}
            assert table.conditions.precision == precision
            assert len(table.networks) == 5
            assert table.verification is not None
        if precision == "float32":  # else there are casts between blocks, which are nobody's
            network = table.networks[0]
            sums = sum(table.blocks[key].median for key in network.blocks)
            assert sums == pytest.approx(network.record.median - 0.005, rel=1e-2)

    def test_an_interrupted_device_goes_on(self, old: None, tmp_path: Path) -> None:
        folder = tmp_path / "device"
        exchange.export(SPACE, folder, export_onnx, networks=1)
        assert measured(folder).returncode == 0
        kept = folder / "results" / "b0000.1.times.json"
        before = kept.stat().st_mtime_ns
        (folder / "results" / "b0001.2.times.json").unlink()
        again = measured(folder)
        assert again.stdout.splitlines()[0] == "round 2: b0001"
        assert sum(line.startswith("round") for line in again.stdout.splitlines()) == 1
        assert kept.stat().st_mtime_ns == before

    def test_a_block_the_device_rejects_is_named(
        self, old: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "device"
        exchange.export(SPACE, folder, export_onnx, networks=1)
        monkeypatch.setenv("FAKE_TRTEXEC_REFUSES", "b0002")
        done = measured(folder)
        assert done.returncode == 1
        assert "b0002" in done.stderr
        key = [block.key for block in SPACE.block_configs()][2]
        with pytest.raises(TableError, match=f"{key} .*node number 3"):
            exchange.import_table(folder)

    def test_a_folder_that_was_not_measured(self, tmp_path: Path) -> None:
        folder = tmp_path / "device"
        exchange.export(SPACE, folder, export_onnx, networks=0)
        with pytest.raises(TableError, match=r"device\.txt is missing: copy the whole folder"):
            exchange.import_table(folder)
        with pytest.raises(InputError, match="not an empty folder"):
            exchange.export(SPACE, folder, export_onnx)
        with pytest.raises(StorageError, match=r"plan\.json cannot be read"):
            exchange.import_table(tmp_path / "other")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '[{"computeMs": 1.0}]', '[{"name": 1}'])
    def test_a_damaged_result_is_named(self, old: None, tmp_path: Path, text: str) -> None:
        folder = tmp_path / "device"
        exchange.export(SPACE, folder, export_onnx, networks=0)
        measured(folder)
        (folder / "results" / "b0001.2.times.json").write_text(text)
        with pytest.raises(TableError, match=r"b0001\.2\.times\.json"):
            exchange.import_table(folder)

    def test_the_script_is_posix(self, tmp_path: Path) -> None:
        exchange.export(SPACE, tmp_path / "device", export_onnx, networks=0)
        script = str(tmp_path / "device" / "measure.sh")
        assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


def test_names_that_repeat_are_matched_in_sequence(tmp_path: Path) -> None:
    profile, information = tmp_path / "profile.json", tmp_path / "layers.json"
    rows = [{"name": "copy", "averageMs": ms} for ms in (1.0, 2.0)]
    profile.write_text(json.dumps([{"count": 5}, *rows]))
    layers = [{"Name": "copy", "Metadata": f"[ONNX Layer: /{i}/Conv]"} for i in (0, 1)]
    information.write_text(json.dumps({"Layers": layers}))
    found = trtexec.read_profile(profile, information)
    assert [layer.nodes for layer in found] == [("/0/Conv",), ("/1/Conv",)]
    # One that the information lacks: nobody knows which is which.
    information.write_text(json.dumps({"Layers": layers[:1]}))
    assert [layer.nodes for layer in trtexec.read_profile(profile, information)] == [(), ()]
    # Without detailed verbosity layers are mere names.
    information.write_text(json.dumps({"Layers": ["copy", "copy"]}))
    assert [layer.nodes for layer in trtexec.read_profile(profile, information)] == [(), ()]


def test_the_median_of_all_rounds_counts(old: None, tmp_path: Path) -> None:
    folder = tmp_path / "device"
    exchange.export(SPACE, folder, export_onnx, networks=0)
    measured(folder)
    path = folder / "results" / "b0000.1.times.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([{**row, "computeMs": 10 * row["computeMs"]} for row in rows]))
    record = exchange.import_table(folder).blocks[SPACE.block_configs()[0].key]
    others = trtexec.read_times(folder / "results" / "b0000.2.times.json").compute
    assert record.samples == 30
    assert record.median == pytest.approx(float(np.median(others)), rel=0.01)
    assert record.notes == ("unstable",)


def test_tables_of_devices_are_files_like_any_other(old: None, tmp_path: Path) -> None:
    folder = tmp_path / "device"
    exchange.export(SPACE, folder, export_onnx, networks=0)
    measured(folder)
    table = exchange.import_table(folder)
    table.save(tmp_path / "table.json")
    assert LatencyTable.load(tmp_path / "table.json") == table
