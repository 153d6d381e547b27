from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from optuna_pop.errors import InputError, MissingExtraError, OptunaPopError, UnknownNameError
from optuna_pop.profiling.engines import ENGINES
from optuna_pop.profiling.reference import reference_model
from optuna_pop.spaces.blocks import BlockConfig

BLOCK = BlockConfig("conv", 2, 8, 8, 4, 4, 4)
Onnx = Callable[..., bytes]


def test_engines_are_found_by_name() -> None:
    assert "onnxruntime" in ENGINES.names()
    with pytest.raises(UnknownNameError, match="onnxruntime"):
        ENGINES["abacus"]


@pytest.mark.parametrize("name", ENGINES.names())
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

    def test_refuses_dynamic_shapes(self, name: str, onnx: Onnx) -> None:
        engine = ENGINES[name](onnx([BLOCK], batch="n"), label=BLOCK.key)
        with pytest.raises(InputError, match=r"'x' has the dynamic shape \('n', 2, 8, 8\)"), engine:
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
