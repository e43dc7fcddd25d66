"""Pinned readers: a table as its last ledgered version holds it, whatever lies behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable

from tidemill.core.errors import Exit, TidemillError
from tidemill.data import ledger
from tidemill.data.tables import BUCKETS_PROPERTY, PERIOD_PROPERTY, Lake, Table

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from pyspark.sql import DataFrame, SparkSession


def version_of(lake: Lake, table: Table) -> int | None:
    """The last ledgered version of a table, or None where it holds nothing yet."""
    return max((e.version for e in ledger.entries(lake.root, table.label)), default=None)


def read(spark: SparkSession, lake: Lake, table: Table) -> DataFrame:
    """The table as a frame, pinned to its last ledgered version.

    Raises:
        TidemillError: E_NO_TABLE (no input) where it holds nothing yet.
    """
    version = _required(lake, table)
    reader = spark.read.format("delta")
    if DeltaTable(str(lake.path(table))).version() != version:
        # Only then: Delta refuses time travel to a version older than its file retention, even to the newest one.
        reader = reader.option("versionAsOf", version)
    return reader.load(str(lake.path(table)))


def read_arrow(
    lake: Lake, table: Table, columns: list[str] | None = None, where: ds.Expression | None = None
) -> pa.Table:
    """A small table, or few rows of a large one, without a JVM; pinned like `read`.

    Raises:
        TidemillError: E_NO_TABLE (no input) where it holds nothing yet.
    """
    version = _required(lake, table)
    return (
        DeltaTable(str(lake.path(table)), version=version).to_pyarrow_dataset().to_table(columns=columns, filter=where)
    )


def rows_of(lake: Lake, table: Table) -> int:
    """The rows of the last ledgered version, from the log's statistics."""
    version = _required(lake, table)
    actions = DeltaTable(str(lake.path(table)), version=version).get_add_actions(flatten=True)
    return sum(int(n) for n in pa.table(actions)["num_records"].to_pylist())


def layout_of(lake: Lake, table: Table) -> tuple[int, str]:
    """The bucket count and period unit of a table: its own if it exists, else those of the configuration."""
    path = str(lake.path(table))
    if not DeltaTable.is_deltatable(path):
        if lake.layout is None:
            raise ValueError("a lake without a layout creates no tables")
        return lake.layout.buckets, lake.layout.period
    properties = DeltaTable(path).metadata().configuration
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
