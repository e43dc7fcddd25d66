"""The files of a pinned snapshot by entity bucket: what workers open with Arrow, without a shuffle, without a JVM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.data.files import data_files, why_no_plain_files

if TYPE_CHECKING:
    from tidemill.data.files import DataFile
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
    found: dict[int, list[DataFile]] = {}
    for file in data_files(lake, table):
        if periods is None or file.partition["period"] in periods:
            found.setdefault(int(file.partition["bucket"]), []).append(file)
    return [
        BucketFiles(number, tuple(f.path for f in files), sum(f.size for f in files), sum(f.rows for f in files))
        for number, files in sorted(found.items())
    ]
