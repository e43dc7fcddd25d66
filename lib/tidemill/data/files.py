"""The files of a pinned snapshot: what workers open with Arrow, without a JVM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from tidemill.data.read import open_table, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.data.tables import Lake, Table

# What a reader must know beyond reading the named files as they are.
_BEYOND_FILES = frozenset({"deletionVectors", "columnMapping"})


@dataclass(frozen=True)
class DataFile:
    """One file.

    Args:
        path: absolute.
        size: in bytes.
        rows: of it.
    """

    path: str
    size: int
    rows: int


def why_no_plain_files(lake: Lake, table: Table) -> str | None:
    """Why the files of a table cannot be read as they are, or None where they can."""
    protocol = open_table(lake, table).protocol()
    found = sorted(_BEYOND_FILES & {*(protocol.reader_features or ()), *(protocol.writer_features or ())})
    return f"{table.label} has {', '.join(found)}" if found else None


def data_files(lake: Lake, table: Table, only: Mapping[str, str]) -> list[DataFile]:
    """The files of the last ledgered version, ordered by path.

    Args:
        lake: the tables.
        table: whose files.
        only: of these values of partition columns; empty for all files.

    Raises:
        TidemillError: E_TABLE_DAMAGED (data) where the log cannot be read.
    """
    version = version_of(lake, table)
    if version is None:
        return []
    actions = pa.table(open_table(lake, table, version).get_add_actions(flatten=True)).to_pylist()
    base = lake.path(table)
    # Paths stand in the log as parts of a URI.
    return sorted(
        (
            DataFile(str(base / unquote(a["path"])), int(a["size_bytes"]), int(a["num_records"]))
            for a in actions
            if all(str(a[f"partition.{name}"]) == value for name, value in only.items())
        ),
        key=lambda file: file.path,
    )
