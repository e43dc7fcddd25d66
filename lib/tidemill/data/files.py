"""The files of a pinned snapshot: what workers open with Arrow, without a JVM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidemill.core.time import to_micros
from tidemill.data.plain_files import beyond_files, logged_files
from tidemill.data.read import open_table, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tidemill.data.tables import Lake, Table


@dataclass(frozen=True)
class DataFile:
    """One file.

    Args:
        path: absolute.
        size: in bytes.
        rows: of it.
        partition: the values of the table's partition columns.
    """

    path: str
    size: int
    rows: int
    partition: Mapping[str, Any] = field(default_factory=dict)


def why_no_plain_files(lake: Lake, table: Table) -> str | None:
    """Why the files of a table cannot be read as they are, or None where they can."""
    found = beyond_files(open_table(lake, table))
    return f"{table.label} has {', '.join(found)}" if found else None


def data_files(
    lake: Lake, table: Table, only: Mapping[str, str] | None = None, since: datetime | None = None
) -> list[DataFile]:
    """The files of the last ledgered version, ordered by path.

    Args:
        lake: the tables.
        table: whose files.
        only: of these values of partition columns; none for all files.
        since: of a silver table, an event time: files that hold none so late are left out.

    Raises:
        TidemillError: E_TABLE_DAMAGED (data) where the log cannot be read.
    """
    version = version_of(lake, table)
    if version is None:
        return []
    base = lake.path(table)
    found = [
        DataFile(str(base / file.name), file.size, file.rows, file.partition)
        for file in logged_files(
            open_table(lake, table, version), "event_time", None if since is None else to_micros(since)
        )
    ]
    asked = (only or {}).items()
    kept = [file for file in found if all(str(file.partition[name]) == value for name, value in asked)]
    return sorted(kept, key=lambda file: file.path)
