"""Memory, a stream and events on an NVIDIA GPU, by pycuda or torch, whichever is there."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optuna_pop.errors import EngineError, MissingExtraError


class Cuda(Protocol):
    """What an engine needs of a GPU."""

    @property
    def stream(self) -> int:
        """Handle of the stream that everything runs in."""

    @property
    def device_name(self) -> str:
        """Name of the GPU."""

    def upload(self, values: NDArray[Any]) -> tuple[int, object]:
        """Copy to the GPU; returns the address and what keeps it alive."""

    def event(self) -> Any:
        """Make an event that can time."""

    def record(self, event: Any) -> None:
        """Put an event into the stream."""

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Wait for the later event; milliseconds between the two."""

    def synchronize(self) -> None:
        """Wait until the stream is done.

        Raises:
            EngineError: if the device was lost.
        """


class PycudaCuda:
    """pycuda, in the device's primary context, which it shares with torch and others."""

    def __init__(self) -> None:
        # pycuda.autoinit would make a context of its own, and clash with torch's.
        importlib.import_module("pycuda.autoprimaryctx")
        self._driver: Any = importlib.import_module("pycuda.driver")
        self._stream = self._driver.Stream()

    @property
    def stream(self) -> int:
        """Handle of the stream."""
        return int(self._stream.handle)

    @property
    def device_name(self) -> str:
        """Name of the GPU."""
        return str(self._driver.Context.get_device().name())

    def upload(self, values: NDArray[Any]) -> tuple[int, object]:
        """Copy to the GPU."""
        memory = self._driver.mem_alloc(max(values.nbytes, 1))
        self._driver.memcpy_htod(memory, np.ascontiguousarray(values))
        return int(memory), memory

    def event(self) -> Any:
        """Make an event."""
        return self._driver.Event()

    def record(self, event: Any) -> None:
        """Put an event into the stream."""
        event.record(self._stream)

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Milliseconds between two events."""
        end.synchronize()
        return float(start.time_till(end))

    def synchronize(self) -> None:
        """Wait until the stream is done."""
        self._stream.synchronize()


class TorchCuda:
    """torch's own stream and memory."""

    def __init__(self) -> None:
        self._torch: Any = importlib.import_module("torch")
        self._stream = self._torch.cuda.Stream()

    @property
    def stream(self) -> int:
        """Handle of the stream."""
        return int(self._stream.cuda_stream)

    @property
    def device_name(self) -> str:
        """Name of the GPU."""
        return str(self._torch.cuda.get_device_name())

    def upload(self, values: NDArray[Any]) -> tuple[int, object]:
        """Copy to the GPU."""
        tensor = self._torch.from_numpy(np.ascontiguousarray(values)).to("cuda")
        self._torch.cuda.synchronize()
        return int(tensor.data_ptr()), tensor

    def event(self) -> Any:
        """Make an event."""
        return self._torch.cuda.Event(enable_timing=True)

    def record(self, event: Any) -> None:
        """Put an event into the stream."""
        event.record(self._stream)

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Milliseconds between two events."""
        end.synchronize()
        return float(start.elapsed_time(end))

    def synchronize(self) -> None:
        """Wait until the stream is done."""
        self._stream.synchronize()


def open_cuda() -> Cuda:
    """Return the first of pycuda and torch that finds a GPU.

    Raises:
        MissingExtraError: if neither is installed.
        EngineError: if neither finds a GPU.
    """
    reasons, installed = [], False
    for name, make in (("pycuda", PycudaCuda), ("torch", TorchCuda)):
        try:
            found = make()
        except ModuleNotFoundError as error:
            installed = installed or error.name not in (name, f"{name}.autoprimaryctx")
            reasons.append(f"{name}: {error}")
        except Exception as error:  # of each library's own kinds; all mean "no GPU here"
            installed = True
            reasons.append(f"{name}: {type(error).__name__}: {error}")
        else:
            return found
    if not installed:
        raise MissingExtraError(
            "a GPU's memory needs pycuda or torch; get one with: pip install 'optuna-pop[tensorrt]'"
        )
    raise EngineError(f"no NVIDIA GPU can be used here; it needs a driver ({'; '.join(reasons)})")
