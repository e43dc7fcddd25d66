"""One Delta commit: how a table is created and rows are written, by Spark or, where they are few, without a JVM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, write_deltalake

from tidemill.core.digest import digest_of
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import failpoint
from tidemill.data.schema import delta_schema
from tidemill.data.tables import (
    BUCKETS_PROPERTY,
    DECLARATION_PROPERTY,
    ENTITY_PROPERTY,
    PERIOD_PROPERTY,
    SILVER,
    Lake,
    Table,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame

METADATA = "userMetadata"
_STATISTICS = "delta.dataSkippingStatsColumns"


@dataclass(frozen=True)
class Batch:
    """What is committed, by what it was made from.

    Args:
        batch_id: its identity; the same identity is committed once.
        inputs: what it was made from, as JSON values; the same identity with other inputs is an error.
        cause: `new`, `late`, `rebuild`, `replay`, `waive` or `compact`.
    """

    batch_id: str
    inputs: dict[str, Any]
    cause: str = "new"

    @property
    def digest(self) -> str:
        """The digest of the inputs."""
        return digest_of(self.inputs)


@dataclass(frozen=True)
class Slice:
    """The rows that a commit replaces: a predicate over the table's columns, in Delta's SQL."""

    predicate: str


def create(lake: Lake, table: Table) -> None:
    """Creates a table with its properties where it does not exist, and refuses one made under another declaration."""
    path = str(lake.path(table))
    if not DeltaTable.is_deltatable(path):
        properties = {DECLARATION_PROPERTY: table.declaration}
        if table.told_apart_by and table.layer != SILVER:  # of silver's columns the catalogue tells the statistics
            # Delta would look at the first 32 columns of every row, which costs a good part of what writing them does.
            properties[_STATISTICS] = ",".join(table.told_apart_by)
        if table.entity is not None and lake.layout is not None:
            properties |= {BUCKETS_PROPERTY: str(lake.layout.buckets), PERIOD_PROPERTY: lake.layout.period}
            properties |= {ENTITY_PROPERTY: table.entity}  # for readers who know the folder only
        DeltaTable.create(
            path,
            schema=Schema.from_arrow(delta_schema(table.columns)),
            partition_by=list(table.partitions),
            configuration=properties,
            name=table.name,
            raise_if_key_not_exists=False,
        )
        failpoint("commit.created", table.label)
        return
    made = DeltaTable(path).metadata().configuration.get(DECLARATION_PROPERTY, "")
    if made != table.declaration:
        raise TidemillError(
            "E_DECLARATION",
            "the table holds rows made under another declaration",
            where=f"{table.label} at {path}",
            next_step="give the changed view a new version, or one of two sources of that name another name",
            exit_code=Exit.DATA,
        )


def write_rows(
    path: Path, table: Table, batch: Batch, rows: DataFrame | pa.Table, metadata: str, replace: Slice | None
) -> None:
    """Writes rows as one Delta commit that carries the batch's metadata."""
    if isinstance(rows, pa.Table):
        if replace is not None:
            raise ValueError("rows are replaced by Spark only")
        write_deltalake(
            str(path),
            rows.select(list(table.names)).cast(delta_schema(table.columns)),
            mode="append",
            schema_mode="merge" if table.evolves else None,
            commit_properties=CommitProperties(custom_metadata={METADATA: metadata}),
        )
        return
    writer = (
        rows.select(*[f"`{name}`" for name in table.names])
        .write.format("delta")
        .option("txnAppId", f"tidemill:{table.label}:{batch.batch_id}")
        .option("txnVersion", "1")
        .option(METADATA, metadata)
        .option("mergeSchema", str(table.evolves).lower())
        .mode("append" if replace is None else "overwrite")
    )
    if replace is not None:
        writer = writer.option("replaceWhere", replace.predicate)
        if batch.cause == "compact":
            writer = writer.option("dataChange", "false")
    writer.save(str(path))
