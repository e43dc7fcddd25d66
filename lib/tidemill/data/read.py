"""Pinned readers: a table as its last ledgered version holds it, whatever lies behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake.exceptions import DeltaError

from tidemill.core.errors import Exit, TidemillError
from tidemill.data import ledger
from tidemill.data.arrow_files import arrow_dataset
from tidemill.data.places import is_delta, open_delta, sizes_of, spark_address
from tidemill.data.plain_files import frame_of_files
from tidemill.data.store_faults import store_fault
from tidemill.data.tables import BUCKETS_PROPERTY, PERIOD_PROPERTY, Lake, Table

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame, SparkSession


def version_of(lake: Lake, table: Table) -> int | None:
    """The last ledgered version of a table, or None where it holds nothing yet."""
    return max((e.version for e in ledger.entries(lake.root, table.label)), default=None)


def read(spark: SparkSession, lake: Lake, table: Table) -> DataFrame:
    """The table as a frame, pinned to its last ledgered version.

    Raises:
        TidemillError: E_NO_TABLE (no input) where it holds nothing yet; E_TABLE_DAMAGED (data) where a file is gone or
            was cut.
    """
    version = _required(lake, table)
    newest = open_table(lake, table)
    passed = newest.version() != version
    pinned = open_table(lake, table, version) if passed else newest
    try:
        frame = frame_of_files(spark, pinned, lake.path(table))
    except OSError as error:
        raise _unread(lake, table, error) from error
    if frame is not None:
        return frame
    reader = spark.read.format("delta")
    if passed:
        # Only then: Delta refuses time travel to a version older than its file retention, even to the newest one.
        reader = reader.option("versionAsOf", version)
    return reader.load(spark_address(lake.path(table)))


def read_arrow(
    lake: Lake, table: Table, columns: list[str] | None = None, where: ds.Expression | None = None
) -> pa.Table:
    """A small table, or few rows of a large one, without a JVM; pinned like `read`.

    Raises:
        TidemillError: E_NO_TABLE (no input) where it holds nothing yet.
    """
    version = _required(lake, table)
    try:
        found = arrow_dataset(open_table(lake, table, version), lake.path(table))
        return found.to_table(columns=columns, filter=where)
    except OSError as error:
        raise _unread(lake, table, error) from error


def rows_of(lake: Lake, table: Table) -> int:
    """The rows of the last ledgered version, from the log's statistics."""
    version = _required(lake, table)
    actions = open_table(lake, table, version).get_add_actions(flatten=True)
    return sum(int(n) for n in pa.table(actions)["num_records"].to_pylist())


def open_table(lake: Lake, table: Table, version: int | None = None) -> DeltaTable:
    """The table by its log, at a version or the newest, once the log is known to reach the ledger's last version.

    Raises:
        TidemillError: E_TABLE_DAMAGED (data) where the log cannot be read, or holds less than the ledger says.
    """
    path, ledgered = lake.path(table), version_of(lake, table)
    try:
        found = open_delta(path, version)
        # A version that the ledger has not passed is itself the proof that the log reaches the ledger's last one.
        old = version is not None and ledgered is not None and version < ledgered
        newest = open_delta(path).version() if old else found.version()
    except (DeltaError, OSError) as error:
        raise _unread(lake, table, error) from error
    if ledgered is not None:
        last = path / "_delta_log" / f"{ledgered:020}.json"
        # An entry that was cut to nothing is read as one that changed nothing: its rows would silently be gone.
        if newest < ledgered or sizes_of([last]) == [0]:
            raise _damaged(lake, table, f"its log ends at or before version {ledgered}, which the ledger knows: {last}")
    return found


def _unread(lake: Lake, table: Table, error: Exception) -> TidemillError:
    """A store that is away has not damaged anything."""
    return store_fault(error, lake.path(table)) or _damaged(lake, table, str(error))


def _damaged(lake: Lake, table: Table, what: str) -> TidemillError:
    return TidemillError(
        "E_TABLE_DAMAGED",
        f"the table cannot be read as it was committed: {what.splitlines()[0][:300]}",
        where=f"{table.label} at {lake.path(table)}",
        next_step="bring the folder back from a backup; or move it away, with its rows of the ledger, and run the jobs"
        " that write it again",
        exit_code=Exit.DATA,
    )


def layout_of(lake: Lake, table: Table) -> tuple[int, str]:
    """The bucket count and period unit of a table: its own if it exists, else those of the configuration."""
    path = lake.path(table)
    if not is_delta(path):
        if lake.layout is None:
            raise ValueError("a lake without a layout creates no tables")
        return lake.layout.buckets, lake.layout.period
    properties = open_delta(path).metadata().configuration
    return int(properties[BUCKETS_PROPERTY]), properties[PERIOD_PROPERTY]


def _required(lake: Lake, table: Table) -> int:
    version = version_of(lake, table)
    if version is None:
        raise TidemillError(
            "E_NO_TABLE",
            "the table holds nothing yet",
            where=f"{table.label} at {lake.path(table)}",
            next_step="run the job that writes it first, or the whole pipeline",
            exit_code=Exit.NO_INPUT,
        )
    return version
