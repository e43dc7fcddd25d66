"""Silver versions of a piece of a bucket as arrays: when each counts, for whom, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidemill.data.ordered_rows import Piece
    from tidemill.features.algebra import Array
    from tidemill.features.conditions import Condition

EVENT_TIME = "event_time"
NEVER = np.iinfo(np.int64).max
_FIRST = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Column:
    """What the versions say in one column.

    Args:
        values: doubles, whole numbers (decimals times ten to their scale) or texts; where nothing is there, anything.
        there: which of them are not null; None for all.
    """

    values: Array
    there: Array | None = None


@dataclass(frozen=True)
class Events:
    """The versions of a piece, by entity and event.

    Args:
        keys: the entities.
        codes: of each version the place of its entity among them.
        times: event times, microseconds.
        first_known: of each entity the moment after which it has a row: any version, deletes too, had happened and was
            known.
        after: of each version the moment after which it counts; `NEVER` for a delete.
        until: the last moment at which it counts, before its next version does; None where no row has two versions.
        columns: what the aggregates look at.
        holds: where each condition, by its text, is true.
        last: whether no further piece of the bucket follows.
    """

    keys: pa.Array
    codes: Array
    times: Array
    first_known: Array
    after: Array
    until: Array | None
    columns: Mapping[str, Column]
    holds: Mapping[str, Array]
    last: bool


def events_of(
    piece: Piece, columns: Iterable[str], conditions: Iterable[Condition], *, versions: bool, ordered: bool
) -> Events:
    """The arrays of a piece.

    Args:
        piece: with `known_time` and `op`; with `seq` and `row_id` where `versions` or `ordered`, and `content` where
            `versions`.
        columns: those that are aggregated.
        conditions: those that are asked for.
        versions: whether any row has more than one version.
        ordered: whether the order of equal instants matters.
    """
    if ordered:
        piece = _with_order_of_ties(piece)
    known = np.maximum(piece.times, _whole(piece.rows["known_time"]))
    starts = np.flatnonzero(np.diff(piece.codes, prepend=-1))
    deleted = _deleted(piece.rows["op"])
    return Events(
        piece.keys,
        piece.codes,
        piece.times,
        np.minimum.reduceat(known, starts) if len(starts) else known,
        known if deleted is None else np.where(deleted, NEVER, known),
        _superseded(piece) if versions else None,
        {name: Column(piece.times) if name == EVENT_TIME else _column(piece.rows[name]) for name in columns},
        {c.text: _true(piece.rows, c) for c in conditions},
        piece.last,
    )


def _whole(column: pa.ChunkedArray, null: int = 0) -> Array:
    found = column.cast(pa.int64())
    return (found.fill_null(null) if found.null_count else found).to_numpy()


def _deleted(op: pa.ChunkedArray) -> Array | None:
    encoded = op.unify_dictionaries()
    if not encoded.null_count and all("delete" not in chunk.dictionary.to_pylist() for chunk in encoded.chunks):
        return None
    return pc.equal(encoded.cast(pa.string()), "delete").fill_null(fill_value=True).to_numpy()


def _true(rows: pa.Table, condition: Condition) -> Array:
    """The rows for which a condition is true, neither false nor null."""
    numbered = rows.select(condition.columns).append_column("_row", pa.array(np.arange(rows.num_rows)))
    holds = np.zeros(rows.num_rows, bool)
    holds[numbered.filter(condition.holds)["_row"].to_numpy()] = True
    return holds


def _column(column: pa.ChunkedArray) -> Column:
    there = None if not column.null_count else column.is_valid().to_numpy()
    kind = column.type
    if pa.types.is_string(kind):
        encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
        texts = np.array([*encoded.dictionary.to_pylist(), None], object)  # the code of a null is the last one
        return Column(texts[_whole(encoded.indices, -1)], there)
    if pa.types.is_decimal(kind):
        return Column(_scaled(column), there)
    if pa.types.is_floating(kind):
        found = column.fill_null(0.0) if column.null_count else column
        return Column(found.to_numpy(), there)
    if pa.types.is_integer(kind):
        return Column(_whole(column), there)
    return Column(np.zeros(len(column), np.int64), there)  # only counted


def _scaled(column: pa.ChunkedArray) -> Array:
    """Decimals of at most 18 digits times ten to their scale: the low halves of their 16 bytes."""
    parts = [
        np.frombuffer(chunk.buffers()[1], np.int64)[2 * chunk.offset : 2 * (chunk.offset + len(chunk)) : 2]
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _codes(column: pa.ChunkedArray) -> Array:
    """Of each text its place among the different ones, ascending."""
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    ranks = np.empty(len(encoded.dictionary), np.int64)
    ranks[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(ranks))
    return ranks[_whole(encoded.indices)]


def _with_order_of_ties(piece: Piece) -> Piece:
    """Equal instants of an entity put in the order of sequence and identity, which files do not have."""
    same = (np.diff(piece.codes) == 0) & (np.diff(piece.times) == 0)
    if not same.any():
        return piece
    tied = np.flatnonzero(np.append(same, [False]) | np.insert(same, 0, [False]))
    rows = piece.rows.select(["seq", "row_id"]).take(pa.array(tied))
    keys: tuple[Any, ...] = (_codes(rows["row_id"]), _whole(rows["seq"], _FIRST), piece.times[tied], piece.codes[tied])
    order = np.arange(len(piece.codes))
    order[tied] = tied[np.lexsort(keys)]
    return replace(piece, rows=piece.rows.take(pa.array(order)))


def _superseded(piece: Piece) -> Array:
    """Of each version when the next one of the same row became known: the least `known_time` of all later ones."""
    identity = _codes(piece.rows["row_id"])
    several = np.flatnonzero(np.bincount(identity)[identity] > 1) if len(identity) else identity
    until = np.full(len(identity), NEVER)
    if not len(several):
        return until
    rows = piece.rows.select(["seq", "known_time", "content"]).take(pa.array(several))
    known = _whole(rows["known_time"])
    order = np.lexsort((_whole(rows["content"]), known, _whole(rows["seq"], _FIRST), identity[several]))
    row, known = identity[several][order], known[order]
    moments, ranks = np.unique(known, return_inverse=True)
    # Read from the end, every row's numbers lie below those of the row before: one running least serves them all.
    least = np.minimum.accumulate((row * len(moments) + ranks)[::-1])[::-1] % len(moments)
    later = np.append(row[1:] == row[:-1], [False])
    until[several[order[later]]] = moments[least[np.flatnonzero(later) + 1]]
    return until
