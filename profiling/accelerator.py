"""The state of an NVIDIA GPU while it is measured: clocks, power, temperature (NVML)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

_MHZ_APART = 0.01  # share by which clocks may differ and still count as locked


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the GPU.

    Attributes:
        sm_mhz: Clock of the multiprocessors.
        memory_mhz: Clock of the memory.
        power_w: Power drawn.
        temperature_c: Of the chip.
        throttled: Whether heat or the power limit held clocks down.
    """

    sm_mhz: float
    memory_mhz: float
    power_w: float
    temperature_c: float
    throttled: bool


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A GPU, and how it was while it was measured.

    Attributes:
        name: E.g. "NVIDIA GeForce GTX 1080 Ti".
        driver: Version of its driver.
        memory_gib: Its memory; None where it is not known.
        sm_mhz: Least and greatest clock of the multiprocessors seen.
        memory_mhz: Least and greatest clock of the memory seen.
        power_w: Greatest power seen, in watts.
        temperature_c: Greatest temperature seen.
        throttled: Whether heat or the power limit held clocks down at any look.
        steady: Whether the clocks stayed within 1%, as locked ones do.
    """

    name: str
    driver: str
    memory_gib: float | None
    sm_mhz: tuple[float, float] | None = None
    memory_mhz: tuple[float, float] | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    throttled: bool | None = None
    steady: bool | None = None


class Gauge(Protocol):
    """Something that reads the state of a GPU."""

    def read(self) -> Reading | None:
        """Look once; None where nothing can be read."""


class NvmlGauge:
    """Reads the first GPU that this process sees, through NVML.

    Args:
        nvml: The module ``pynvml``, initialised.
    """

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._device = nvml.nvmlDeviceGetHandleByIndex(0)

    def read(self) -> Reading | None:
        """Look once; None where the driver does not tell, as on some Jetsons."""
        nvml, device = self._nvml, self._device
        try:
            reasons = nvml.nvmlDeviceGetCurrentClocksEventReasons(device)
            held = (
                nvml.nvmlClocksEventReasonSwPowerCap
                | nvml.nvmlClocksEventReasonSwThermalSlowdown
                | nvml.nvmlClocksThrottleReasonHwSlowdown
            )
            return Reading(
                float(nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM)),
                float(nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM)),
                nvml.nvmlDeviceGetPowerUsage(device) / 1e3,
                float(nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU)),
                bool(reasons & held),
            )
        except nvml.NVMLError:
            return None

    def describe(self) -> Accelerator:
        """Return what the GPU is."""
        nvml = self._nvml
        memory = nvml.nvmlDeviceGetMemoryInfo(self._device).total / 2**30
        name, driver = nvml.nvmlDeviceGetName(self._device), nvml.nvmlSystemGetDriverVersion()
        return Accelerator(_text(name), _text(driver), round(memory, 1))


class NoGauge:
    """Reads nothing."""

    def read(self) -> Reading | None:
        """Return None."""
        return None


@contextmanager
def gauge() -> Iterator[NvmlGauge | NoGauge]:
    """Yield what reads the GPU's state; without NVML, its library or a GPU, what reads nothing."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no driver, no GPU: measured all the same, without readings
        yield NoGauge()
        return
    try:
        yield NvmlGauge(pynvml)
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def summarised(device: Accelerator, readings: Sequence[Reading]) -> Accelerator:
    """Return the GPU with what was read of it."""
    if not readings:
        return device
    sm = [reading.sm_mhz for reading in readings]
    memory = [reading.memory_mhz for reading in readings]
    return Accelerator(
        device.name,
        device.driver,
        device.memory_gib,
        sm_mhz=(min(sm), max(sm)),
        memory_mhz=(min(memory), max(memory)),
        power_w=max(reading.power_w for reading in readings),
        temperature_c=max(reading.temperature_c for reading in readings),
        throttled=any(reading.throttled for reading in readings),
        steady=max(sm) - min(sm) <= _MHZ_APART * max(sm),
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
