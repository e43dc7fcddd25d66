"""Parquet files that a worker writes in a table's folder, and what a commit has to say of each.

Until a commit names them nobody sees them. What a failed task or a lost commit leaves behind is a file that no version
names, as Spark's own writer leaves it, and the guarded VACUUM removes it.
"""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tidemill.data.places import new_file
from tidemill.data.plain_files import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tidemill.data.places import Place

WRITTEN = "path string, partition string, size bigint, rows bigint, made bigint, stats string"
_WRITTEN_ARROW = pa.schema(
    [("path", pa.string()), ("partition", pa.string())]
    + [(name, pa.int64()) for name in ("size", "rows", "made")]
    + [("stats", pa.string())]
)
_ROWS_OF_A_GROUP = 1 << 18
_BYTES_OF_A_GROUP = 128 << 20  # in memory; rows may be wide
_LARGEST = 256 << 20  # bytes of a file, about: what is more goes to the next
_TRIED = 4096  # rows that tell whether values come again
_LONGEST = 32  # characters of a bound, as Delta keeps them
ABOVE_ALL = "\U0010ffff"  # after a prefix: more than all that begin with it
_BOUNDLESS = (pa.types.is_boolean, pa.types.is_binary, pa.types.is_nested)


@dataclass(frozen=True)
class Target:
    """Where a worker writes.

    Args:
        folder: of the table.
        schema: of its files, without the partition columns.
        bounds: the columns whose nulls, least and largest values are kept.
    """

    folder: Place
    schema: pa.Schema
    bounds: tuple[str, ...]


@dataclass(frozen=True)
class Piece:
    """Rows of one partition.

    Args:
        partition: the values of the partition columns, as Delta's log has them.
        rows: with the columns of the files, and maybe others.
        made: how many rows there were before some of them were left out.
    """

    partition: Mapping[str, str | None]
    rows: pa.RecordBatch
    made: int


def write_pieces(target: Target, pieces: Iterable[Piece], *, at_once: int = 1) -> Iterator[pa.RecordBatch]:
    """Writes rows in their order within a partition; answers per file.

    Args:
        target: where.
        pieces: the rows.
        at_once: how many partitions may take turns, each with a file that stays open. With one more than that all are
            closed, as one is that has grown large.
    """
    files: dict[tuple[str | None, ...], _File] = {}
    for piece in pieces:
        place = tuple(piece.partition.values())
        full = place in files and files[place].size > _LARGEST
        if full or (place not in files and len(files) == at_once):
            closed = [place] if full else list(files)
            yield from [files.pop(each).close() for each in closed]
        file = files.setdefault(place, _File(target, piece.partition))
        file.add(piece)
    yield from [file.close() for file in files.values()]


@dataclass
class _File:
    """A Parquet file that is being written; there is none before there are rows."""

    target: Target
    partition: Mapping[str, str | None]
    made: int = 0
    name: str = ""
    held: list[pa.RecordBatch] = field(default_factory=list)
    held_rows: int = 0
    held_bytes: int = 0
    spans: dict[str, list[_Span]] = field(default_factory=dict)
    collected: list[pq.FileMetaData] = field(default_factory=list)
    sink: pa.NativeFile | None = None
    writer: pq.ParquetWriter | None = None

    @property
    def size(self) -> int:
        """The bytes so far."""
        return int(self.sink.tell()) if self.sink is not None else 0

    def add(self, piece: Piece) -> None:
        """Takes rows, and writes a row group where there are enough for one."""
        self.made += piece.made
        batch = piece.rows.select(self.target.schema.names).cast(self.target.schema)
        self.held.append(batch)
        self.held_rows += batch.num_rows
        self.held_bytes += batch.nbytes
        if self.held_rows >= _ROWS_OF_A_GROUP or self.held_bytes >= _BYTES_OF_A_GROUP:
            self._write_group()

    def close(self) -> pa.RecordBatch:
        """Ends the file, and answers what a commit has to say of it; without a path where there were no rows."""
        if self.held_rows:
            self._write_group()
        size, rows, stats = 0, 0, {}
        if self.writer is not None and self.sink is not None:
            self.writer.close()
            size = self.size
            self.sink.close()
            rows = self.collected[0].num_rows
            stats = {"numRecords": rows, **_bounds(self.spans)}
        row = {"path": self.name, "partition": json.dumps(dict(self.partition)), "size": size, "rows": rows}
        # Not in ASCII: delta-rs does not read the escapes of rare characters as they are meant.
        row |= {"made": self.made, "stats": json.dumps(stats, allow_nan=False, ensure_ascii=False)}
        return pa.RecordBatch.from_pylist([row], schema=_WRITTEN_ARROW)

    def _write_group(self) -> None:
        rows = pa.Table.from_batches(self.held, self.target.schema)
        self.held, self.held_rows, self.held_bytes = [], 0, 0
        if self.writer is None:
            # The log says the values of a partition; the folders are for people, and for Spark where it reads by name.
            self.name = f"{place_of(self.partition) or ''}part-{uuid.uuid4()}.snappy.parquet"
            self.sink = new_file(self.target.folder / self.name)
            # Parquet's bounds leave out what is no number. To Spark that is the largest, and it would not be found
            # any more: of such columns the file says nothing.
            exact = [n for n in self.target.bounds if not pa.types.is_floating(self.target.schema.field(n).type)]
            self.writer = pq.ParquetWriter(
                self.sink,
                self.target.schema,
                use_dictionary=[_leaf(field) for field in self.target.schema if _repeats(rows[field.name])],
                write_statistics=exact,
                metadata_collector=self.collected,
            )
        for name in self.target.bounds:
            self.spans.setdefault(name, []).append(_span(rows[name]))
        self.writer.write_table(rows, row_group_size=2**31 - 1)


@dataclass(frozen=True)
class _Span:
    """Of the values of a column in one row group: how many are null, whether bounds hold, the least and the largest."""

    nulls: int
    bounded: bool
    least: Any = None
    largest: Any = None


def _span(column: pa.ChunkedArray) -> _Span:
    kind, nulls = column.type, column.null_count
    boundless = any(is_kind(kind) for is_kind in _BOUNDLESS)
    if boundless or (pa.types.is_floating(kind) and pc.any(pc.is_nan(column)).as_py()):
        return _Span(nulls, bounded=False)
    try:
        found = pc.min_max(column).as_py()
    except (OverflowError, ValueError):  # a time that Python has not, or a text of bytes that are none
        return _Span(nulls, bounded=False)
    return _Span(nulls, True, found["min"], found["max"])


def _repeats(column: pa.ChunkedArray) -> bool:
    """Whether values come again, so that a dictionary of them pays; making one of unlike values doubles the work."""
    tried = column.slice(0, _TRIED)
    return pa.types.is_nested(column.type) or 2 * pc.count_distinct(tried, mode="all").as_py() <= len(tried)


def _leaf(column: pa.Field) -> str:
    """The name of the values of a column in a file; of lists within lists none, which do without a dictionary."""
    return f"{column.name}.list.element" if pa.types.is_list(column.type) else column.name


def _bounds(spans: Mapping[str, Sequence[_Span]]) -> dict[str, dict[str, Any]]:
    """Nulls, least and largest values of columns, as Delta's log has them; no bounds that could leave out a row."""
    bounds: dict[str, dict[str, Any]] = {"minValues": {}, "maxValues": {}, "nullCount": {}}
    for name, groups in spans.items():
        bounds["nullCount"][name] = sum(group.nulls for group in groups)
        valued = [group for group in groups if group.least is not None]
        if not valued or not all(group.bounded for group in groups):
            continue
        least, largest = _least(min(g.least for g in valued)), _largest(max(g.largest for g in valued))
        if least is not None and largest is not None:
            bounds["minValues"][name], bounds["maxValues"][name] = least, largest
    return bounds


def _least(value: Any) -> Any:
    return value[:_LONGEST] if isinstance(value, str) else _as_json(value)


def _largest(value: Any) -> Any:
    if not isinstance(value, str):
        return _as_json(value)
    if len(value) <= _LONGEST:
        return value
    return None if value[_LONGEST] == ABOVE_ALL else value[:_LONGEST] + ABOVE_ALL


def _as_json(value: Any) -> Any:
    """A value as JSON has it exactly, instants in UTC to the microsecond; None where JSON cannot."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        text = repr(float(value))
        return float(value) if Decimal(text) == value and "e" not in text else None  # delta-rs reads no exponents
    return None if isinstance(value, float) and not math.isfinite(value) else value
