"""Upkeep: partitions of many files made into few, in their order; and files that no version needs removed.

Delta's OPTIMIZE loses the order inside files, so compaction reads a partition, sorts it and puts it in its own place
with `dataChange=false`: no reader sees a change.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.core.lease import lease
from tidemill.data.commit import commit
from tidemill.data.pins import pinned_files
from tidemill.data.places import open_delta, remove
from tidemill.data.read import read, version_of
from tidemill.data.write import Batch, Slice

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tidemill.data.tables import Lake, Table


@dataclass(frozen=True)
class Removed:
    """What became of the files that no version needs: how many were removed, and how many a pin keeps."""

    removed: int
    pinned: int


def crowded_partitions(lake: Lake, table: Table, most: int) -> list[tuple[str, int]]:
    """The (period, bucket) partitions of a table that have more than so many files."""
    version = version_of(lake, table)
    if version is None or table.entity is None:
        return []
    actions = open_delta(lake.path(table), version).get_add_actions(flatten=True)
    files_of = pa.table(actions).select(["partition.period", "partition.bucket"]).to_pylist()
    counted = Counter((str(f["partition.period"]), int(f["partition.bucket"])) for f in files_of)
    return sorted(place for place, files in counted.items() if files > most)


def compact(spark: SparkSession, lake: Lake, table: Table, places: list[tuple[str, int]]) -> int:
    """Rewrites the partitions as one sorted file each; returns the rows rewritten.

    Raises:
        TidemillError: what `commit` raises.
    """
    predicate = " or ".join(f"(period = '{period}' and bucket = {bucket})" for period, bucket in places)
    rows = read(spark, lake, table).where(F.expr(predicate)).select(*table.names)
    version = version_of(lake, table)
    batch = Batch(f"compact-{version}", {"version": version, "partitions": [list(p) for p in places]}, "compact")
    placed = rows.repartition(len(places), "period", "bucket").sortWithinPartitions("period", "bucket", *table.sort)
    return commit(lake, table, batch, placed, replace=Slice(predicate)).entry.rows


def remove_unneeded(lake: Lake, table: Table, hours: int) -> Removed:
    """Deletes the files that no version younger than so many hours needs, and no pin.

    The rows of a ledgered version are never touched: files of the newest version are always kept. Files that no commit
    ever named are among those that go: what a writer left behind that was ended. Delta says which files these are and
    does not delete them itself: its own VACUUM knows no pins, and adds to the log commits that are none of ours. Nobody
    writes the table meanwhile, so that no file goes that is about to be named.

    Raises:
        TidemillError: E_LEASE (try again) where another run writes the table.
    """
    if version_of(lake, table) is None:
        return Removed(0, 0)
    path = lake.path(table)
    removed, kept = 0, 0
    with lease(lake.root, f"table-{table.label}", owner=lake.run_id, timeout=lake.lease_timeout):
        unneeded = open_delta(path).vacuum(
            retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True
        )
        pinned = pinned_files(lake.root, table.label)
        for name in unneeded:
            if name.rpartition("/")[2].startswith("."):
                continue  # a checksum that Spark wrote beside a file, and goes with it
            if name in pinned:
                kept += 1
            elif remove(path / name):
                removed += 1
    return Removed(removed, kept)
