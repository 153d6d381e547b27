"""Whole networks against each other on one engine in one session (POP paper, tables 1 and 3 to 5).

Every latency is a record with its conditions; a ratio of two is of the same session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.profiling.engines import ENGINES
from optuna_pop.profiling.onnx_stats import model_size
from optuna_pop.profiling.progress import Progress
from optuna_pop.profiling.records import Conditions, LatencyRecord, Part, Statistic
from optuna_pop.profiling.session import Plan, measure

with needs_extra("profiling"):
    from pydantic import Field


class Compared(Part):
    """One network.

    Attributes:
        name: What it is called.
        record: Its latency.
        macs: Multiply-accumulates at batch 1.
        parameters: Numbers in its weights.
        activation_bytes: Most memory of tensors alive at once, see ``onnx_stats``.
        accuracy: Published, in percent; None where it is not known.
        accuracy_of: Data set and measure of it, and who says so.
    """

    name: str
    record: LatencyRecord
    macs: int
    parameters: int
    activation_bytes: int
    accuracy: float | None = None
    accuracy_of: str | None = None


class Comparison(Part):
    """Networks measured in one session, in the sequence they were given.

    Attributes:
        conditions: On what and with what.
        statistic: Which number of a record is the latency.
        networks: What was measured.
        rejected: Why the engine rejected networks, by name.
    """

    schema_name: Annotated[Literal["optuna-pop/comparison"], Field(alias="schema")] = (
        "optuna-pop/comparison"
    )
    conditions: Conditions
    statistic: Statistic
    networks: tuple[Compared, ...]
    rejected: dict[str, str]

    def latency(self, network: Compared) -> float:
        """Return a network's latency in milliseconds."""
        return float(getattr(network.record, self.statistic))


def compare(
    models: Mapping[str, bytes],
    plan: Plan,
    *,
    published: Mapping[str, tuple[float, str]] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Measure whole networks against each other.

    A network that the engine rejects is left out, and said so; the others are measured.

    Args:
        models: Serialized ONNX models by name, batch 1, static shapes.
        plan: With which engine, and how.
        published: Accuracy in percent, and what it is of, by name.
        progress: Told what is done.

    Raises:
        InputError: if nothing can be measured.
        MissingExtraError: if the engine's library is not installed.
        EngineError: if it cannot run here.
    """
    known = published or {}
    engine = ENGINES[plan.engine]
    engine.info(plan.options)
    rejected: dict[str, str] = {}
    sizes = {}
    for name, model in models.items():
        try:
            sizes[name] = model_size(model, name)
            with engine(model, label=name, options=plan.options):
                pass
        except InputError as error:
            rejected[name] = str(error)
    good: dict[str, Callable[[], bytes]] = {
        name: (lambda model=model: model)  # type: ignore[misc]
        for name, model in models.items()
        if name not in rejected
    }
    if not good:
        raise InputError(f"no network can be measured: {'; '.join(rejected.values()) or 'none'}")
    session = measure(good, plan, progress=progress)
    return Comparison(
        conditions=session.conditions(),
        statistic=session.statistic,
        networks=tuple(
            Compared(
                name=name,
                record=session.record(name),
                macs=sizes[name].macs,
                parameters=sizes[name].parameters,
                activation_bytes=sizes[name].activation_bytes,
                accuracy=known[name][0] if name in known else None,
                accuracy_of=known[name][1] if name in known else None,
            )
            for name in good
        ),
        rejected=rejected,
    )
