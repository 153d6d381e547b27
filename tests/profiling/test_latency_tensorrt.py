"""TensorRT's parsing, configuration and building for real, by TensorRT for RTX, without a GPU.

Running needs a GPU: see ``test_latency_gpu.py``. What TensorRT 8.6 and 10 want different is tested
on a mock of their module, as their libraries are not to be had where only a package registry is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from optuna_pop.errors import EngineError, InputError
from optuna_pop.profiling.engines import EngineOptions, LayerTime
from optuna_pop.profiling.trt import library
from optuna_pop.profiling.trt.building import build, listening_logger
from optuna_pop.profiling.trt.layers import nodes_by_layer, nodes_of, with_nodes
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.export import export_onnx

BLOCKS = [
    BlockConfig("conv", 3, 32, 32, 16, 16, 16),
    BlockConfig("basic", 16, 16, 16, 32, 8, 8),
    BlockConfig("head", 32, 8, 8, 10, 1, 1),
]
TARGET = "SM86"


@pytest.fixture(scope="module")
def trt() -> Any:
    return library.load("tensorrt-rtx")


@pytest.fixture(scope="module")
def model() -> bytes:
    return export_onnx(BLOCKS)


@pytest.mark.parametrize("precision", ["float32", "tf32", "float16", "int8"])
def test_builds_in_every_precision(trt: Any, model: bytes, precision: Any) -> None:
    options = EngineOptions(precision=precision)
    assert len(build(trt, model, options, target=TARGET)) > 10_000


def test_reads_what_it_has_built(trt: Any, model: bytes, tmp_path: Path) -> None:
    options = EngineOptions(cache=tmp_path / "engines")
    first = build(trt, model, options, device="a", target=TARGET)
    (kept,) = (tmp_path / "engines").glob("*.plan")
    kept.write_bytes(b"what was kept")
    assert build(trt, model, options, device="a", target=TARGET) == b"what was kept"
    assert len(build(trt, model, options, device="another", target=TARGET)) == len(first)


@pytest.mark.parametrize("model", [b"no model at all", b""])
def test_bytes_that_are_no_model(trt: Any, model: bytes) -> None:
    with pytest.raises(InputError, match="TensorRT rejects the model of 'this one'"):
        build(trt, model, EngineOptions(), label="this one", target=TARGET)


def test_the_node_it_rejects_is_named(trt: Any, model: bytes) -> None:
    changed = onnx.load_from_string(model)
    node = next(node for node in changed.graph.node if node.op_type == "Relu")
    node.op_type, name = "NoSuchOperator", node.name
    with pytest.raises(InputError, match=f"{name}.*NoSuchOperator"):
        build(trt, changed.SerializeToString(), EngineOptions(), target=TARGET)


@pytest.mark.parametrize(("batch", "said"), [("n", "dynamic shape"), (2, "batch 1")])
def test_other_batches(trt: Any, onnx: Callable[..., bytes], batch: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"'x' has the .*{said}"):
        build(trt, onnx(BLOCKS[:1], batch=batch), EngineOptions(), target=TARGET)


def test_rtx_is_of_the_strongly_typed_kind(trt: Any) -> None:
    assert library.is_rtx(trt)
    assert library.strongly_typed(trt)


# --- older versions, mocked -------------------------------------------------------------------


class MockFlags:
    """A mock of an IBuilderConfig that remembers its flags."""

    def __init__(self) -> None:
        self.set: set[str] = set()
        self.cleared: set[str] = set()
        self.cache: bytes | None = None

    def set_flag(self, flag: str) -> None:
        self.set.add(flag)

    def clear_flag(self, flag: str) -> None:
        self.cleared.add(flag)

    def create_timing_cache(self, content: bytes) -> bytes:
        return content

    def set_timing_cache(self, cache: bytes, _: bool) -> None:
        self.cache = cache

    def get_timing_cache(self) -> Any:
        return SimpleNamespace(serialize=lambda: b"timed")


def mock_tensorrt(version: str) -> tuple[Any, MockFlags, list[Any]]:
    """A MOCK of TensorRT's module as far as building uses it: no library, nothing is built."""
    config, seen = MockFlags(), list[Any]()

    class Logger:
        ERROR, INTERNAL_ERROR = 1, 0

    class Parser:
        num_errors = 0

        def __init__(self, network: Any, _: Any) -> None:
            pass

        def parse(self, model: bytes) -> bool:
            seen.append(("model", model))
            return True

    class Builder:
        def __init__(self, _: Any) -> None:
            pass

        def create_network(self, flags: int) -> Any:
            seen.append(("flags", flags))
            tensor = SimpleNamespace(name="input", shape=(1, 3, 32, 32))
            return SimpleNamespace(num_outputs=1, num_inputs=1, get_input=lambda _: tensor)

        def create_builder_config(self) -> MockFlags:
            return config

        def build_serialized_network(self, *_: Any) -> bytes:
            return b"engine"

    module = SimpleNamespace(
        __name__="tensorrt",
        __version__=version,
        ILogger=Logger,
        OnnxParser=Parser,
        Builder=Builder,
        ProfilingVerbosity=SimpleNamespace(DETAILED="detailed"),
        NetworkDefinitionCreationFlag=SimpleNamespace(EXPLICIT_BATCH=0),
        BuilderFlag=SimpleNamespace(FP16="FP16", INT8="INT8", TF32="TF32"),
    )
    return module, config, seen


@pytest.mark.parametrize(
    ("version", "network_flags", "typed"),
    [("8.6.1", 1, False), ("10.3.0", 0, False), ("11.4.1.6", 0, True)],
)
def test_each_version_is_asked_its_own_way(
    model: bytes, version: str, network_flags: int, typed: bool, tmp_path: Path
) -> None:
    module, config, seen = mock_tensorrt(version)
    options = EngineOptions(precision="float16", cache=tmp_path)
    assert build(module, model, options) == b"engine"
    told = dict(seen)
    assert told["flags"] == network_flags
    assert ("FP16" in config.set) == (not typed)
    assert (b"Cast" in told["model"]) == typed  # the types are in the model
    assert config.cleared == {"TF32"}
    assert config.profiling_verbosity == "detailed"  # type: ignore[attr-defined]
    assert config.max_aux_streams == 0  # type: ignore[attr-defined]
    assert (tmp_path / "timing.cache").read_bytes() == b"timed"


def test_int8_is_pairs_in_the_model_everywhere(model: bytes) -> None:
    for version, flagged in (("8.6.1", True), ("11.0.0", False)):
        module, config, seen = mock_tensorrt(version)
        build(module, model, EngineOptions(precision="int8"))
        assert b"DequantizeLinear" in dict(seen)["model"]
        assert ("INT8" in config.set) == flagged


def test_tf32_is_asked_for(model: bytes) -> None:
    module, config, _ = mock_tensorrt("10.3.0")
    build(module, model, EngineOptions(precision="tf32"))
    assert config.set == {"TF32"}


def test_only_rtx_builds_for_another_gpu(model: bytes) -> None:
    module, _, _ = mock_tensorrt("11.4.1.6")
    with pytest.raises(InputError, match="not for SM86: only TensorRT for RTX"):
        build(module, model, EngineOptions(), target=TARGET)


def test_without_a_gpu_it_says_so(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, _ = mock_tensorrt("10.3.0")

    def no_gpu(logger: Any) -> None:
        logger.complaints.append("CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(module, "Builder", no_gpu)
    monkeypatch.setattr(module.ILogger, "__init__", lambda _: None)
    with pytest.raises(EngineError, match="needs an NVIDIA GPU: CUDA initialization failure"):
        build(module, model, EngineOptions())


# --- layers -----------------------------------------------------------------------------------


def test_nodes_in_metadata() -> None:
    assert nodes_of("[ONNX Layer: /0/Conv]\x1e[ONNX Layer: /0/Relu]") == ("/0/Conv", "/0/Relu")
    assert nodes_of("[ONNX Layer: a[0]]\x1f[ONNX Layer: b]") == ("a[0]", "b")
    assert nodes_of("") == ()


def test_layers_get_their_nodes() -> None:
    told = nodes_by_layer('{"Layers": [{"Name": "a", "Metadata": "[ONNX Layer: /0/x]"}, "b"]}')
    assert with_nodes([("a", 1.0), ("b", 2.0)], told) == [
        LayerTime("a", 1.0, ("/0/x",)),
        LayerTime("b", 2.0),
    ]


def test_complaints_are_kept(trt: Any) -> None:
    logger = listening_logger(trt)
    logger.log(trt.ILogger.ERROR, "bad")
    logger.log(trt.ILogger.WARNING, "never mind")
    assert logger.complaints == ["bad"]
