"""What the log of a table says about its columns, without reading a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tidemill.data.parquet_files import ABOVE_ALL
from tidemill.data.read import open_table, version_of

if TYPE_CHECKING:
    from tidemill.data.tables import Lake, Table


@dataclass(frozen=True)
class ColumnStats:
    """One column of the last ledgered version.

    Args:
        rows: of the table.
        nulls: among them, or None where the log does not tell: Delta counts the first columns of a table only.
        low, high: its least and largest value, a long text as far as the log has it; None where it does not tell.
    """

    rows: int
    nulls: int | None
    low: Any
    high: Any


def column_stats(lake: Lake, table: Table) -> dict[str, ColumnStats]:
    """The statistics of every column that is no partition; nothing where the table holds nothing yet."""
    version = version_of(lake, table)
    if version is None:
        return {}
    files = pa.table(open_table(lake, table, version).get_add_actions(flatten=True)).to_pylist()
    rows = sum(int(f["num_records"]) for f in files)
    found = {}
    for name in (n for n in table.names if n not in table.partitions):
        nulls = [f.get(f"null_count.{name}") for f in files]
        counted = sum(int(n) for n in nulls if n is not None) if all(n is not None for n in nulls) else None
        valued = [f for f in files if f.get(f"null_count.{name}") != f["num_records"]]
        lows, highs = [f.get(f"min.{name}") for f in valued], [f.get(f"max.{name}") for f in valued]
        told = bool(valued) and None not in lows and None not in highs
        high = max(highs) if told else None
        if isinstance(high, str):
            high = high.removesuffix(ABOVE_ALL)
        found[name] = ColumnStats(rows, counted, min(lows) if told else None, high)
    return found
