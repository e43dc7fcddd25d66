"""The newest row of every entity in a window of event times: from a bucket's files by Arrow, and in plain Spark.

A bucket holds all rows of its entities, so a worker finds the newest ones by looking at keys and times alone, without a
shuffle, and then reads features batch by batch: its memory holds the keys of one bucket and one batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyspark.sql import Window as Over
from pyspark.sql import functions as F

from tidemill.data.places import arrow_paths, place_at
from tidemill.features.online.encoding import created_micros, entity_keys, event_micros

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from tidemill.data.buckets import BucketFiles
    from tidemill.features.online.view import OnlineView, Window

_BATCH_ROWS = 1 << 15
_INSTANT = pa.timestamp("us", tz="UTC")


def newest_batches(
    bucket: BucketFiles, schema: pa.Schema, view: OnlineView, window: Window
) -> Iterator[pa.RecordBatch]:
    """The newest row of each entity of a bucket, in batches of at most 32,768 rows, in no order.

    Of equal event times the row that was made last wins. Rows without a key are left out.

    Args:
        bucket: its files.
        schema: the table's, which a file made before a column was added lacks.
        view: says the columns.
        window: the event times, `[since, until]`.
    """
    # Spark may have written times as Parquet's old INT96, which has no zone: they are UTC, to the microsecond.
    form = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(coerce_int96_timestamp_unit="us"))
    system, paths = arrow_paths([place_at(path) for path in bucket.paths])
    files = ds.dataset(paths, format=form, schema=schema, filesystem=system)
    wanted = _within(view, window)
    heads = [*dict.fromkeys(key.source for key in view.keys), view.event]
    if view.created is not None:
        heads.append(view.created)
    # Both passes see the same rows in the same order: one thread, the files as they are named.
    table = files.to_table(columns=heads, filter=wanted, use_threads=False).combine_chunks()
    if not table.num_rows:
        return
    chosen = _newest(table.to_batches()[0], view)
    first = 0
    for batch in files.to_batches(
        columns=view.columns,
        filter=wanted,
        use_threads=False,
        batch_size=_BATCH_ROWS,
        batch_readahead=2,
        fragment_readahead=1,
    ):
        low, high = np.searchsorted(chosen, (first, first + batch.num_rows))
        if high > low:
            yield batch.take(pa.array(chosen[low:high] - first))
        first += batch.num_rows


def newest_rows(rows: DataFrame, view: OnlineView, window: Window) -> DataFrame:
    """The same in plain Spark: one window over the rows of each entity.

    Args:
        rows: any source with the view's columns.
        view: says the columns.
        window: the event times, `[since, until]`.
    """
    keys = [f"`{key.source}`" for key in view.keys]
    since, until = (F.timestamp_micros(F.lit(end)) for end in window.micros)
    event = F.col(f"`{view.event}`")
    order = [event.desc()]
    if view.created is not None:
        order.append(F.col(f"`{view.created}`").desc_nulls_last())
    place = F.row_number().over(Over.partitionBy(*keys).orderBy(*order))
    given = rows.where((event >= since) & (event <= until)).dropna(subset=[key.source for key in view.keys])
    ranked = given.withColumn("_place", place).where("_place = 1")
    return ranked.select(*[f"`{name}`" for name in view.columns])


def _newest(heads: pa.RecordBatch, view: OnlineView) -> NDArray[np.int64]:
    """The positions of the newest rows, ascending."""
    codes = entity_keys(heads, view).dictionary_encode().indices.to_numpy()
    order = np.lexsort((created_micros(heads, view), event_micros(heads, view), codes))
    ordered = codes[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    return np.sort(order[last])


def _within(view: OnlineView, window: Window) -> ds.Expression:
    since, until = (pa.scalar(end, _INSTANT) for end in window.micros)
    found = (pc.field(view.event) >= since) & (pc.field(view.event) <= until)
    for key in view.keys:
        found &= pc.field(key.source).is_valid()
    return found
