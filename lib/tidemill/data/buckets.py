"""The files of a pinned snapshot by entity bucket: what workers open with Arrow, without a shuffle, without a JVM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.data.files import why_no_plain_files
from tidemill.data.read import open_table, version_of

if TYPE_CHECKING:
    from tidemill.data.tables import Lake, Table


@dataclass(frozen=True)
class BucketFiles:
    """The files of one bucket, all its periods together.

    Args:
        bucket: its number.
        paths: absolute paths, ordered.
        size: in bytes, of all files together.
        rows: of all files together.
    """

    bucket: int
    paths: tuple[str, ...]
    size: int
    rows: int


def why_not_by_files(lake: Lake, table: Table) -> str | None:
    """Why the files of a table cannot be read bucket by bucket, or None where they can."""
    return why_no_plain_files(lake, table) or (
        None if "bucket" in table.partitions else f"{table.label} has no buckets"
    )


def bucket_files(lake: Lake, table: Table, periods: frozenset[str] | None = None) -> list[BucketFiles]:
    """The files of the last ledgered version by bucket, ordered; buckets without rows are left out.

    Args:
        lake: the tables.
        table: one with the partition columns `period` and `bucket`.
        periods: which periods are wanted, or None for all.

    Raises:
        TidemillError: E_TABLE_DAMAGED (data) where the log cannot be read.
    """
    version = version_of(lake, table)
    if version is None:
        return []
    actions = pa.table(open_table(lake, table, version).get_add_actions(flatten=True))
    if periods is not None:
        actions = actions.filter(pc.is_in(actions["partition.period"], pa.array(sorted(periods), pa.string())))
    files: dict[int, list[tuple[str, int, int]]] = {}
    base = lake.path(table)
    for file in actions.select(["path", "partition.bucket", "size_bytes", "num_records"]).to_pylist():
        entry = (str(base / file["path"]), int(file["size_bytes"]), int(file["num_records"]))
        files.setdefault(int(file["partition.bucket"]), []).append(entry)
    return [
        BucketFiles(
            number, tuple(sorted(path for path, _, _ in found)), sum(s for _, s, _ in found), sum(n for *_, n in found)
        )
        for number, found in sorted(files.items())
    ]
