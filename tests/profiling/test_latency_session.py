"""Sessions: journals that resume, the protocol for GPUs, tables checked on their device."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from optuna_pop.errors import EngineError, InputError, TableError
from optuna_pop.profiling import LatencyTable, build_table
from optuna_pop.profiling.accelerator import Accelerator, NvmlGauge, Reading, gauge, summarised
from optuna_pop.profiling.checking import check_table, require_conditions
from optuna_pop.profiling.engines import ENGINES, Engine, EngineInfo, EngineOptions, Timing
from optuna_pop.profiling.gpu_measuring import notes, visit_in_rounds
from optuna_pop.profiling.journal import Journal
from optuna_pop.profiling.session import Plan, device_name, measure
from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.spaces.blocks import BlockConfig

Onnx = Callable[..., bytes]
PLAN = {"device": "board", "networks": ["a", "b"]}


class TestJournal:
    def test_what_was_kept_is_gone_on_with(self, tmp_path: Path) -> None:
        path = tmp_path / "journal"
        first = Journal(path, PLAN, 2)
        assert not first.resumed
        for number in range(3):
            first.samples[0].append(1.0 + number)
            first.samples[1].append(2.0 + number)
            first.reference += [0.1, 0.2]
            first.visits[1] += 1
            first.keep(number + 1, 0.5 * number, now=True)
        second = Journal(path, PLAN, 2)
        assert second.resumed
        assert second.samples == [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]
        assert second.reference == [0.1, 0.2] * 3
        assert (second.cycles, second.elapsed, second.visits) == (3, 1.0, [0, 3])
        assert second.started == first.started
        second.samples[0].append(9.0)
        second.keep(4, 2.0, now=True)
        assert Journal(path, PLAN, 2).samples[0] == [1.0, 2.0, 3.0, 9.0]

    def test_a_line_cut_short_is_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "journal"
        first = Journal(path, PLAN, 2)
        for value in (1.0, 2.0):
            first.samples[0].append(value)
            first.keep(1, 0.1, now=True)
        path.write_text(path.read_text()[:-10])
        second = Journal(path, PLAN, 2)
        assert second.samples[0] == [1.0]
        second.samples[0].append(3.0)
        second.keep(2, 0.2, now=True)
        assert Journal(path, PLAN, 2).samples[0] == [1.0, 3.0]

    def test_another_plan_is_refused_by_name(self, tmp_path: Path) -> None:
        path = tmp_path / "journal"
        Journal(path, PLAN, 2)
        with pytest.raises(TableError, match=r"something else \(device differ"):
            Journal(path, {**PLAN, "device": "other"}, 2)

    @pytest.mark.parametrize("text", ["", "[]\n", "no journal\n", '{"schema": "other"}\n'])
    def test_another_file_is_left_alone(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "journal"
        path.write_text(text)
        with pytest.raises(TableError, match="move it away"):
            Journal(path, PLAN, 2)
        assert path.read_text() == text


def test_an_interrupted_table_goes_on_where_it_was(
    onnx: Onnx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = BackboneSpace(widths=(4, 8), max_depths=(1, 1), input_shape=(1, 16, 16), classes=3)
    plan = Plan(cycles=30, seconds=0, journal=tmp_path / "partial")
    engine, runs = ENGINES["onnxruntime"], 0
    whole = engine._run_impl

    def failing(self: Engine) -> None:
        nonlocal runs
        runs += 1
        if runs == 600:
            raise KeyboardInterrupt
        whole(self)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_run_impl", failing)
        with pytest.raises(KeyboardInterrupt):
            build_table(space, onnx, plan, networks=0)
    assert plan.journal is not None
    known = json.loads(plan.journal.read_text().splitlines()[0])["plan"]
    kept = Journal(plan.journal, known, len(known["networks"]))
    assert 5 < kept.cycles < 30
    table = build_table(space, onnx, plan, networks=0)
    assert table.conditions.cycles == 30
    assert table.conditions.date == kept.started.replace(microsecond=0)
    assert {record.samples for record in table.blocks.values()} == {30}


# --- GPUs: there is none here, so engines below only play one ------------------------------------


class SimulatedGpuEngine(Engine):
    """Plays a GPU: no device, times are given. For the protocol, not for timing."""

    log: list[str]
    ms = 1.0
    enqueue = 0.1
    lost_after = 10**9

    @classmethod
    def info(cls, options: EngineOptions | None = None) -> EngineInfo:
        return EngineInfo("simulated-gpu", "1", "float32", 1, kind="gpu", clock="cuda events")

    def _compile_impl(self, model: bytes) -> None:
        pass

    def _run_impl(self) -> None:
        self.log.append("run")

    def _time_impl(self) -> Timing:
        self.log.append(self.label)
        if len(self.log) > self.lost_after:
            raise EngineError("the GPU was lost.")
        return Timing(self.ms, self.enqueue)

    def _close_impl(self) -> None:
        pass


class SimulatedGauge:
    def __init__(self) -> None:
        self.looks = 0

    def read(self) -> Reading:
        self.looks += 1
        return Reading(1000.0 + self.looks, 5000.0, 100.0 + self.looks, 50.0, self.looks == 2)


def gpu(*names: str) -> tuple[dict[str, Engine], Engine, list[str]]:
    log: list[str] = []
    made: dict[str, Engine] = {}
    for place, name in enumerate((*names, "reference")):
        engine = SimulatedGpuEngine(b"", label=name)
        engine.log, engine.ms = log, 1.0 + place
        made[name] = engine.__enter__()
    return made, made.pop("reference"), log


def test_a_gpu_is_visited_in_shuffled_rounds_after_a_warm_up() -> None:
    engines, reference, log = gpu("a", "b", "c")
    look = SimulatedGauge()
    found = visit_in_rounds(engines, reference, look, warm_s=0.001, visit_s=0.0)
    visits = [
        name
        for name, before in zip(log[1:], log[:-1], strict=True)
        if name != "run" and before == "run"
    ]
    assert len(visits) == 3 * 4
    rounds = [visits[i : i + 4] for i in (0, 4, 8)]
    assert all(names[0] == "reference" for names in rounds)
    assert all(set(names) == {"reference", "a", "b", "c"} for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1
    assert {name: len(samples) for name, samples in found.samples.items()} == dict.fromkeys(
        "abc", 30
    )
    assert found.samples["b"].tolist() == [2.0] * 30
    assert found.enqueue["b"].tolist() == [0.1] * 30
    assert look.looks == 9 == len(found.readings)


def test_a_lost_gpu_loses_nothing_measured(tmp_path: Path) -> None:
    engines, reference, log = gpu("a", "b", "c")
    for engine in (*engines.values(), reference):
        assert isinstance(engine, SimulatedGpuEngine)
        engine.lost_after = 90
    path = tmp_path / "journal"
    how: dict[str, Any] = {"warm_s": 0.0, "visit_s": 0.0}
    with pytest.raises(EngineError, match="lost"):
        visit_in_rounds(engines, reference, SimulatedGauge(), journal=Journal(path, PLAN, 3), **how)
    kept = Journal(path, PLAN, 3)
    done = sum(kept.visits)
    assert 0 < done < 9
    engines, reference, log = gpu("a", "b", "c")
    found = visit_in_rounds(engines, reference, SimulatedGauge(), journal=kept, **how)
    assert sum(name in "abc" for name in log if name != "run") == 10 * (9 - done)
    assert {len(samples) for samples in found.samples.values()} == {30}


def test_nvidias_thresholds() -> None:
    steady = np.full(100, 2.0)
    assert notes(steady) == ()
    assert notes(steady, np.full(100, 1.5)) == ()
    assert notes(steady, np.full(100, 1.7)) == ("enqueue-bound",)
    wild = steady * (1 + 0.03 * np.where(np.arange(100) % 2, 1, -1))
    assert notes(wild) == ("unstable",)
    assert notes(steady * (1 + 0.02 * np.where(np.arange(100) % 2, 1, -1))) == ()


@pytest.mark.parametrize(("names", "rounds"), [((), 3), (("a",), 1)])
def test_too_little_to_measure(names: tuple[str, ...], rounds: int) -> None:
    engines, reference, _ = gpu(*names)
    with pytest.raises(InputError, match="2 rounds"):
        visit_in_rounds(engines, reference, SimulatedGauge(), rounds=rounds)


def test_readings_are_summed_up() -> None:
    device = Accelerator("card", "1.2", 8.0)
    assert summarised(device, []) == device
    looks = [Reading(1000.0, 5000.0, 90.0, 40.0, False), Reading(1500.0, 5000.0, 120.0, 60.0, True)]
    found = summarised(device, looks)
    assert (found.sm_mhz, found.power_w, found.temperature_c) == ((1000.0, 1500.0), 120.0, 60.0)
    assert (found.throttled, found.steady) == (True, False)
    assert summarised(device, looks[:1]).steady


def test_nvml_is_read_as_it_says() -> None:
    class MockNvml:
        """A MOCK of pynvml: there is no driver here."""

        class NVMLError(Exception):
            pass

        NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
        nvmlClocksEventReasonSwPowerCap = 4
        nvmlClocksEventReasonSwThermalSlowdown = 32
        nvmlClocksThrottleReasonHwSlowdown = 8

        def __getattr__(self, name: str) -> Any:
            answers: dict[str, Any] = {
                "nvmlDeviceGetHandleByIndex": lambda _: "card",
                "nvmlDeviceGetCurrentClocksEventReasons": lambda _: 4,
                "nvmlDeviceGetClockInfo": lambda _, kind: 1000 * kind,
                "nvmlDeviceGetPowerUsage": lambda _: 123_400,
                "nvmlDeviceGetTemperature": lambda *_: 61,
                "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=8 * 2**30),
                "nvmlDeviceGetName": lambda _: b"Card",
                "nvmlSystemGetDriverVersion": lambda: "580.1",
            }
            return answers[name]

    look = NvmlGauge(MockNvml())
    assert look.read() == Reading(1000.0, 2000.0, 123.4, 61.0, True)
    assert look.describe() == Accelerator("Card", "580.1", 8.0)


def test_without_a_gpu_nothing_is_read() -> None:
    with gauge() as look:
        if isinstance(look, NvmlGauge):
            pytest.skip("there is a GPU here")
        assert look.read() is None


# --- checking a table ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> BackboneSpace:
    return BackboneSpace(widths=(8, 16), max_depths=(2, 2), input_shape=(3, 32, 32), classes=3)


@pytest.fixture(scope="module")
def made(small: BackboneSpace, onnx: Onnx) -> LatencyTable:
    return build_table(small, onnx, Plan(seconds=0.5), networks=5)


def test_a_table_is_checked_on_networks_it_has_not_seen(
    made: LatencyTable, small: BackboneSpace, onnx: Onnx
) -> None:
    found = check_table(made, small, onnx, Plan(seconds=0.5), networks=6)
    assert len(found.networks) == 6
    assert not {n.blocks for n in found.networks} & {n.blocks for n in made.networks}
    assert found.table == made.fingerprint
    for network in found.networks:
        blocks = [BlockConfig.from_key(key) for key in network.blocks]
        assert network.estimate == pytest.approx(made.latency(blocks))
    estimates = np.array([network.estimate for network in found.networks])
    measured = np.array([network.record.minimum for network in found.networks])
    assert found.estimates.mape == pytest.approx(
        100 * np.abs(estimates / measured - 1).mean(), rel=1e-6
    )


def test_a_table_of_another_device_is_refused_unless_forced(
    made: LatencyTable, small: BackboneSpace, onnx: Onnx
) -> None:
    here = made.conditions.device
    moved = made.conditions.model_copy(
        update={"device": here.model_copy(update={"name": "Jetson TX2"})}
    )
    other = made.model_copy(update={"conditions": moved})
    with pytest.raises(TableError, match=r"device 'Jetson TX2', but this is .*--force"):
        check_table(other, small, onnx, Plan(seconds=0))
    assert check_table(other, small, onnx, Plan(seconds=0), networks=2, force=True)
    for plan, what in (
        (Plan("openvino"), "engine 'onnxruntime'"),
        (Plan(options=EngineOptions(precision="int8")), "precision 'float32'"),
    ):
        with pytest.raises(TableError, match=what):
            require_conditions(made, plan)
    assert device_name(Plan()) == here.name


def test_tables_from_layers(small: BackboneSpace) -> None:
    from optuna_pop.trainables.export import export_onnx

    table = build_table(small, export_onnx, Plan(seconds=0.2), networks=5, source="layers")
    assert table.source == "layers"
    assert set(table.blocks) == {block.key for block in small.block_configs()}


def test_layers_need_an_engine_that_times_them(onnx: Onnx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ENGINES["onnxruntime"], "_layers_impl", Engine._layers_impl)
    models = {"a": lambda: onnx([BlockConfig("conv", 2, 8, 8, 4, 4, 4)])}
    with pytest.raises(EngineError, match="does not time single layers"):
        measure(models, Plan(seconds=0), layers_of=["a"])
