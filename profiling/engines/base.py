"""The life cycle every inference engine has: compile → warm → run → close.

One instance is one network, resident and ready to run. The public methods check the state; a
concrete engine writes only the ``_impl`` methods and ``info``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from optuna_pop.errors import OptunaPopError

State = Literal["new", "compiled", "warm", "closed"]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What ran the networks.

    Attributes:
        name: Registered name.
        version: Version of the engine's library.
        precision: Number type of weights and activations, e.g. "float32".
        threads: Threads that one run uses.
    """

    name: str
    version: str
    precision: str
    threads: int


class Engine(ABC):
    """A network compiled by an inference engine; use as a context manager.

    Args:
        model: A serialized ONNX model, batch 1, static shapes.
        label: What the model is, for messages, e.g. a block's key.

    Example:
        >>> with ENGINES["onnxruntime"](model, label="DF1") as engine:  # compiles
        ...     engine.warm()
        ...     engine.run()
    """

    def __init__(self, model: bytes, *, label: str = "model") -> None:
        self._model = model
        self._state: State = "new"
        self.label = label

    # --- what an engine writes ---------------------------------------------------------------

    @classmethod
    @abstractmethod
    def info(cls) -> EngineInfo:
        """Describe the engine.

        Raises:
            MissingExtraError: if the engine's library is not installed.
        """

    @abstractmethod
    def _compile_impl(self, model: bytes) -> None:
        """Make the model ready: its memory allocated, its input filled and bound."""

    @abstractmethod
    def _run_impl(self) -> None:
        """Execute the network once and return when its result is there."""

    @abstractmethod
    def _close_impl(self) -> None:
        """Free what ``_compile_impl`` took."""

    # --- the life cycle ----------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where in its life the engine is."""
        return self._state

    def __enter__(self) -> Self:
        self._require("new")
        self._compile_impl(self._model)
        self._model = b""  # the engine has its own copy now
        self._state = "compiled"
        return self

    def warm(self, runs: int = 2) -> None:
        """Execute untimed, so that lazily made buffers and caches exist before a timed run."""
        self._require("compiled", "warm")
        for _ in range(runs):
            self._run_impl()
        self._state = "warm"

    def run(self) -> None:
        """Execute the network once.

        Raises:
            OptunaPopError: if the engine was not compiled and warmed, or is closed.
        """
        if self._state != "warm":
            self._require("warm")
        self._run_impl()

    def close(self) -> None:
        """Free everything; closing again does nothing."""
        if self._state in ("compiled", "warm"):
            self._close_impl()
        self._state = "closed"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _require(self, *states: State) -> None:
        if self._state not in states:
            raise OptunaPopError(
                f"{type(self).__name__} of {self.label!r} is {self._state} but must be "
                f"{' or '.join(states)}: use `with engine: engine.warm(); engine.run()`, once"
            )
