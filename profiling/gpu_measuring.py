"""How latencies are measured on a GPU: the whole protocol, in one place (CPUs: `measuring`).

A GPU is not shared with other programs while it is measured, but its clocks rise with work and fall
with heat. So:

- A visit warms up by time, then times runs one after the other, at least ``RUNS``. Where the
  engine allows, runs are timed by events in the GPU's own queue, without transfers.
- All networks are visited ``ROUNDS`` times in shuffled order, so that slow changes of clocks and
  temperature meet all alike, and every record has a split-half difference.
- The latency of a record is its MEDIAN, as in NVIDIA's trtexec.
- NVIDIA's thresholds give warnings: a record is "unstable" when the coefficient of variation
  of its runs is above 2.5%, and "enqueue-bound" when the median time to enqueue a run is above
  0.8 of the median run: then the host is measured, not the GPU (use CUDA graphs or a faster host).
- Clocks, power, temperature and throttling are read before each visit. Lock the clocks
  (``nvidia-smi -lgc``, ``jetson_clocks``) for figures to be compared between days.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optuna_pop.errors import InputError
from optuna_pop.profiling.accelerator import Gauge, Reading
from optuna_pop.profiling.device import no_garbage_collection
from optuna_pop.profiling.engines.base import Engine
from optuna_pop.profiling.journal import Journal
from optuna_pop.profiling.measuring import K, Measurement
from optuna_pop.profiling.progress import Progress, silent
from optuna_pop.profiling.records import Note

ROUNDS: Final = 3
RUNS: Final = 10
WARM_S: Final = 0.2
VISIT_S: Final = 0.1
UNSTABLE: Final = 0.025
ENQUEUE_BOUND: Final = 0.8


def visit_in_rounds(
    engines: Mapping[K, Engine],
    reference: Engine,
    gauge: Gauge,
    *,
    rounds: int = ROUNDS,
    warm_s: float = WARM_S,
    visit_s: float = VISIT_S,
    seed: int = 0,
    progress: Progress = silent,
    journal: Journal | None = None,
) -> Measurement[K]:
    """Time compiled networks on a GPU.

    Args:
        engines: Compiled networks by name.
        reference: A compiled network that shows the device's drift; visited once a round.
        gauge: Reads the GPU's state.
        rounds: Visits to each network, at least 2.
        warm_s: Seconds of warm-up in each visit.
        visit_s: Seconds of timed runs in each visit.
        seed: Of the order of visits.
        progress: Told the percentage done.
        journal: Keeps what is measured, so that an interrupted session goes on where it was.

    Raises:
        InputError: if there is nothing to measure, or fewer than two rounds.
        EngineError: if the device is lost. What was measured is in the journal.
    """
    if not engines or rounds < 2:
        raise InputError(
            f"measuring needs at least 1 network and 2 rounds but got {len(engines)} and {rounds}"
        )
    names = list(engines)
    kept = journal or Journal(None, {}, len(names))
    begin, readings = time.perf_counter() - kept.elapsed, list[Reading]()
    with no_garbage_collection():
        for engine in (reference, *engines.values()):
            engine.warm()
        for number in range(rounds):
            if number >= kept.cycles:
                timings = reference.sample(warm_s=warm_s, seconds=visit_s, least=RUNS)
                kept.reference += [timing.ms for timing in timings]
            for i in np.random.default_rng((seed, number)).permutation(len(names)).tolist():
                if kept.visits[i] > number:
                    continue  # by the session that was interrupted
                if (reading := gauge.read()) is not None:
                    readings.append(reading)
                timings = engines[names[i]].sample(warm_s=warm_s, seconds=visit_s, least=RUNS)
                kept.samples[i] += [timing.ms for timing in timings]
                kept.enqueue[i] += [t.enqueue_ms for t in timings if t.enqueue_ms is not None]
                kept.visits[i] += 1
                kept.keep(number, time.perf_counter() - begin, now=True)
                progress("measuring", sum(kept.visits), rounds * len(names))
    return Measurement(
        samples={name: np.asarray(kept.samples[i]) for i, name in enumerate(names)},
        reference=np.asarray(kept.reference),
        cycles=rounds,
        started=kept.started,
        enqueue={name: np.asarray(kept.enqueue[i]) for i, name in enumerate(names)},
        readings=tuple(readings),
    )


def notes(samples: ArrayLike, enqueue: ArrayLike = ()) -> tuple[Note, ...]:
    """Say what NVIDIA's thresholds warn of.

    Args:
        samples: Milliseconds of timed runs, shape (n,).
        enqueue: Milliseconds the host took to hand each over, shape (n,) or empty.

    Returns:
        "unstable" if the coefficient of variation is above 2.5%, "enqueue-bound" if the median
        of ``enqueue`` is above 0.8 of the median run; both, or none.
    """
    runs: NDArray[np.float64] = np.asarray(samples, dtype=np.float64)
    handed: NDArray[np.float64] = np.asarray(enqueue, dtype=np.float64)
    found: list[Note] = []
    if runs.std() > UNSTABLE * runs.mean():
        found.append("unstable")
    if handed.size and np.median(handed) > ENQUEUE_BOUND * np.median(runs):
        found.append("enqueue-bound")
    return tuple(found)
