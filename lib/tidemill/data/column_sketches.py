"""The sketch of a column in Arrow, of whatever type: numbers are sorted once; of texts, the distinct ones count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.stats.bins import NUMBER, TEXT, Bins
from tidemill.stats.distinct import hash_texts
from tidemill.stats.frequent import Frequent, kept
from tidemill.stats.sketch import Sketch, sketch_numbers, sketch_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


def kind_of(found: pa.DataType) -> str | None:
    """What a column is profiled as: `number`, also booleans and times, in microseconds or days; `text`; else None."""
    inner = found.value_type if pa.types.is_dictionary(found) else found
    if pa.types.is_string(inner) or pa.types.is_large_string(inner):
        return TEXT
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    numeric = any(test(found) for test in (*tests, pa.types.is_timestamp, pa.types.is_date32))
    return NUMBER if numeric else None


def sketch_column(column: pa.Array, bins: Bins | None = None) -> Sketch:
    """All that a profile holds of a column; of one that is neither number nor text, its rows and nulls.

    Whole numbers beyond 2**53 and decimals are rounded to doubles.

    Args:
        column: one batch of it.
        bins: to count on, too; of the column's kind.
    """
    kind = kind_of(column.type)
    if kind == NUMBER:
        edges = None if bins is None else np.asarray(bins.edges, np.float64)
        return sketch_numbers(_doubles(column.drop_null()), len(column), edges)
    if kind is None:
        return Sketch(len(column), column.null_count)
    texts, times = _distinct_texts(column)
    places, off = kept(times)
    common = dict(zip(texts.take(pa.array(places)).to_pylist(), (times[places] - off).tolist(), strict=True))
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    found = sketch_texts(len(column), times, lengths, _hashes(texts), Frequent(common, off))
    return found if bins is None else replace(found, counts=_text_counts(texts, times, bins))


def count_column(column: pa.Array, bins: Bins) -> Sketch:
    """Rows, nulls and the rows of each bin, and nothing else: for one known column less than half the work."""
    if kind_of(column.type) == TEXT:
        texts, times = _distinct_texts(column)
        counts = _text_counts(texts, times, bins)
    else:
        values = _doubles(column.drop_null())
        values = values[~np.isnan(values)]
        counts = np.bincount(np.searchsorted(np.asarray(bins.edges), values, side="right"), minlength=bins.size)
    return Sketch(len(column), len(column) - int(counts.sum()), counts=counts)


def _doubles(column: pa.Array) -> Floats:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    return pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _distinct_texts(column: pa.Array) -> tuple[pa.Array, Ints]:
    """The distinct texts of a column, and the rows of each."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    number = len(encoded.dictionary)
    places = encoded.indices.fill_null(number) if encoded.indices.null_count else encoded.indices
    times = np.bincount(places.to_numpy(zero_copy_only=False), minlength=number + 1)[:number]
    there = np.flatnonzero(times)
    texts = encoded.dictionary if len(there) == number else encoded.dictionary.take(pa.array(there))
    return texts.cast(pa.large_string()), times[there]


def _hashes(texts: pa.Array) -> NDArray[np.uint64]:
    _, offsets, data = texts.buffers()
    if not len(texts) or offsets is None:
        return np.empty(0, np.uint64)
    places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return hash_texts(np.frombuffer(b"" if data is None else data, np.uint8), places)


def _text_counts(texts: pa.Array, times: Ints, bins: Bins) -> Ints:
    found: Any = pc.index_in(texts, pa.array(bins.values, texts.type)).fill_null(len(bins.values))
    return np.bincount(found.to_numpy(zero_copy_only=False), times, bins.size).astype(np.int64)
