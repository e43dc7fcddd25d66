"""The as-of join inside one bucket: Arrow reads its files, NumPy finds the newest row. No Spark, no other bucket.

The rows of a bucket are brought into the order of entity and time once, by counting, without comparing a text. Then all
rows of the spine halve their entity's stretch at the same time. An entity's number and a time do not fit into one
64-bit number without loss, so the search keeps them apart. Features are read last, batch by batch, and only rows that
were found are kept of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.data.places import open_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow.parquet as pq
    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

PIECE_ROWS = 4 << 20
_BATCH_ROWS = 32 << 10
_NEVER = np.iinfo(np.int64).min
_DIGIT = 16


@dataclass(frozen=True)
class Lookup:
    """What is looked up in the gold rows of one view.

    Args:
        files: the files of each bucket.
        key: the entity's column.
        time: the column of the stamp.
        made: the column that settles equal stamps, the newest wins; or None.
        columns: the columns that are brought over, by the names in the files, with their Arrow types.
        ttl: how old a row may be, in microseconds, or None for any age.
        delay: how long after its stamp a row may first be used, in microseconds.
        stamps: the only stamps that count, ordered microseconds; or None for all.
    """

    files: dict[int, tuple[str, ...]]
    key: str
    time: str
    made: str | None
    columns: pa.Schema
    ttl: int | None
    delay: int = 0
    stamps: Longs | None = None


@dataclass(frozen=True)
class _Piece:
    """Rows of one bucket in the order of entity and stamp: a stretch for each entity."""

    keys: pa.Array
    starts: Longs
    times: Longs
    made: Longs | None
    rows: Longs


def look_up(
    lookup: Lookup, bucket: int, keys: pa.Array, at: Longs, piece_rows: int = PIECE_ROWS
) -> list[pa.ChunkedArray]:
    """For each pair of key and time the columns of the newest row that it may use, null where there is none.

    Args:
        lookup: what is looked up.
        bucket: the bucket that all keys lie in.
        keys: strings; a null matches nothing.
        at: microseconds since the epoch, `_NEVER` for a null.
        piece_rows: how many rows are sorted at a time; a row group is never cut.
    """
    files = [_open(path, lookup.key) for path in lookup.files.get(bucket, ())]
    pieces = _pieces(files, piece_rows)
    best = np.full(len(at), -1, np.int64)
    best_time = np.full(len(at), _NEVER, np.int64)
    best_made = np.full(len(at), _NEVER, np.int64)
    latest = at - lookup.delay
    asked = at != _NEVER
    for groups in pieces:
        piece = _read_piece(files, groups, lookup, always=len(pieces) > 1)
        places = _newest(piece, keys, latest)
        hit = np.flatnonzero((places >= 0) & asked)
        rows, times = places[hit], piece.times[places[hit]]
        made = np.full(len(hit), _NEVER, np.int64) if piece.made is None else piece.made[rows]
        newer = (times > best_time[hit]) | ((times == best_time[hit]) & (made >= best_made[hit]))
        hit, rows, times, made = hit[newer], rows[newer], times[newer], made[newer]
        best[hit], best_time[hit], best_made[hit] = piece.rows[rows], times, made
    if lookup.ttl is not None:
        best[best_time < latest - lookup.ttl] = -1
    return _gather(files, best, lookup.columns)


def micros(array: pa.Array | pa.ChunkedArray) -> Longs:
    """Timestamps as microseconds since the epoch, whatever zone they name; `_NEVER` for null."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    array = array.cast(pa.timestamp("us", array.type.tz)).cast(pa.int64())
    return np.asarray(array.fill_null(_NEVER) if array.null_count else array)


def _open(path: str, key: str) -> pq.ParquetFile:
    # Spark may write instants in 96 bits, which Arrow by default reads as nanoseconds: those end in the year 2262.
    return open_parquet(path, read_dictionary=[key], coerce_int96_timestamp_unit="us")


def _pieces(files: Sequence[pq.ParquetFile], most: int) -> list[list[tuple[int, int, int]]]:
    """All row groups as (file, group, first row), cut into pieces of about so many rows."""
    pieces: list[list[tuple[int, int, int]]] = []
    held, first = 0, 0
    for number, file in enumerate(files):
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if not pieces or held + rows > most:
                pieces.append([])
                held = 0
            pieces[-1].append((number, group, first))
            held, first = held + rows, first + rows
    return pieces


def _read_piece(
    files: Sequence[pq.ParquetFile], groups: Sequence[tuple[int, int, int]], lookup: Lookup, *, always: bool
) -> _Piece:
    read = [files[n].read_row_group(g, [lookup.key, lookup.time], use_threads=False) for n, g, _ in groups]
    chunks = [chunk for table in read for chunk in table[lookup.key].chunks]
    keys = pa.chunked_array(chunks, read[0][lookup.key].type).unify_dictionaries().combine_chunks()
    times = np.concatenate([micros(t[lookup.time]) for t in read])
    spans = zip(groups, read, strict=True)
    rows = np.concatenate([np.arange(first, first + len(t), dtype=np.int64) for (*_, first), t in spans])
    codes = np.asarray(keys.indices.fill_null(-1))
    counts = (codes >= 0) & (times != _NEVER)
    if lookup.stamps is not None:
        counts &= np.isin(times, lookup.stamps)
    chosen = np.arange(len(codes)) if counts.all() else np.flatnonzero(counts)
    order = chosen[_order(codes[chosen], times[chosen])]
    codes, times = codes[order], times[order]
    equal = (codes[1:] == codes[:-1]) & (times[1:] == times[:-1])
    made = None
    if lookup.made is not None and (always or equal.any()):
        parts = [files[n].read_row_group(g, [lookup.made], use_threads=False)[0] for n, g, _ in groups]
        made = np.concatenate([micros(part) for part in parts])
        again = np.lexsort((made[order], times, codes))  # stable: of rows that are equal in all, the last stays last
        order, made = order[again], made[order[again]]
    starts = np.searchsorted(codes, np.arange(len(keys.dictionary) + 1))
    return _Piece(keys.dictionary, starts, times, made, rows[order])


def _order(codes: NDArray[Any], times: Longs) -> Longs:
    """The stable order by code and time. NumPy sorts 16-bit numbers by counting, which takes a few ns a row."""
    order = np.arange(len(codes)) if (times[1:] >= times[:-1]).all() else np.argsort(times, kind="stable")
    for digit in range(0, int(codes.max(initial=0)).bit_length(), _DIGIT):
        digits = (codes[order] >> digit).astype(np.uint16)
        order = order[np.argsort(digits, kind="stable")]
    return order


def _newest(piece: _Piece, keys: pa.Array, latest: Longs) -> Longs:
    """For each key the place of its last row stamped no later than `latest`, or -1: all halve their stretch at once."""
    codes = np.asarray(pc.index_in(keys, value_set=piece.keys).fill_null(-1))
    known = codes >= 0
    low = np.where(known, piece.starts[codes], 0)
    first, high = low.copy(), np.where(known, piece.starts[codes + 1], 0)
    while (open_ := np.flatnonzero(low < high)).size:
        middle = (low[open_] + high[open_]) >> 1
        right = piece.times[middle] <= latest[open_]
        low[open_[right]] = middle[right] + 1
        high[open_[~right]] = middle[~right]
    return np.where(low > first, low - 1, -1)


def _gather(files: Sequence[pq.ParquetFile], rows: Longs, schema: pa.Schema) -> list[pa.ChunkedArray]:
    """The columns of rows that are counted through all files, in the order asked for; -1 is a row of nulls."""
    found, places = np.unique(rows, return_inverse=True)
    if found.size and found[0] < 0:
        found, places = found[1:], places - 1
    parts: list[list[pa.Array]] = [[] for _ in schema]
    for batch, wanted in _batches_with(files, found, schema.names):
        for part, field in zip(parts, schema, strict=True):
            part.append(_typed(batch, wanted, field))
    # In the pieces that were read: putting them together would move every value once more.
    columns = [pa.chunked_array(part, field.type) for part, field in zip(parts, schema, strict=True)]
    if len(found) == len(rows) and (rows[1:] > rows[:-1]).all():  # as a spine on the view's own grid mostly asks
        return columns
    index = pa.array(places, mask=rows < 0)
    return [column.take(index) for column in columns]


def _batches_with(
    files: Sequence[pq.ParquetFile], rows: Longs, names: Sequence[str]
) -> Iterator[tuple[pa.RecordBatch, Longs]]:
    """Batches that hold any of the rows, which are ordered, each with the places of these rows in it."""
    first = 0
    for file in files:
        there = [name for name in names if name in file.schema_arrow.names]
        for group in range(file.num_row_groups):
            end = first + file.metadata.row_group(group).num_rows
            low, high = np.searchsorted(rows, (first, end))
            if low == high:
                first = end
                continue
            # A row group may be large: it is decoded in pieces that fit into the cache of a core.
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=there, use_threads=False):
                low, high = np.searchsorted(rows, (first, first + len(batch)))
                if low < high:
                    yield batch, rows[low:high] - first
                first += len(batch)


def _typed(batch: pa.RecordBatch, rows: Longs, field: pa.Field) -> pa.Array:
    """Rows of one column in its type in the table; a column that the file was written without is null."""
    if field.name not in batch.schema.names:
        return pa.nulls(len(rows), field.type)
    values = batch.column(field.name)
    if len(rows) < len(batch):
        values = values.take(pa.array(rows))
    if pa.types.is_timestamp(field.type):  # the file need not name the zone; the instants are the same
        values = values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64())
    return values.cast(field.type)
