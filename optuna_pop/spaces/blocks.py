"""Block configurations: the unit of the latency look-up table (POP paper, section 3.2).

A configuration is a plain description. The same value is the key of a latency in the table and
the plan from which ``optuna_pop.trainables`` builds the block of a network, so what was measured
is what is trained.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from optuna_pop.errors import InputError

_KEY = re.compile(
    r"(?P<kind>\w+) (?P<c_in>\d+)x(?P<h_in>\d+)x(?P<w_in>\d+)"
    r"->(?P<c_out>\d+)x(?P<h_out>\d+)x(?P<w_out>\d+)(?: (?P<options>\w+=\d+(?:,\w+=\d+)*))?"
)


@dataclass(frozen=True, slots=True, order=True)
class BlockConfig:
    """One block configuration, Latency(c_in, h_in, w_in, c_out, h_out, w_out) of the paper.

    Attributes:
        kind: Registered name of the block ("conv", "basic", "head", ...).
        c_in: Input channels.
        h_in: Input height, pixels.
        w_in: Input width, pixels.
        c_out: Output channels.
        h_out: Output height, pixels.
        w_out: Output width, pixels.
        options: Further integers that the kind needs, sorted by name.
    """

    kind: str
    c_in: int
    h_in: int
    w_in: int
    c_out: int
    h_out: int
    w_out: int
    options: tuple[tuple[str, int], ...] = ()

    @property
    def stride(self) -> int:
        """Down-sampling factor, the same along both axes."""
        return math.ceil(self.h_in / self.h_out)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the input."""
        return (self.c_in, self.h_in, self.w_in)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the output."""
        return (self.c_out, self.h_out, self.w_out)

    @property
    def key(self) -> str:
        """Readable name, unique per configuration: ``"basic 64x56x56->128x28x28"``."""
        text = (
            f"{self.kind} {self.c_in}x{self.h_in}x{self.w_in}"
            f"->{self.c_out}x{self.h_out}x{self.w_out}"
        )
        if self.options:
            text += " " + ",".join(f"{name}={value}" for name, value in self.options)
        return text

    @classmethod
    def from_key(cls, key: str) -> BlockConfig:
        """Parse what ``key`` gives.

        Raises:
            InputError: if the text is not a block configuration.
        """
        match = _KEY.fullmatch(key)
        if match is None:
            raise InputError(
                f"{key!r} is not a block configuration: "
                "write 'kind CxHxW->CxHxW', e.g. 'basic 64x56x56->128x28x28'"
            )
        parts = match.groupdict()
        kind, options = parts.pop("kind"), parts.pop("options")
        pairs = [pair.split("=") for pair in options.split(",")] if options else []
        return cls(
            kind=kind,
            options=tuple((name, int(value)) for name, value in pairs),
            **{name: int(value) for name, value in parts.items()},
        )

    def __str__(self) -> str:
        return self.key
