from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from optuna_pop import registry
from optuna_pop.errors import (
    EngineError,
    InputError,
    MissingExtraError,
    OptunaPopError,
    UnknownNameError,
)
from optuna_pop.profiling.attribution import attribute, by_position
from optuna_pop.profiling.engines import ENGINES, EngineOptions
from optuna_pop.profiling.reference import reference_model
from optuna_pop.registry import Registry
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.export import export_onnx

BLOCK = BlockConfig("conv", 2, 8, 8, 4, 4, 4)
Onnx = Callable[..., bytes]


def runs_here(name: str) -> bool:
    try:
        ENGINES[name].info()
    except (EngineError, MissingExtraError):
        return False
    return True


HERE = [name for name in ENGINES.names() if runs_here(name)]


def test_the_engines_of_this_machine_are_tested() -> None:
    assert {"onnxruntime", "openvino"} <= set(HERE)


@pytest.mark.parametrize("name", sorted({*ENGINES.names()} - {*HERE}))
def test_an_engine_that_cannot_run_here_says_what_it_lacks(name: str) -> None:
    with pytest.raises((EngineError, MissingExtraError), match=r"install|[Ii]nstall|needs|driver"):
        ENGINES[name].info()


def test_engines_are_found_by_name() -> None:
    assert "onnxruntime" in ENGINES.names()
    with pytest.raises(UnknownNameError, match="onnxruntime"):
        ENGINES["abacus"]


@pytest.mark.parametrize("name", HERE)
class TestEveryEngine:
    def test_says_what_it_is(self, name: str) -> None:
        info = ENGINES[name].info()
        assert info.name == name
        assert info.version
        assert info.precision == "float32"
        assert info.threads == 1

    def test_lives_from_compile_to_close(self, name: str, onnx: Onnx) -> None:
        engine = ENGINES[name](onnx([BLOCK]), label=BLOCK.key)
        states: list[str] = [engine.state]
        with engine as entered:
            assert entered is engine
            states.append(engine.state)
            engine.warm()
            for _ in range(3):
                engine.run()
                assert engine.time().ms > 0
            assert len(engine.sample(warm_s=0.01, seconds=0.0, least=4)) == 4
            states.append(engine.state)
        states.append(engine.state)
        assert states == ["new", "compiled", "warm", "closed"]
        engine.close()

    def test_runs_only_when_warm(self, name: str, onnx: Onnx) -> None:
        engine = ENGINES[name](onnx([BLOCK]), label=BLOCK.key)
        for wrong in (engine.run, engine.warm):
            with pytest.raises(OptunaPopError, match="is new but must be"):
                wrong()
        with engine:
            with pytest.raises(OptunaPopError, match="is compiled but must be warm"):
                engine.run()
            engine.warm()
        with pytest.raises(OptunaPopError, match=f"{BLOCK.key}.*is closed"):
            engine.run()
        with pytest.raises(OptunaPopError, match="is closed"), engine:
            pass

    def test_runs_the_reference(self, name: str) -> None:
        with ENGINES[name](reference_model()) as engine:
            engine.warm()
            engine.run()

    def test_says_which_model_it_rejects(self, name: str) -> None:
        engine = ENGINES[name](b"not a model", label=BLOCK.key)
        with pytest.raises(InputError, match=f"rejects the model of {BLOCK.key!r}"), engine:
            pass
        engine.close()

    def test_times_layers(self, name: str) -> None:
        blocks = [
            BlockConfig("conv", 3, 16, 16, 8, 8, 8),
            BlockConfig("conv", 8, 8, 8, 8, 8, 8),
            BlockConfig("head", 8, 8, 8, 3, 1, 1),
        ]
        with ENGINES[name](export_onnx(blocks), options=EngineOptions(layers=True)) as engine:
            engine.warm()
            told = attribute(engine.layers(), by_position)
        assert set(told.blocks) == {"0", "1", "2"}
        assert min(told.blocks.values()) > 0

    def test_int8_computes_in_int8(self, name: str) -> None:
        options = EngineOptions(precision="int8", layers=True)
        assert ENGINES[name].info(options).precision == "int8"
        model = export_onnx([BlockConfig("conv", 3, 16, 16, 8, 8, 8)])
        with ENGINES[name](model, options=options) as engine:
            engine.warm()
            names = " ".join(layer.name for layer in engine.layers()).lower()
        assert "quantize" in names or "int8" in names

    def test_refuses_other_precisions(self, name: str) -> None:
        with pytest.raises(InputError, match="float99"):
            ENGINES[name].info(EngineOptions(precision="float99"))

    def test_refuses_dynamic_shapes(self, name: str, onnx: Onnx) -> None:
        engine = ENGINES[name](onnx([BLOCK], batch="n"), label=BLOCK.key)
        with pytest.raises(InputError, match=r"'x' has the dynamic shape"), engine:
            pass

    def test_refuses_other_batches(self, name: str, onnx: Onnx) -> None:
        engine = ENGINES[name](onnx([BLOCK], batch=2), label=BLOCK.key)
        with pytest.raises(InputError, match="batch 1"), engine:
            pass


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ENGINES["onnxruntime"]
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"onnxruntime .* 'optuna-pop\[profiling\]'"):
        engine.info()


def test_a_package_elsewhere_adds_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an entry point; one that fails is named and leaves the rest usable."""
    found: Registry[str] = Registry("engine", "optuna_pop.profiling.trt", group="mine")

    class Point:
        def __init__(self, name: str, works: bool) -> None:
            self.name, self.value, self._works = name, f"package.{name}", works

        def load(self) -> None:
            if not self._works:
                raise ImportError("no libfoo")
            found.register(self.name)("loaded")

    monkeypatch.setattr(
        registry, "entry_points", lambda *, group: [Point("good", True), Point("bad", False)]
    )
    with pytest.warns(UserWarning, match=r"engine 'bad' \(package\.bad\) .*no libfoo"):
        assert found.names() == ["good"]
    assert found["good"] == "loaded"
