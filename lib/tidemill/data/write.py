"""One Delta commit: how a table is created and rows are written, by Spark, by its workers or without a JVM."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake

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
from tidemill.data.worker_rows import WorkerRows, write_files

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame

METADATA = "userMetadata"
COLUMNS_ADDED = "tidemill: columns added"
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
    """Creates a table with its properties where it does not exist, and refuses one made under another declaration.

    One that evolves gains here the columns that a batch brings, in a commit without rows, which is no batch.
    """
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
    there = DeltaTable(path)
    if there.metadata().configuration.get(DECLARATION_PROPERTY, "") != table.declaration:
        raise TidemillError(
            "E_DECLARATION",
            "the table holds rows made under another declaration",
            where=f"{table.label} at {path}",
            next_step="give the changed view a new version, or one of two sources of that name another name",
            exit_code=Exit.DATA,
        )
    if table.evolves:
        known = {field.name for field in there.schema().fields}
        more = Schema.from_arrow(delta_schema(column for column in table.columns if column[0] not in known)).fields
        if more:
            there.alter.add_columns(more, commit_properties=CommitProperties({METADATA: COLUMNS_ADDED}))


def write_rows(
    path: Path,
    table: Table,
    batch: Batch,
    rows: DataFrame | WorkerRows | pa.Table,
    metadata: dict[str, Any],
    replace: Slice | None,
) -> None:
    """Writes rows as one Delta commit that carries the batch's metadata.

    Workers that write say themselves how many rows there were: the metadata gain `rows`, and the count `read`.
    """
    application = f"tidemill:{table.label}:{batch.batch_id}"
    if not isinstance(rows, (pa.Table, WorkerRows)):
        _write_by_spark(path, table, rows, application, metadata, batch, replace)
        return
    if replace is not None:
        raise ValueError("rows are replaced by Spark only")
    if isinstance(rows, pa.Table):
        write_deltalake(
            str(path),
            rows.select(list(table.names)).cast(delta_schema(table.columns)),
            mode="append",
            commit_properties=CommitProperties(_kept(metadata)),
        )
        return
    written = write_files(path, table, rows)
    counted = metadata | {"rows": written.rows, "counts": metadata["counts"] | {"read": written.made}}
    there = DeltaTable(str(path))
    there.create_write_transaction(
        list(written.actions),
        mode="append",
        schema=there.schema(),
        partition_by=list(table.partitions),
        commit_properties=CommitProperties(_kept(counted), app_transactions=[Transaction(application, 1)]),
    )


def _kept(metadata: dict[str, Any]) -> dict[str, str]:
    """The metadata of a batch as a commit keeps them, whoever writes it."""
    return {METADATA: json.dumps(metadata, sort_keys=True)}


def _write_by_spark(
    path: Path,
    table: Table,
    rows: DataFrame,
    application: str,
    metadata: dict[str, Any],
    batch: Batch,
    replace: Slice | None,
) -> None:
    writer = (
        rows.select(*[f"`{name}`" for name in table.names])
        .write.format("delta")
        .option("txnAppId", application)
        .option("txnVersion", "1")
        .options(**_kept(metadata))
        .mode("append" if replace is None else "overwrite")
    )
    if replace is not None:
        writer = writer.option("replaceWhere", replace.predicate)
        if batch.cause == "compact":
            writer = writer.option("dataChange", "false")
    writer.save(str(path))
