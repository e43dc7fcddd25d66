"""The rows of a bucket's files in the order of entity and time, with Arrow, in pieces of bounded size.

Files are sorted when they are written, by a bucket's refine and by our compaction. The order is checked all the same,
and what is out of order is sorted: an append since the last compaction, a file that Delta's OPTIMIZE has made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidemill.data.places import open_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow.parquet as pq

Array = NDArray[Any]
Place = tuple[Any, int]  # entity and event time, microseconds
_TIME = "event_time"
_BEFORE = -(2**63)  # before every instant


@dataclass(frozen=True)
class Piece:
    """Rows of whole entities, or a part of them, in order.

    Args:
        keys: the different entities, ascending.
        codes: of each row the place of its entity among them, ascending.
        times: each row's event time, microseconds; ascending within an entity.
        rows: the columns.
        last: whether no further piece of the bucket follows.
    """

    keys: pa.Array
    codes: Array
    times: Array
    rows: pa.Table
    last: bool


def read_pieces(
    paths: Sequence[str], rows: int, schema: pa.Schema, key: str, most: int, *, whole_entities: bool
) -> Iterator[Piece]:
    """Reads a bucket; rows of one entity and instant are never parted.

    Args:
        paths: of its files.
        rows: how many they have together; up to `most` are one piece.
        schema: the columns that are wanted, `event_time` and the key among them; a file that lacks one has nulls.
        key: the entity's column.
        most: rows that are held at the same time, about.
        whole_entities: whether an entity's rows are needed together, however many they are.
    """
    if rows <= most:
        yield _piece(pa.concat_tables([_read(path, schema, key) for path in paths]), key, last=True)
        return
    streams = [_Stream(_batches(path, schema, key, max(1, most // len(paths))), schema, key) for path in paths]
    pending: Piece | None = None
    while streams:
        for stream in streams:
            stream.fill()
        streams = [stream for stream in streams if stream.rows.num_rows]
        # Behind the least end of what is read of a file that goes on, another row may still follow.
        least = min((stream.end() for stream in streams if not stream.ended), default=None)
        frontier = (least[0], _BEFORE) if least is not None and whole_entities else least
        taken = pa.concat_tables([stream.take(frontier) for stream in streams]) if streams else None
        if taken is None or not taken.num_rows:
            for stream in streams:
                if not stream.ended and stream.end() == least:
                    stream.grow()
            continue
        if pending is not None:
            yield pending
        pending = _piece(taken, key, last=False)
    if pending is not None:
        yield replace(pending, last=True)


class _Stream:
    """The rows of one file that are read and not yet taken."""

    def __init__(self, batches: Iterator[pa.Table], schema: pa.Schema, key: str) -> None:
        self._batches, self._key = batches, key
        self.rows = _typed(schema.empty_table(), schema, key)
        self.ended = False

    def fill(self) -> None:
        while not self.rows.num_rows and not self.ended:
            self.grow()

    def grow(self) -> None:
        more = next(self._batches, None)
        if more is None:
            self.ended = True
        else:
            self.rows = pa.concat_tables([self.rows, more]) if self.rows.num_rows else more

    def end(self) -> Place:
        return self._place(self.rows.num_rows - 1)

    def take(self, frontier: Place | None) -> pa.Table:
        """Takes the rows before a place, or all."""
        low, high = 0, self.rows.num_rows
        while frontier is not None and low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._place(middle) < frontier else (low, middle)
        taken, self.rows = self.rows.slice(0, high), self.rows.slice(high)
        return taken

    def _place(self, row: int) -> Place:
        return self.rows[self._key][row].as_py(), self.rows[_TIME][row].cast(pa.int64()).as_py()


def _piece(rows: pa.Table, key: str, *, last: bool) -> Piece:
    keys, codes = _ranked(rows[key])
    times = rows[_TIME].cast(pa.int64()).to_numpy()
    rows = rows.drop_columns([key, _TIME])
    if not _in_order(codes, times):
        order = _order(codes, times)
        codes, times, rows = codes[order], times[order], rows.take(pa.array(order))
    return Piece(keys, codes, times, rows, last)


def _ranked(column: pa.ChunkedArray) -> tuple[pa.Array, Array]:
    """The different values, ascending, and of each row the place of its own among them."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded = column.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # of no chunk at all
        encoded = pa.array([], encoded.type)
    codes = encoded.indices.to_numpy().astype(np.int64)
    used = np.flatnonzero(np.bincount(codes, minlength=len(encoded.dictionary)))
    keys = encoded.dictionary.take(pa.array(used))
    ascending = pc.sort_indices(keys).to_numpy()
    ranks = np.empty(len(encoded.dictionary), np.int64)
    ranks[used[ascending]] = np.arange(len(used))
    return keys.take(pa.array(ascending)), ranks[codes]


def _in_order(codes: Array, times: Array) -> bool:
    step = np.diff(codes)
    return bool(np.all((step > 0) | ((step == 0) & (np.diff(times) >= 0))))


def _order(codes: Array, times: Array) -> Array:
    """A stable order of rows; quick where they are a few sorted runs, for then NumPy's sort merges them."""
    if not len(times):
        return np.arange(0)
    first, span = int(times.min()), int(times.max()) - int(times.min()) + 1
    if (int(codes.max()) + 1) * span < 2**63:
        return np.argsort(codes * span + (times - first), kind="stable")
    return np.lexsort((times, codes))


def _read(path: str, schema: pa.Schema, key: str) -> pa.Table:
    file = _open(path, schema, key)
    return _typed(file.read(_present(file, schema), use_threads=False), schema, key)


def _batches(path: str, schema: pa.Schema, key: str, size: int) -> Iterator[pa.Table]:
    """A file in batches, ascending; one that is out of order is read and sorted as a whole."""
    if not _file_in_order(path, schema, key, size):
        piece = _piece(_read(path, schema, key), key, last=True)
        times = pa.array(piece.times).cast(schema.field(_TIME).type)
        rows = piece.rows.append_column(key, piece.keys.take(pa.array(piece.codes))).append_column(_TIME, times)
        for start in range(0, rows.num_rows, size):
            yield _typed(rows.slice(start, size), schema, key)
        return
    file = _open(path, schema, key)
    for batch in file.iter_batches(size, columns=_present(file, schema), use_threads=False):
        yield _typed(pa.Table.from_batches([batch]), schema, key)


def _file_in_order(path: str, schema: pa.Schema, key: str, size: int) -> bool:
    """Whether a file's rows ascend by entity and time; looks at these two columns alone."""
    places = pa.schema([schema.field(key), schema.field(_TIME)])
    before: Place | None = None
    for batch in _open(path, places, key).iter_batches(size, columns=places.names, use_threads=False):
        rows = _typed(pa.Table.from_batches([batch]), places, key)
        codes, times = _ranked(rows[key])[1], rows[_TIME].cast(pa.int64()).to_numpy()
        first, last = ((rows[key][i].as_py(), int(times[i])) for i in (0, rows.num_rows - 1))
        if not _in_order(codes, times) or (before is not None and first < before):
            return False
        before = last
    return True


def _open(path: str, schema: pa.Schema, key: str) -> pq.ParquetFile:
    texts = [key, "op"] if pa.types.is_string(schema.field(key).type) else ["op"]
    # Elsewhere Spark writes instants as INT96; read as nanoseconds, those after 2262 would turn into others.
    return open_parquet(path, read_dictionary=texts, coerce_int96_timestamp_unit="us")


def _present(file: pq.ParquetFile, schema: pa.Schema) -> list[str]:
    there = set(file.schema_arrow.names)
    return [name for name in schema.names if name in there]


def _typed(rows: pa.Table, schema: pa.Schema, key: str) -> pa.Table:
    """The columns in the order and with the types of the schema, texts of few values as dictionaries."""
    columns = []
    for field in schema:
        kind = pa.dictionary(pa.int32(), pa.string()) if _encoded(field, key) else field.type
        if field.name not in rows.column_names:
            columns.append(pa.chunked_array([pa.nulls(rows.num_rows, field.type)]).cast(kind))
            continue
        column = rows[field.name]
        columns.append(column if column.type == kind else _cast(column, kind))
    return pa.table(columns, names=schema.names)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind)


def _encoded(field: pa.Field, key: str) -> bool:
    return field.name in {key, "op"} and pa.types.is_string(field.type)
