"""What a latency table consists of; every part is checked when it is made or read.

A latency is never a bare number: it is a record with spread, count, unit and time, under
conditions that say on what and with what it was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.spaces.blocks import BlockConfig

with needs_extra("profiling"):
    from pydantic import (
        AfterValidator,
        AwareDatetime,
        BaseModel,
        ConfigDict,
        Field,
        model_validator,
    )


def _known_key(key: str) -> str:
    if BlockConfig.from_key(key).key != key:
        raise ValueError(f"write it as {BlockConfig.from_key(key).key!r}")
    return key


def _whole_second(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(microsecond=0)


BlockKey = Annotated[str, AfterValidator(_known_key)]
UtcTime = Annotated[AwareDatetime, AfterValidator(_whole_second)]
Milliseconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Coefficient = Annotated[float, Field(ge=-1, le=1)]
Statistic = Literal["minimum", "median"]
Note = Literal["unstable", "enqueue-bound"]
Source = Literal["blocks", "layers"]


class Part(BaseModel):
    """Base of all parts: unchangeable, strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LatencyRecord(Part):
    """Latency of one block or network.

    Attributes:
        minimum: Shortest timed run.
        median: Median of the timed runs.
        spread: Split-half difference: how far apart the minima of the first and of the second
            half of the runs lie. Small against ``minimum`` means that measuring again would give
            the same.
        samples: Number of timed runs.
        unit: Of minimum, median and spread.
        time: When measuring began (UTC).
        notes: Warnings of ``optuna_pop.profiling.gpu_measuring``, none on CPUs.
    """

    minimum: Milliseconds
    median: Milliseconds
    spread: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    samples: Annotated[int, Field(ge=1)]
    unit: Literal["ms"] = "ms"
    time: UtcTime
    notes: tuple[Note, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum > self.median:
            raise ValueError(f"minimum {self.minimum} is above median {self.median}")
        return self

    @classmethod
    def of(cls, samples: ArrayLike, time: datetime, notes: Sequence[Note] = ()) -> LatencyRecord:
        """Summarise timed runs.

        Args:
            samples: Milliseconds in the order they were taken, shape (n,), n >= 2.
            time: When measuring began.
            notes: Warnings.

        Raises:
            InputError: if there are fewer than two samples.
        """
        runs = np.asarray(samples, dtype=np.float64)
        if runs.ndim != 1 or len(runs) < 2:
            raise InputError(f"a record needs at least 2 samples but got shape {runs.shape}")
        first, second = runs[: len(runs) // 2], runs[len(runs) // 2 :]
        return cls(
            minimum=float(runs.min()),
            median=float(np.median(runs)),
            spread=float(abs(first.min() - second.min())),
            samples=len(runs),
            time=time,
            notes=tuple(notes),
        )


class NetworkRecord(Part):
    """Latency of one whole network, measured between the blocks.

    Attributes:
        blocks: Keys of its blocks in order.
        record: Its latency.
    """

    blocks: Annotated[tuple[BlockKey, ...], Field(min_length=1)]
    record: LatencyRecord


class DeviceRecord(Part):
    """The computer that ran the networks; see ``optuna_pop.profiling.device.Device``."""

    name: str
    cores: int
    machine: str
    system: str
    memory_gib: float


class AcceleratorRecord(Part):
    """The GPU that ran the networks; see ``optuna_pop.profiling.accelerator.Accelerator``."""

    name: str
    driver: str
    memory_gib: float | None
    sm_mhz: tuple[float, float] | None = None
    memory_mhz: tuple[float, float] | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    throttled: bool | None = None
    steady: bool | None = None


class Conditions(Part):
    """On what, with what and how all records of a table were measured.

    Attributes:
        device: The computer.
        accelerator: The GPU that ran the networks, if one did, and how it was meanwhile.
        engine: Registered name of the inference engine.
        precision: Number type of weights and activations.
        versions: Versions of the engine and of what else takes part, by name.
        threads: Threads one run uses.
        batch: Images a run takes.
        date: When measuring began (UTC).
        cycles: Visits to every network.
        clock: What timed a run: the host's clock, or events in the GPU's own queue.
        reference: The reference convolution timed between visits.
        drift: 95th over 5th percentile of the reference's times; 1 is a perfectly steady machine.
    """

    device: DeviceRecord
    accelerator: AcceleratorRecord | None = None
    engine: str
    precision: str
    versions: dict[str, str]
    threads: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)] = 1
    date: UtcTime
    cycles: Annotated[int, Field(ge=1)]
    clock: Literal["host", "cuda events"] = "host"
    reference: LatencyRecord
    drift: Annotated[float, Field(ge=1, allow_inf_nan=False)]

    @property
    def device_name(self) -> str:
        """Name of what computed: the GPU if there is one, else the processor."""
        return self.accelerator.name if self.accelerator else self.device.name


class Correction(Part):
    """Latency of a network = a · Σ block latencies + b · number of blocks.

    A block measured alone pays for a call of its own, a block inside a network does not, so b is
    about minus the cost of a call.

    Attributes:
        a: Factor on the sum.
        b: Milliseconds per block, usually negative.
    """

    a: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    b: Finite


class Errors(Part):
    """How estimates compare with measured networks.

    Attributes:
        pearson: Pearson's r, None where it is undefined.
        spearman: Spearman's rank correlation, None where it is undefined.
        mape: Mean absolute error, percent of the measured latency.
        bias: Mean signed error, percent; positive where estimates are too high.
        within_5: Share of networks within 5%.
        within_10: Share of networks within 10%.
    """

    pearson: Coefficient | None
    spearman: Coefficient | None
    mape: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    bias: Finite
    within_5: Share
    within_10: Share


class Verification(Part):
    """The paper's Figure 3(a) in numbers: estimates against whole networks.

    Attributes:
        n: Networks measured.
        sums: Of plain sums of block latencies.
        corrected: Of corrected sums, each network left out of the fit that estimates it; None
            with too few networks for that.
    """

    n: Annotated[int, Field(ge=1)]
    sums: Errors
    corrected: Errors | None
