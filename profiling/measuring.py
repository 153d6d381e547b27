"""How latencies are measured on a CPU: the whole protocol, in one place (GPUs: `gpu_measuring`).

A block alone must take the time it takes inside a network, or the sums of POP's look-up table
(paper, section 3.2) predict nothing. So:

- All networks are resident. Visiting them in bursts keeps a block's weights and buffers in the
  caches and flatters it (Pearson's r .993, sums 16% too low); a shuffled round robin does not
  (r .999, no bias).
- A visit is one untimed run, then one timed run: the untimed one brings a network's own data
  into the caches, as the previous image does in use.
- Every network gets the same number of visits, whatever its length, so that minima are comparable.
  Blocks of 10 microseconds are no exception: timing them three times a visit made estimates of
  networks worse (error 3.1% against 2.6%), since the later runs are hotter than in a network.
  They get more cycles instead: whole cycles go on until ``seconds`` have passed, so that the
  machine's slow and fast phases meet all networks alike.
- A reference convolution is timed between visits. It shows how much the machine drifted.
- The thread stays on one core and the garbage collector is off.

The latency of a record is its MINIMUM. Other programs and the machine's clock only ever add time.
Measured on 2 virtual cores, 24 networks of 40 to 140 microseconds estimated from their blocks by a
fit that had not seen them, the mean error was 2.6% by the minimum and 2.7% by the median on a
quiet machine, 3.7% against 5.9% with both cores busy, and 5.5% against 10.6% in just 15 cycles.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from optuna_pop.errors import InputError
from optuna_pop.profiling.accelerator import Reading
from optuna_pop.profiling.device import no_garbage_collection, pinned
from optuna_pop.profiling.engines.base import Engine
from optuna_pop.profiling.journal import Journal
from optuna_pop.profiling.progress import Progress, silent

K = TypeVar("K", bound=Hashable)
MIN_CYCLES = 15


@dataclass(frozen=True, slots=True)
class Measurement(Generic[K]):
    """What a session gave.

    Attributes:
        samples: Milliseconds of each timed run by name, each of shape (runs,), in the order they
            were taken.
        reference: Milliseconds of the reference convolution between visits, shape (runs,).
        cycles: Visits to each network.
        started: When it began (UTC).
        enqueue: On a GPU, milliseconds the host took to hand over each run, like ``samples``.
        readings: State of a GPU, read between visits.
    """

    samples: Mapping[K, NDArray[np.float64]]
    reference: NDArray[np.float64]
    cycles: int
    started: datetime
    enqueue: Mapping[K, NDArray[np.float64]] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()


def round_robin(
    engines: Mapping[K, Engine],
    reference: Engine,
    *,
    cycles: int = MIN_CYCLES,
    seconds: float = 0.0,
    seed: int = 0,
    progress: Progress = silent,
    journal: Journal | None = None,
) -> Measurement[K]:
    """Time compiled networks against each other.

    Args:
        engines: Compiled networks by name.
        reference: A compiled network that shows the machine's drift; it is not a result.
        cycles: Visits to each network, at least ``MIN_CYCLES``.
        seconds: Go on with whole cycles until this much time has passed, so that short networks
            too are spread over the machine's slow and fast phases.
        seed: Of the order of visits.
        progress: Told the percentage done after each cycle.
        journal: Keeps what is measured, so that an interrupted session goes on where it was.

    Raises:
        InputError: if there is nothing to measure, or too few cycles.
    """
    if not engines or cycles < MIN_CYCLES:
        raise InputError(
            f"measuring needs at least 1 network and {MIN_CYCLES} cycles but got "
            f"{len(engines)} and {cycles}"
        )
    names = list(engines)
    kept = journal or Journal(None, {}, len(names))
    taken, between = kept.samples, kept.reference
    done = kept.cycles
    random = np.random.default_rng((seed, done))
    with pinned(), no_garbage_collection():
        for engine in (reference, *engines.values()):
            engine.warm()
        begin = time.perf_counter() - kept.elapsed
        while done < cycles or time.perf_counter() - begin < seconds:
            try:
                for i in random.permutation(len(names)).tolist():
                    _visit(reference, between)
                    _visit(engines[names[i]], taken[i])
            except BaseException:  # a cycle cut short would leave unequal numbers of visits
                for samples in taken:
                    del samples[done:]
                raise
            done += 1
            elapsed = time.perf_counter() - begin
            kept.keep(done, elapsed)
            share = elapsed / seconds if seconds > 0 else 1.0
            progress("measuring", int(100 * min(1.0, share, done / cycles)), 100)
    return Measurement(
        samples={name: np.asarray(taken[i]) for i, name in enumerate(names)},
        reference=np.asarray(between),
        cycles=done,
        started=kept.started,
    )


def _visit(engine: Engine, taken: list[float]) -> None:
    engine.run()
    taken.append(engine.time().ms)
