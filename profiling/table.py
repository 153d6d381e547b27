"""The latency look-up table (POP paper, section 3.2): block configuration → latency.

The latency of a network is the sum over its blocks. Needs pydantic and NumPy, no engine, so a
table measured on a device can be used anywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from optuna_pop.errors import MissingBlockError, StorageError, TableError, needs_extra
from optuna_pop.files import write_whole
from optuna_pop.fingerprint import fingerprint
from optuna_pop.profiling.records import (
    BlockKey,
    Conditions,
    Correction,
    Errors,
    LatencyRecord,
    NetworkRecord,
    Part,
    Source,
    Statistic,
    Verification,
)
from optuna_pop.profiling.verify import MIN_NETWORKS, left_out_estimates
from optuna_pop.spaces.base import Space
from optuna_pop.spaces.blocks import BlockConfig

with needs_extra("profiling"):
    from pydantic import ConfigDict, Field, ValidationError

__all__ = [
    "Conditions",
    "Correction",
    "Errors",
    "LatencyRecord",
    "LatencyTable",
    "NetworkRecord",
    "Verification",
]

A = TypeVar("A")
SCHEMA: Final = "optuna-pop/latency-table"
SCHEMA_VERSION: Final = 1
_MEND = "measure it again with `optuna-pop profile`"
_SHOWN = 5  # missing keys named in a message


class LatencyTable(Part):
    """Latencies of block configurations on one device; unchangeable.

    Attributes:
        schema_name: Always "optuna-pop/latency-table"; "schema" in the file.
        schema_version: Version of the file's layout.
        statistic: Which number of a record is the latency: "minimum" on CPUs, where other work
            only ever adds time (``optuna_pop.profiling.measuring`` has the evidence), "median" on
            GPUs.
        source: What a block's latency is: "blocks" when each was measured as a network of its
            own, "layers" when the engine's times of single layers inside whole networks were added
            up (``optuna_pop.profiling.attribution``).
        conditions: On what and how it was measured.
        blocks: Records by ``BlockConfig.key``.
        networks: Whole networks measured between the blocks.
        correction: Applied to every latency, if there is one.
        verification: How well sums predict the networks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: Annotated[Literal["optuna-pop/latency-table"], Field(alias="schema")] = SCHEMA
    schema_version: Literal[1] = SCHEMA_VERSION
    statistic: Statistic
    source: Source = "blocks"
    conditions: Conditions
    blocks: Annotated[dict[BlockKey, LatencyRecord], Field(min_length=1)]
    networks: tuple[NetworkRecord, ...] = ()
    correction: Correction | None = None
    verification: Verification | None = None

    # --- latencies ---------------------------------------------------------------------------

    def latency(self, blocks: Iterable[BlockConfig]) -> float:
        """Return the estimated latency of a sequence of blocks in milliseconds at batch 1.

        Raises:
            MissingBlockError: if the table lacks one of them.
        """
        wanted = tuple(blocks)
        self.require(wanted)
        return math.fsum(self.share(block.key) for block in wanted)

    def block_cost(self, block: BlockConfig) -> float:
        """Return one block's share of a network's latency in milliseconds at batch 1.

        Raises:
            MissingBlockError: if the table lacks it.
        """
        self.require((block,))
        return self.share(block.key)

    def costs(
        self, space: Space[A], rows: NDArray[np.integer[Any]] | None = None
    ) -> NDArray[np.float64]:
        """Return the estimated latency of architectures of a space.

        Args:
            space: Architectures made of blocks.
            rows: Their rows, shape (m,); the whole space by default.

        Returns:
            Milliseconds at batch 1, shape (m,), or (n,) in the sequence of the rows.

        Raises:
            MissingBlockError: if the table lacks a block of the space.
            InputError: if the space's architectures are not made of blocks, a row lies outside,
                or the whole space is too large to be listed.
        """
        self.require(space.block_configs())
        vectors = None if rows is None else space.vectors_at(rows)
        return np.asarray(
            space.sum_blocks(lambda block: self.share(block.key), vectors), dtype=np.float64
        )

    def missing(self, space: Space[A]) -> tuple[BlockConfig, ...]:
        """Return the block configurations of a space that the table lacks, sorted."""
        return self._lacks(space.block_configs())

    def of(self, record: LatencyRecord) -> float:
        """Return which of a record's numbers is the latency here, in milliseconds."""
        return float(getattr(record, self.statistic))

    def checked_estimates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compare the whole networks that were measured with what the blocks say of them.

        Returns:
            Milliseconds estimated and measured, both of shape (m,). Where the table corrects sums,
            each network is left out of the fit that estimates it, as in ``verification``.
        """
        known = {key: self.of(record) for key, record in self.blocks.items()}
        sums = np.array([sum(known[key] for key in net.blocks) for net in self.networks])
        measured = np.array([self.of(net.record) for net in self.networks])
        if self.correction is None or len(measured) < MIN_NETWORKS:
            return sums, measured
        counts = np.array([len(net.blocks) for net in self.networks], dtype=np.float64)
        return left_out_estimates(sums, counts, measured, min(known.values())), measured

    def require(self, blocks: Iterable[BlockConfig]) -> None:
        """Do nothing if the table has all these blocks.

        Raises:
            MissingBlockError: if it lacks one.
        """
        lacking = self._lacks(blocks)
        if lacking:
            names = ", ".join(repr(block.key) for block in lacking[:_SHOWN])
            more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
            raise MissingBlockError(
                f"the latency table (of {self.conditions.device_name}) lacks {len(lacking)} block "
                f"configurations: {names}{more}; run `optuna-pop profile` for this space"
            )

    def _lacks(self, blocks: Iterable[BlockConfig]) -> tuple[BlockConfig, ...]:
        return tuple(sorted({block for block in blocks if block.key not in self.blocks}))

    def share(self, key: str) -> float:
        """Return the share of a block in a network's latency, by its key, in milliseconds.

        The correction is linear in the blocks, so shares add up.

        Raises:
            KeyError: if the table lacks it.
        """
        plain = self.of(self.blocks[key])
        if self.correction is None:
            return plain
        # The fit keeps the shortest block at zero or above; only rounding can pass below.
        return max(0.0, self.correction.a * plain + self.correction.b)

    # --- files -------------------------------------------------------------------------------

    @property
    def fingerprint(self) -> str:
        """Short digest of the content: the same for equal tables in any process."""
        return fingerprint(self._content())

    def save(self, path: Path | str) -> None:
        """Write the table as JSON, whole or not at all.

        Raises:
            StorageError: if it cannot be written; a file already there stays as it was.
        """
        write_whole(Path(path), json.dumps(self._content(), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a table.

        Raises:
            StorageError: if the file cannot be read.
            TableError: if it is no latency table of this version, or is damaged.
        """
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise StorageError(
                f"cannot read the latency table {path}: {error.strerror or error}; check the "
                "path, or make a table with `optuna-pop profile`"
            ) from error
        except (ValueError, RecursionError) as error:
            raise TableError(
                f"{path} is cut short or is not JSON ({error}); {_MEND} or take a copy"
            ) from error
        _check_schema(path, content)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise TableError(f"{path} is damaged: {_first_problem(error)}; {_MEND}") from error

    def _content(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


def _check_schema(path: Path, content: object) -> None:
    schema = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(content, dict) or schema != SCHEMA:
        raise TableError(
            f"{path} is not a latency table: its schema is {schema!r} instead of {SCHEMA!r}; "
            "give a file that `optuna-pop profile` made"
        )
    if content.get("schema_version") != SCHEMA_VERSION:
        raise TableError(
            f"{path} has schema_version {content.get('schema_version')!r} but this optuna-pop "
            f"reads {SCHEMA_VERSION}; {_MEND} or use the optuna-pop that wrote it"
        )


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    place = " → ".join(map(str, first["loc"]))
    more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
    given = repr(first["input"])
    shown = given if len(given) <= 80 else f"{given[:77]}..."
    return f"{place}: {first['msg']}, but it is {shown}{more}"
