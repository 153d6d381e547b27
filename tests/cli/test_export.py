"""``optuna-pop export``: ONNX models, and engines built for real by TensorRT for RTX."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest

from optuna_pop.errors import EngineError, MissingExtraError
from optuna_pop.profiling.trt import library
from optuna_pop.spaces import BlockConfig
from optuna_pop.trainables.networks import build_network
from optuna_pop.trainables.weights import save_weights

Run = Callable[..., tuple[int, str, str]]
BLOCKS = [
    BlockConfig("conv", 3, 32, 32, 16, 16, 16),
    BlockConfig("basic", 16, 16, 16, 32, 8, 8),
    BlockConfig("head", 32, 8, 8, 10, 1, 1),
]
EXPORT = ("export", "w.safetensors", "--out", "w.onnx")
MAGIC = b"vtrt"  # how an engine of TensorRT for RTX begins


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_weights(tmp_path / "w.safetensors", build_network(BLOCKS), {"data": "none"})
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "float32, for no card in particular"),
        (("--with", "tensorrt-rtx", "--precision", "tf32"), "tf32, for no card in particular"),
        (("--precision", "float16", "--target", "SM120"), "float16, for SM120; scores in float16"),
    ],
)
def test_an_engine_is_built(weights: Path, run: Run, words: tuple[str, ...], said: str) -> None:
    code, out, err = run(*EXPORT, "--engine", "engines/w.engine", *words)
    assert code == 0, err
    assert "Wrote w.onnx" in out
    assert said in out
    engine = (weights / "engines" / "w.engine").read_bytes()
    assert engine.startswith(MAGIC)
    # It holds the weights, and is no other than what profiling builds and measures.
    network = build_network(BLOCKS)
    numbers = sum(p.numel() for p in network.parameters())
    assert len(engine) > numbers * (2 if "float16" in words else 4)


def test_targets_differ(weights: Path, run: Run) -> None:
    sizes = set()
    for target in ("SM86", "SM120"):
        assert run(*EXPORT, "--engine", f"{target}.engine", "--target", target)[0] == 0
        sizes.add((weights / f"{target}.engine").read_bytes())
    assert len(sizes) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "w.onnx"), "--out and --engine are both w.onnx"),
        (("--engine", "w.engine", "--with", "abacus"), "'tensorrt-rtx'"),
        (("--engine", "w.engine", "--with", "tensorrt"), "optuna-pop[tensorrt]"),
        (("--engine", "w.engine", "--precision", "int8"), "float32, tf32 or float16"),
        (("--engine", "w.engine", "--target", "SM99"), "capability 'SM99': choose one of SM120"),
        (("--engine", "w.safetensors/w.engine"), "w.safetensors"),
        (("--target", "SM86"), "--target is of a TensorRT engine: say where, --engine FILE"),
        (("--precision", "float16"), "--precision is of a TensorRT engine"),
        (("--with", "tensorrt-rtx"), "--with is of a TensorRT engine"),
        (("--input-size", "big"), "HEIGHTxWIDTH"),
    ],
)
def test_what_cannot_be_exported(
    weights: Path, run: Run, words: tuple[str, ...], said: str
) -> None:
    code, _, err = run(*EXPORT, *words)
    assert code == 2
    assert said in " ".join(err.replace("│", " ").split()), err
    assert not (weights / "w.engine").exists()


def test_no_tensorrt_at_all(weights: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"optuna-pop\[tensorrt-rtx\]"):
        library.load_any()
    code, _, err = run(*EXPORT, "--engine", "w.engine")
    assert code == 2
    assert "optuna-pop[tensorrt]" in err
    assert not (weights / "w.onnx").exists(), "refused before anything is written"


def test_a_library_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.11: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match=r"cannot be loaded: libnvinfer\.so\.11"):
        library.load("tensorrt")


def test_another_size_is_the_same_network(weights: Path, run: Run) -> None:
    assert run(*EXPORT, "--input-size", "64x48")[0] == 0
    assert onnxruntime.InferenceSession("w.onnx").get_inputs()[0].shape == [1, 3, 64, 48]
