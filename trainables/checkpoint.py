"""A training's state on disk, so that another process can go on with it."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from optuna_pop.errors import needs_extra
from optuna_pop.files import write_whole

with needs_extra("train"):
    import torch


class Stateful(Protocol):
    """What can be kept: a network, an optimiser, a scaler of gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take a state up."""


class CheckpointFile:
    """The state after a training's last whole epoch: network, optimiser, curve, random numbers.

    It is replaced as a whole, so that whoever dies while writing leaves the one before. No code is
    ever loaded from it, only tensors and numbers.

    Args:
        path: Where it is kept; its folder is made.
        identity: What is trained, and how. The state of anything else is not gone on with.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path = path
        self._identity = identity

    def store(
        self,
        parts: Mapping[str, Stateful],
        generator: torch.Generator,
        curve: Sequence[Sequence[float]],
    ) -> None:
        """Write the state.

        Args:
            parts: Network, optimiser and what else changes, by name.
            generator: Of the order of samples.
            curve: The numbers of each epoch behind.

        Raises:
            StorageError: if it cannot be written.
        """
        content = io.BytesIO()
        torch.save(
            {
                "identity": self._identity,
                "parts": {name: part.state_dict() for name, part in parts.items()},
                "generator": generator.get_state(),
                "curve": [list(numbers) for numbers in curve],
            },
            content,
        )
        write_whole(self.path, content.getvalue())

    def restore(
        self, parts: Mapping[str, Stateful], generator: torch.Generator
    ) -> list[list[float]]:
        """Take the state up.

        Returns:
            The numbers of each epoch behind; none where there is no state, or
            one that is damaged or of another training, of which a warning says so. The latter is
            somebody's work: it is put aside and not written over.
        """
        if not self.path.exists():
            return []
        untouched = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
        try:
            state: dict[str, Any] = torch.load(self.path, weights_only=True, map_location="cpu")
            if state["identity"] != self._identity:
                raise ValueError(self._put_aside())
            for name, part in parts.items():
                part.load_state_dict(state["parts"][name])
            generator.set_state(state["generator"])
        except Exception as error:  # whatever a damaged file makes of itself
            for name, part in parts.items():
                part.load_state_dict(untouched[name])
            warnings.warn(
                f"checkpoint {self.path} is not used, the training begins anew: {error}",
                stacklevel=2,
            )
            return []
        curve: list[list[float]] = state["curve"]
        return curve

    def _put_aside(self) -> str:
        kept = self.path.with_name(f"{self.path.name}.other")
        with contextlib.suppress(FileNotFoundError):  # another process of the team did it
            self.path.replace(kept)
        return f"it is of another architecture, recipe, data set or seed, and is now {kept}"

    def remove(self) -> None:
        """Delete the state, if there is one."""
        self.path.unlink(missing_ok=True)
