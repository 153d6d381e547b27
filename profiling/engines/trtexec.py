"""trtexec as an engine: it compiles and times by itself, in a process of its own for each visit."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from optuna_pop.errors import EngineError, InputError
from optuna_pop.profiling import trtexec
from optuna_pop.profiling.engines import ENGINES
from optuna_pop.profiling.engines.base import (
    Engine,
    EngineInfo,
    EngineOptions,
    LayerTime,
    Timing,
    checked_precision,
)
from optuna_pop.profiling.precision import in_precision

_TAIL = 3  # lines of its output in an error


def find() -> str:
    """Return where trtexec is: ``TRTEXEC``, the PATH, or where NVIDIA's packages put it.

    Raises:
        EngineError: if it is nowhere.
    """
    named = os.environ.get(trtexec.VARIABLE)
    places = [named] if named else [shutil.which("trtexec"), *trtexec.PLACES]
    for place in places:
        if place and os.access(place, os.X_OK):
            return place
    raise EngineError(
        "trtexec is not installed here: it comes with TensorRT (JetPack's libnvinfer-bin); set "
        f"{trtexec.VARIABLE} to where it is, or measure on the device with "
        "`optuna-pop profile export`"
    )


@cache
def _help(place: str) -> str:
    done = subprocess.run([place, "--help"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@ENGINES.register("trtexec")
class TrtexecEngine(Engine):
    """NVIDIA's command-line tool; every visit loads the engine it has built before."""

    @classmethod
    def info(cls, options: EngineOptions | None = None) -> EngineInfo:
        """Describe the engine; see ``Engine.info``."""
        precision = checked_precision("trtexec", options)
        return EngineInfo(
            "trtexec",
            trtexec.version_in(_help(find())),
            precision,
            threads=1,
            kind="gpu",
            clock="cuda events",
        )

    def _compile_impl(self, model: bytes) -> None:
        self._place, precision = find(), self.options.precision
        if precision == "int8" or trtexec.is_typed(_help(self._place)):
            model = in_precision(model, precision, self.label)
        self._folder = tempfile.TemporaryDirectory()
        source, self._plan = Path(self._folder.name, "model.onnx"), Path(self._folder.name, "plan")
        source.write_bytes(model)
        flags = trtexec.build_flags(_help(self._place), precision)
        if self.options.cache is not None:
            self.options.cache.mkdir(parents=True, exist_ok=True)
            flags.append(f"--timingCacheFile={self.options.cache / 'trtexec-timing.cache'}")
        try:
            # One run: older versions have no way to build without running.
            self._call(f"--onnx={source}", f"--saveEngine={self._plan}", *flags, *_runs(0, 0.0, 1))
        except EngineError as error:
            self._folder.cleanup()
            raise InputError(f"trtexec rejects the model of {self.label!r}: {error}") from error

    def _run_impl(self) -> None:
        """Nothing: trtexec warms up by itself in each visit, and no other run is of use."""

    def _time_impl(self) -> Timing:
        return self._sample_impl(0.2, 0.0, 10)[-1]

    def _sample_impl(self, warm_s: float, seconds: float, least: int) -> list[Timing]:
        times = Path(self._folder.name, "times.json")
        flags = trtexec.run_flags(_help(self._place))
        self._call(
            f"--loadEngine={self._plan}",
            f"--exportTimes={times}",
            *flags,
            *_runs(warm_s, seconds, least),
        )
        found = trtexec.read_times(times)
        return [
            Timing(float(ms), float(handed))
            for ms, handed in zip(found.compute, found.enqueue, strict=True)
        ]

    def _layers_impl(self, runs: int) -> Sequence[LayerTime]:
        folder = Path(self._folder.name)
        profile, information = folder / "profile.json", folder / "layers.json"
        flags = [f"--exportProfile={profile}"]
        if trtexec.has_flag(_help(self._place), "--exportLayerInfo"):
            flags.append(f"--exportLayerInfo={information}")
        self._call(f"--loadEngine={self._plan}", *flags, *_runs(0.2, 0.0, runs))
        return trtexec.read_profile(profile, information)

    def _call(self, *flags: str) -> None:
        done = subprocess.run([self._place, *flags], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = [line for line in (done.stdout + done.stderr).splitlines() if "[E]" in line]
            lines = said or (done.stdout + done.stderr).splitlines()
            raise EngineError(" | ".join(lines[-_TAIL:]) or f"exit status {done.returncode}")

    def _close_impl(self) -> None:
        self._folder.cleanup()


def _runs(warm_s: float, seconds: float, least: int) -> list[str]:
    return [f"--warmUp={warm_s * 1e3:.0f}", f"--duration={seconds:g}", f"--iterations={least}"]
