from __future__ import annotations

import gc
import io
import os
import sys
import time

import numpy as np
import pytest

from optuna_pop.errors import InputError
from optuna_pop.profiling.device import describe, no_garbage_collection, pinned
from optuna_pop.profiling.engines import Engine, EngineInfo, EngineOptions
from optuna_pop.profiling.measuring import MIN_CYCLES, round_robin
from optuna_pop.profiling.progress import silent, terminal_bar

can_pin = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this operating system cannot pin threads"
)


class LoggingEngine(Engine):
    """Writes its label and the state of the process to a shared log at each run."""

    log: list[tuple[str, bool, int]]
    fail_after = 10**9

    @classmethod
    def info(cls, options: EngineOptions | None = None) -> EngineInfo:
        return EngineInfo("logging", "1", "float32", 1)

    def _compile_impl(self, model: bytes) -> None:
        pass

    def _run_impl(self) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        self.log.append((self.label, gc.isenabled(), cores))
        if len(self.log) > self.fail_after:
            raise RuntimeError("device lost")
        if self.label == "slow":
            time.sleep(0.002)

    def _close_impl(self) -> None:
        pass


def _engines(*names: str, fail_after: int = 10**9) -> tuple[dict[str, Engine], Engine]:
    log: list[tuple[str, bool, int]] = []
    made: dict[str, Engine] = {}
    for name in (*names, "reference"):
        engine = LoggingEngine(b"", label=name)
        engine.log = log
        engine.fail_after = fail_after
        made[name] = engine.__enter__()
    return made, made.pop("reference")


def _labels(reference: Engine) -> list[str]:
    assert isinstance(reference, LoggingEngine)
    return [label for label, _, _ in reference.log]


def test_every_network_is_visited_once_a_cycle_in_changing_order() -> None:
    engines, reference = _engines("a", "b", "c", "slow")
    measured = round_robin(engines, reference, cycles=20, seed=1)
    runs = _labels(reference)[2 * 5 :]  # after the warm-up, two runs each
    # A visit: reference untimed and timed, network untimed and timed.
    assert len(runs) == 20 * 4 * 4
    visits = [runs[i : i + 4] for i in range(0, len(runs), 4)]
    assert all(visit[:2] == ["reference"] * 2 and visit[2] == visit[3] for visit in visits)
    cycles = [tuple(v[2] for v in visits[i : i + 4]) for i in range(0, len(visits), 4)]
    assert all(set(cycle) == set(engines) for cycle in cycles)
    assert len(set(cycles)) > 5
    assert {name: len(s) for name, s in measured.samples.items()} == dict.fromkeys(engines, 20)
    assert measured.reference.shape == (80,)
    assert measured.cycles == 20


def test_samples_are_milliseconds() -> None:
    engines, reference = _engines("slow", "quick")
    measured = round_robin(engines, reference)
    assert measured.samples["slow"].min() >= 2.0  # it sleeps so long
    assert np.median(measured.samples["quick"]) < 1.0


def test_the_order_follows_the_seed() -> None:
    orders = []
    for seed in (0, 0, 1):
        engines, reference = _engines("a", "b", "c")
        round_robin(engines, reference, seed=seed)
        orders.append(_labels(reference))
    assert orders[0] == orders[1] != orders[2]


def test_measuring_goes_on_for_the_given_time_in_whole_cycles() -> None:
    engines, reference = _engines("slow", "quick")
    begin = time.perf_counter()
    measured = round_robin(engines, reference, seconds=0.2)
    assert time.perf_counter() - begin >= 0.2
    assert measured.cycles > MIN_CYCLES
    assert {len(s) for s in measured.samples.values()} == {measured.cycles}


def test_progress_rises_to_the_end() -> None:
    seen: list[tuple[str, int, int]] = []
    engines, reference = _engines("a")
    round_robin(engines, reference, progress=lambda *step: seen.append(step))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1] == ("measuring", 100, 100)


@can_pin
def test_the_process_is_quiet_while_measuring_and_as_before_afterwards() -> None:
    before = os.sched_getaffinity(0)
    engines, reference = _engines("a")
    round_robin(engines, reference)
    assert isinstance(reference, LoggingEngine)
    assert {(collecting, cores) for _, collecting, cores in reference.log} == {(False, 1)}
    assert os.sched_getaffinity(0) == before
    assert gc.isenabled()


@can_pin
def test_the_process_is_as_before_after_a_failure() -> None:
    before = os.sched_getaffinity(0)
    engines, reference = _engines("a", fail_after=30)
    with pytest.raises(RuntimeError, match="device lost"):
        round_robin(engines, reference)
    assert os.sched_getaffinity(0) == before
    assert gc.isenabled()


def test_garbage_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with no_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@can_pin
def test_a_core_can_be_chosen_among_the_allowed() -> None:
    allowed = os.sched_getaffinity(0)
    with pinned(min(allowed)) as core:
        assert os.sched_getaffinity(0) == {core} == {min(allowed)}
    assert os.sched_getaffinity(0) == allowed
    with pytest.raises(InputError, match="core 9999"), pinned(9999):
        pass


def test_the_device_is_described() -> None:
    found = describe()
    assert found.name not in ("", "unknown")
    assert found.cores >= 1
    assert found.memory_gib > 0
    assert found.machine
    assert found.system


@pytest.mark.parametrize(("names", "cycles"), [([], 15), (["a"], 14)])
def test_too_little_is_refused(names: list[str], cycles: int) -> None:
    engines, reference = _engines(*names)
    with pytest.raises(InputError, match=f"{len(names)} and {cycles}"):
        round_robin(engines, reference, cycles=cycles)


def test_no_bar_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with terminal_bar() as show:
        assert show is silent


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with terminal_bar() as show:
        show("compiling", 1, 4)
        show("measuring", 4, 4)
    drawn = screen.getvalue()
    assert "compiling" in drawn
    assert "25%" in drawn
    assert "100%" in drawn
