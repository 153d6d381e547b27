"""Parts the profiling tests share: a small space, a hand-made table, an ONNX export of blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from optuna_pop.profiling.records import Conditions, DeviceRecord
from optuna_pop.profiling.table import LatencyRecord, LatencyTable
from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.spaces.blocks import BlockConfig

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


@pytest.fixture(autouse=True)
def _cores_stay() -> Iterator[None]:
    """No test, measuring or not, leaves the process on fewer cores than it had."""
    yield
    if CORES is not None:
        after = os.sched_getaffinity(0)
        os.sched_setaffinity(0, CORES)
        assert after == CORES


@pytest.fixture
def space() -> BackboneSpace:
    return BackboneSpace(widths=(4, 8, 16), max_depths=(2, 2), input_shape=(1, 16, 16), classes=3)


@pytest.fixture
def table(space: BackboneSpace) -> LatencyTable:
    """A table of every block of ``space`` with different latencies."""
    random = np.random.default_rng(0)
    return LatencyTable(
        statistic="minimum",
        conditions=Conditions(
            device=DeviceRecord(
                name="test board", cores=2, machine="x86_64", system="Linux", memory_gib=4
            ),
            engine="onnxruntime",
            precision="float32",
            versions={"onnxruntime": "1"},
            threads=1,
            date=WHEN,
            cycles=15,
            reference=LatencyRecord.of([0.1, 0.2], WHEN),
            drift=1.5,
        ),
        blocks={
            block.key: LatencyRecord.of(random.uniform(0.01, 0.3, size=15), WHEN)
            for block in space.block_configs()
        },
    )


def _onnx(blocks: Sequence[BlockConfig], batch: int | str = 1) -> bytes:
    nodes: list[NodeProto] = []
    weights = []
    name = "x"
    for i, block in enumerate(blocks):
        if block.kind == "head":
            nodes += [
                helper.make_node("GlobalAveragePool", [name], [f"p{i}"]),
                helper.make_node("Flatten", [f"p{i}"], [f"f{i}"]),
                helper.make_node("MatMul", [f"f{i}", f"w{i}"], [f"y{i}"]),
            ]
            shape: tuple[int, ...] = (block.c_in, block.c_out)
        else:
            step = [block.stride] * 2
            conv = helper.make_node(
                "Conv", [name, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1], strides=step
            )
            nodes += [conv, helper.make_node("Relu", [f"c{i}"], [f"y{i}"])]
            shape = (block.c_out, block.c_in, 3, 3)
        weights.append(numpy_helper.from_array(np.full(shape, 0.01, np.float32), f"w{i}"))
        name = f"y{i}"
    last = blocks[-1]
    out = (batch, last.c_out) if last.kind == "head" else (batch, *last.output_shape)
    float32 = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "blocks",
        [helper.make_tensor_value_info("x", float32, (batch, *blocks[0].input_shape))],
        [helper.make_tensor_value_info(name, float32, out)],
        weights,
    )
    opset = helper.make_opsetid("", 13)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=7).SerializeToString())


@pytest.fixture(scope="session")
def onnx() -> Callable[..., bytes]:
    """Give the ONNX model of blocks in a row, with a batch size or a dynamic one by name."""
    return _onnx
