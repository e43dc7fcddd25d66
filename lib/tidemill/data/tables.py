"""Table declarations: columns, keys, partitions and the order inside files; and where a lake keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.data.root_tables import LAKE, tables_of

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill.core.config import Layout
    from tidemill.data.contract import Contract
    from tidemill.data.places import Place
    from tidemill.data.sources import Source

BRONZE, SILVER, QUARANTINE, GOLD, OPS = "bronze", "silver", "quarantine", "gold", "ops"
BUCKETS_PROPERTY = "tidemill.buckets"
PERIOD_PROPERTY = "tidemill.period"
ENTITY_PROPERTY = "tidemill.entity"
DECLARATION_PROPERTY = "tidemill.declaration"
ROOT_PROPERTY = "tidemill.root"
_BOUNDED_OF_SILVER = 32  # as many as Delta's own writer keeps where nothing is said
_TELL_FILES_APART = ("event_time", "known_time", "event_timestamp", "created_timestamp", "batch_id", "position")

# What silver adds to the columns of a contract, which therefore may not have these names.
_SILVER_OWN = (
    ("event_time", "timestamp"),
    ("known_time", "timestamp"),
    ("seq", "bigint"),
    ("content", "bigint"),
    ("op", "string"),
    ("row_id", "string"),
    ("batch_id", "string"),
    ("period", "string"),
    ("bucket", "int"),
)
SILVER_OWN = tuple(name for name, _ in _SILVER_OWN)


@dataclass(frozen=True)
class Lake:
    """The tables of one root, and the run that writes them.

    Args:
        root: the local state folder.
        run_id: the run that writes, for the ledger.
        layout: how new tables are cut; an existing table keeps its own. Needed to write only.
        lease_timeout: seconds to wait for another writer of the same table.
    """

    root: Path
    run_id: str
    layout: Layout | None = None
    lease_timeout: float = 0.0

    def path(self, table: Table) -> Place:
        """The table's folder, wherever the root has its tables."""
        return tables_of(self.root) / table.layer / table.name

    def folder(self, table: Table) -> Path:
        """The table's folder below the root, where the ledger lies always, and others unless they lie in a store."""
        return self.root / LAKE / table.layer / table.name


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    Args:
        layer: bronze, silver, quarantine, gold or ops.
        name: unique in its layer.
        columns: names and Spark SQL types, partition columns included.
        partitions: the columns that make folders.
        sort: the order of rows inside each file.
        entity: the column whose bucket a row lies in, or None for a table without buckets.
        time: the column whose period a row lies in, or None.
        declaration: what makes this version of the table; rows made under another are refused. Tables of a source
            carry its contract's place, so that two sources of one name cannot share them.
        evolves: whether a later batch may bring new columns.
    """

    layer: str
    name: str
    columns: tuple[tuple[str, str], ...]
    partitions: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    entity: str | None = None
    time: str | None = None
    declaration: str = ""
    evolves: bool = False

    @property
    def label(self) -> str:
        """`layer.name`, as the ledger and the summary call it."""
        return f"{self.layer}.{self.name}"

    @property
    def names(self) -> tuple[str, ...]:
        """The column names."""
        return tuple(name for name, _ in self.columns)

    @property
    def told_apart_by(self) -> tuple[str, ...]:
        """The columns by whose least and largest values readers leave files out."""
        return tuple(name for name in self.names if name in _TELL_FILES_APART and name not in self.partitions)

    @property
    def bounded(self) -> tuple[str, ...]:
        """The columns whose least and largest values the log keeps; of silver, the catalogue tells them to people."""
        if self.layer != SILVER:
            return self.told_apart_by
        return tuple(name for name in self.names if name not in self.partitions)[:_BOUNDED_OF_SILVER]


def bronze_table(source: Source, contract: Contract, more: tuple[str, ...] = ()) -> Table:
    """Grain: one landed row, every landed column a string, with its file and its place in it, counted from 1.

    Args:
        source: whose rows these are.
        contract: its columns.
        more: columns beyond the contract that its policy lands, too.
    """
    landed = tuple((name, "string") for name in (*contract.landed, *more))
    place = (("source_file", "string"), ("position", "bigint"), ("line", "bigint"), ("batch_id", "string"))
    return Table(
        BRONZE,
        source.name,
        (*landed, *place),
        partitions=("batch_id",),
        declaration=source.contract,
        evolves=True,
    )


def silver_table(source: Source, contract: Contract) -> Table:
    """Grain: one valid, typed row per row identity and version; times in UTC.

    `row_id` is the identity across corrections; `event_time` when it happened; `known_time` when it arrived; `seq`
    orders the versions of one identity, and `content`, a hash of the typed row, those of one `seq`; `op` is `upsert` or
    `delete`.
    """
    renamed = {source.event_time, source.known_time, source.operation}
    typed = tuple((c.name, c.type) for c in contract.columns if c.name not in renamed)
    return events_table(source.name, source.entity.key, typed, source.contract)


def events_table(name: str, entity: str, typed: tuple[tuple[str, str], ...], declaration: str = "") -> Table:
    """A silver table by its own columns, which may hold the entity's, as `silver_table` describes it."""
    return Table(
        SILVER,
        name,
        (*typed, *_SILVER_OWN),
        partitions=("period", "bucket"),
        sort=(entity, "event_time", "row_id"),
        entity=entity,
        time="event_time",
        declaration=declaration,
        evolves=True,
    )


def quarantine_table(source: Source) -> Table:
    """Grain: one rejected row, with every reason, its bytes (at most 64 KiB of them), their digest and its place.

    A file that is rejected as a whole is a row without a position. `state` is `open`, `replayed` or `waived`.
    """
    return Table(
        QUARANTINE,
        source.name,
        (
            ("reasons", "array<string>"),
            ("detail", "string"),
            ("raw", "binary"),
            ("raw_length", "bigint"),
            ("digest", "string"),
            ("source_file", "string"),
            ("position", "bigint"),
            ("line", "bigint"),
            ("step", "string"),
            ("bronze_batch_id", "string"),
            ("state", "string"),
            ("batch_id", "string"),
        ),
        partitions=("batch_id",),
        declaration=source.contract,
    )
