"""Checking a latency table on its device: estimates against whole networks measured now."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from optuna_pop.errors import InputError, TableError
from optuna_pop.profiling.build import Export, Keys, keys_of, models, spread_rows
from optuna_pop.profiling.progress import Progress
from optuna_pop.profiling.records import (
    BlockKey,
    Conditions,
    Errors,
    LatencyRecord,
    Milliseconds,
    Part,
    Statistic,
)
from optuna_pop.profiling.session import Plan, Session, device_name, measure
from optuna_pop.profiling.table import LatencyTable
from optuna_pop.profiling.verify import errors
from optuna_pop.spaces.base import Space
from optuna_pop.spaces.blocks import BlockConfig

A = TypeVar("A")
NETWORKS = 25


class CheckedNetwork(Part):
    """One whole network.

    Attributes:
        blocks: Keys of its blocks in order.
        record: Its latency, measured now.
        estimate: By the table, as a search uses it, in ms.
        fresh: The table's correction of the blocks measured now, in ms.
    """

    blocks: tuple[BlockKey, ...]
    record: LatencyRecord
    estimate: Milliseconds
    fresh: Milliseconds


class Check(Part):
    """The paper's Figure 3(a) for a table: estimates against measured networks.

    Attributes:
        table: Fingerprint of the table.
        conditions: Of the session that measured the networks.
        statistic: Which number of a record is the latency.
        networks: None of them were in the table's own session.
        estimates: How well the table estimates them.
        fresh: How well blocks measured in the same session do, with the table's correction. Where
            these are good and ``estimates`` are not, the device runs at another speed now than
            when the table was made.
    """

    table: str
    conditions: Conditions
    statistic: Statistic
    networks: tuple[CheckedNetwork, ...]
    estimates: Errors
    fresh: Errors


def check_table(
    table: LatencyTable,
    space: Space[A],
    export: Export,
    plan: Plan,
    *,
    networks: int = NETWORKS,
    force: bool = False,
    progress: Progress | None = None,
) -> Check:
    """Measure random whole networks against their estimates.

    Networks that the table's correction was fitted on are left out. The blocks of the networks
    are measured in the same session.

    Args:
        table: To check.
        space: Whose networks are measured.
        export: Gives the ONNX model of blocks in a row.
        plan: How; engine and precision must be the table's.
        networks: How many.
        force: Check a table of another device, engine or precision all the same.
        progress: Told what is done.

    Raises:
        TableError: if the table belongs to another device, engine or precision.
        MissingBlockError: if it lacks a block of the space.
        InputError: if there is no network to measure.
    """
    table.require(space.block_configs())
    if not force:
        require_conditions(table, plan)
    known = {network.blocks for network in table.networks}
    rows = spread_rows(space, networks + len(known), plan.seed + 1)
    found = [blocks for row in rows if keys_of(blocks := space.blocks(space.at(row))) not in known]
    chosen = [
        found[i] for i in np.linspace(0, len(found) - 1, min(networks, len(found))).astype(int)
    ]
    if not chosen:
        raise InputError(f"there is no network to measure: the table holds all of {space}")
    alone = [(block,) for block in sorted({block for blocks in chosen for block in blocks})]
    session = measure(
        models({keys_of(row): row for row in [*alone, *chosen]}, export),
        plan,
        label=" + ".join,
        progress=progress,
    )
    return _check(table, session, chosen)


def require_conditions(table: LatencyTable, plan: Plan) -> None:
    """Refuse a table that was not measured as this plan would, on this device.

    Raises:
        TableError: naming what differs.
    """
    was, here = table.conditions, device_name(plan)
    pairs = {
        "device": (was.device_name, here),
        "engine": (was.engine, plan.engine),
        "precision": (was.precision, plan.options.precision),
    }
    for what, (theirs, ours) in pairs.items():
        if theirs != ours:
            raise TableError(
                f"the latency table is of {what} {theirs!r}, but this is {ours!r}: use the table "
                f"where it was made, measure one here with `optuna-pop profile`, or --force"
            )


def _check(
    table: LatencyTable, session: Session[Keys], chosen: list[tuple[BlockConfig, ...]]
) -> Check:
    fix = table.correction
    a, b = (fix.a, fix.b) if fix else (1.0, 0.0)
    checked = []
    for blocks in chosen:
        keys = keys_of(blocks)
        now = [table.of(session.record((key,))) for key in keys]
        checked.append(
            CheckedNetwork(
                blocks=keys,
                record=session.record(keys),
                estimate=sum(table.share(key) for key in keys),
                fresh=sum(max(0.0, a * ms + b) for ms in now),
            )
        )
    measured = np.array([table.of(network.record) for network in checked])
    return Check(
        table=table.fingerprint,
        conditions=session.conditions(),
        statistic=table.statistic,
        networks=tuple(checked),
        estimates=errors(np.array([network.estimate for network in checked]), measured),
        fresh=errors(np.array([network.fresh for network in checked]), measured),
    )
