"""What needs an NVIDIA GPU; ``pytest -m gpu`` or ``make gpu-report`` where there is one.

Skipped, saying so, elsewhere: what can be tested without a GPU is in the other files.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from optuna_pop.errors import EngineError, MissingExtraError
from optuna_pop.profiling import build_table
from optuna_pop.profiling.attribution import attribute, by_position
from optuna_pop.profiling.engines import ENGINES, EngineOptions
from optuna_pop.profiling.session import Plan
from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.export import export_onnx

GPU = [
    *("tensorrt", "tensorrt-rtx", "trtexec"),
    *("onnxruntime-cuda", "onnxruntime-tensorrt", "onnxruntime-tensorrt-rtx"),
]
BLOCKS = [
    BlockConfig("conv", 3, 64, 64, 32, 32, 32),
    BlockConfig("basic", 32, 32, 32, 64, 16, 16),
    BlockConfig("head", 64, 16, 16, 10, 1, 1),
]
pytestmark = pytest.mark.gpu


@pytest.fixture(params=GPU)
def name(request: pytest.FixtureRequest) -> str:
    try:
        ENGINES[request.param].info()
    except (EngineError, MissingExtraError) as error:
        pytest.skip(f"{request.param} cannot run here: {error}")
    return str(request.param)


def test_runs_and_times(name: str, tmp_path: Path) -> None:
    options = EngineOptions(cache=tmp_path)
    with ENGINES[name](export_onnx(BLOCKS), options=options) as engine:
        engine.warm()
        found = engine.sample(warm_s=0.1, seconds=0.1, least=20)
    assert len(found) >= 20
    assert min(timing.ms for timing in found) > 0


def test_layers_go_to_blocks(name: str) -> None:
    options = EngineOptions(layers=True)
    with ENGINES[name](export_onnx(BLOCKS), options=options) as engine:
        engine.warm()
        try:
            layers = engine.layers()
        except EngineError as error:
            pytest.skip(str(error))
    told = attribute(layers, by_position)
    assert set(told.blocks) <= {"0", "1", "2"}
    assert sum(told.blocks.values()) + sum(u.layer.ms for u in told.unattributed) == pytest.approx(
        told.total
    )


def test_makes_a_table(name: str, tmp_path: Path) -> None:
    space = BackboneSpace(widths=(16, 32), max_depths=(2, 1), input_shape=(3, 64, 64), classes=10)
    plan = Plan(name, journal=tmp_path / "partial")
    table = build_table(space, export_onnx, plan, networks=6)
    assert table.statistic == "median"
    assert table.conditions.accelerator is not None
    assert table.verification is not None
