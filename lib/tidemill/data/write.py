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
from tidemill.data.places import is_delta, open_delta, spark_address, storage_options
from tidemill.data.schema import delta_schema
from tidemill.data.tables import (
    BUCKETS_PROPERTY,
    DECLARATION_PROPERTY,
    ENTITY_PROPERTY,
    PERIOD_PROPERTY,
    ROOT_PROPERTY,
    SILVER,
    Lake,
    Table,
)
from tidemill.data.worker_rows import (
    FrameRows,
    RowsApart,
    WorkerRows,
    WrittenFiles,
    write_apart,
    write_files,
    write_frame,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import DataFrame

    from tidemill.data.places import Place

METADATA = "userMetadata"
COLUMNS_ADDED = "tidemill: columns added"
_STATISTICS = "delta.dataSkippingStatsColumns"
_CHECKPOINTS = "delta.checkpointInterval"
# Of Delta's protocol: up to this version, and with these features, an append is files that the log names.
_PLAIN_WRITER = 2
_PLAIN_FEATURES = frozenset({"appendOnly", "deletionVectors", "invariants", "timestampNtz", "v2Checkpoint"})


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


def create(lake: Lake, table: Table) -> DeltaTable:
    """Creates a table with its properties where it does not exist, and refuses one made under another declaration.

    One that evolves gains here the columns that a batch brings, in a commit without rows, which is no batch.
    """
    path = lake.path(table)
    if not is_delta(path):
        properties = {DECLARATION_PROPERTY: table.declaration}
        if table.bounded and table.layer != SILVER:
            # Delta would look at the first 32 columns of every row, which costs a good part of what writing them does.
            properties[_STATISTICS] = ",".join(table.bounded)
        if table.entity is not None and lake.layout is not None:
            properties |= {BUCKETS_PROPERTY: str(lake.layout.buckets), PERIOD_PROPERTY: lake.layout.period}
            properties |= {ENTITY_PROPERTY: table.entity}  # for readers who know the folder only
        if path != lake.folder(table):
            properties |= {ROOT_PROPERTY: str(lake.root)}  # for the same; of a folder its own path says it
            # Opening a table asks for each entry since the last checkpoint, twice: by default a hundred.
            properties |= {_CHECKPOINTS: "10"}
        made = DeltaTable.create(
            str(path),
            schema=Schema.from_arrow(delta_schema(table.columns)),
            partition_by=list(table.partitions),
            configuration=properties,
            name=table.name,
            storage_options=storage_options(path),
            raise_if_key_not_exists=False,
        )
        failpoint("commit.created", table.label)
        return made
    there = open_delta(path)
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
            return open_delta(path)
    return there


def write_together(
    path: Place, table: Table, batches: Iterable[Batch], rows: DataFrame | RowsApart
) -> dict[str, DataFrame | WrittenFiles]:
    """Writes the rows of several batches in one pass to files that no commit names yet; by the batches' identities.

    A table that wants more than files is written by Delta: of a frame each batch then gets its own part, not written.
    """
    if not isinstance(rows, RowsApart) and not _takes_plain_files(path):
        return {batch.batch_id: rows.where(rows["batch_id"] == batch.batch_id) for batch in batches}
    written = write_apart(path, table, rows)
    unknown = set(written) - {batch.batch_id for batch in batches}
    if unknown:
        raise ValueError(f"rows of batches that are not written here: {', '.join(sorted(unknown))}")
    return {batch.batch_id: written.get(batch.batch_id, WrittenFiles((), 0, 0)) for batch in batches}


def write_rows(
    path: Place,
    table: Table,
    batch: Batch,
    rows: DataFrame | FrameRows | WorkerRows | WrittenFiles | pa.Table,
    metadata: dict[str, Any],
    replace: Slice | None,
) -> None:
    """Writes rows as one Delta commit that carries the batch's metadata.

    Workers that write say themselves how many rows there were: the metadata gain `rows`, and where some may be left out
    the count `read`. Spark writes what takes the place of other rows, and into tables that want more than plain files.
    The transaction identifier is for those who read the log: that a batch comes once is the primitive's business.
    """
    application = f"tidemill:{table.label}:{batch.batch_id}"
    if isinstance(rows, (WorkerRows, FrameRows)):
        _require_append(replace)
        written = write_files(path, table, rows)
        counted = metadata | {"rows": written.rows, "counts": metadata["counts"] | {"read": written.made}}
        _name_files(path, table, written, application, counted)
    elif isinstance(rows, WrittenFiles):
        _require_append(replace)
        _name_files(path, table, rows, application, metadata | {"rows": rows.rows})
    elif isinstance(rows, pa.Table):
        _require_append(replace)
        write_deltalake(
            open_delta(path),
            rows.select(list(table.names)).cast(delta_schema(table.columns)),
            mode="append",
            commit_properties=_once(metadata),
        )
    elif replace is None and _takes_plain_files(path):
        written = write_frame(path, table, rows)
        _name_files(path, table, written, application, metadata | {"rows": written.rows})
    else:
        _write_by_spark(path, table, rows, application, metadata, batch, replace)


def _require_append(replace: Slice | None) -> None:
    if replace is not None:
        raise ValueError("rows are replaced by Spark only")


def _takes_plain_files(path: Place) -> bool:
    """Whether a file with the columns of the table is all that an append needs; someone may have turned on more."""
    protocol = open_delta(path).protocol()
    features = set(protocol.writer_features or ())
    return protocol.min_writer_version <= _PLAIN_WRITER or (bool(features) and features <= _PLAIN_FEATURES)


def _name_files(path: Place, table: Table, written: WrittenFiles, application: str, metadata: dict[str, Any]) -> None:
    there = open_delta(path)
    there.create_write_transaction(
        list(written.actions),
        mode="append",
        schema=there.schema(),
        partition_by=list(table.partitions),
        commit_properties=_once(metadata, Transaction(application, 1)),
    )


def _once(metadata: dict[str, Any], *transactions: Transaction) -> CommitProperties:
    """That a commit carries the metadata of its batch, and is tried once.

    Where the log entry is there already, delta-rs would write the commit once more, as the next one. But in a store
    that entry may be this very commit, whose answer was lost on its way; whose it is, the primitive reads.
    """
    return CommitProperties(_kept(metadata), max_commit_retries=0, app_transactions=list(transactions))


def _kept(metadata: dict[str, Any]) -> dict[str, str]:
    """The metadata of a batch as a commit keeps them, whoever writes it."""
    return {METADATA: json.dumps(metadata, sort_keys=True)}


def _write_by_spark(
    path: Place,
    table: Table,
    rows: DataFrame,
    application: str,
    metadata: dict[str, Any],
    batch: Batch,
    replace: Slice | None,
) -> None:
    """By Delta's own writer, which checks that no row lies outside the slice, and knows every feature of a table."""
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
    writer.save(spark_address(path))
