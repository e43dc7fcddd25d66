"""The as-of join by entity buckets: rows of a spine are sent to their bucket, whose files a worker reads with Arrow.

The twin of `asof.as_of_join`: the same rows, to the last bit, with one exchange of the spine and none of the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructField, StructType

from tidemill.core.time import length_micros, to_micros
from tidemill.data.buckets import bucket_files
from tidemill.data.layout import ALL
from tidemill.data.read import layout_of
from tidemill.features.asof_search import Lookup, look_up, micros

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from pyspark.sql import DataFrame

    from tidemill.data.tables import Lake, Table

_BUCKET = "_bucket"
# Rows of a spine that are joined at a time: each further load of one bucket reads the bucket's files again.
_LOAD_ROWS = 1 << 20
_BATCH_ROWS = 16 << 10


@dataclass(frozen=True)
class Wanted:
    """What one table with buckets brings to a spine.

    Args:
        lake: where the table is.
        table: a table with an entity, a time and buckets.
        columns: the columns that are brought over, each with its name beside the spine's.
        made: the column that settles equal stamps, the newest wins; or None.
        ttl: how old a row may be, or None for any age.
        delay: how long after its stamp a row may first be used.
        stamps: the only stamps that count, or None for all.
    """

    lake: Lake
    table: Table
    columns: tuple[tuple[str, str], ...]
    made: str | None
    ttl: timedelta | None
    delay: timedelta
    stamps: tuple[datetime, ...] | None = None

    @property
    def fields(self) -> list[StructField]:
        """The columns that are brought over, in the table's types."""
        types = dict(self.table.columns)
        ddl = cast(
            "StructType", StructType.fromDDL(", ".join(f"`{source}` {types[source]}" for source, _ in self.columns))
        )
        return [StructField(name, f.dataType) for (_, name), f in zip(self.columns, ddl, strict=True)]


def join_by_buckets(spine: DataFrame, key: str, at: str, wanted: Sequence[Wanted]) -> DataFrame:
    """The spine's rows, each once, with the newest usable row of every table.

    Args:
        spine: with the key, a string, and the time, a timestamp; its other columns are carried along.
        key: the column that all tables are bucketed by.
        at: the column of the moment that a row of the spine speaks for.
        wanted: tables with one number of buckets, which are joined in one pass.
    """
    (buckets,) = {layout_of(w.lake, w.table)[0] for w in wanted}
    lookups = spine.sparkSession.sparkContext.broadcast([lookup_of(w) for w in wanted])
    schema = StructType([*spine.schema.fields, *[field for w in wanted for field in w.fields]])
    names = schema.names

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for load in loads(batches):
            for columns in _joined(load, key, at, lookups.value):
                yield from pa.table(columns, names=names).to_batches(max_chunksize=_BATCH_ROWS)

    # A null key matches nothing, in any bucket: rows without a key must not all fall upon one worker.
    hashed = F.when(F.col(key).isNull(), F.xxhash64(at)).otherwise(F.xxhash64(key))
    placed = spine.withColumn(_BUCKET, F.pmod(hashed, F.lit(buckets)).cast("int"))
    return placed.repartitionById(buckets, _BUCKET).mapInArrow(run, schema)


def lookup_of(wanted: Wanted) -> Lookup:
    """What workers need to know of a table, to look rows up in its bucket files."""
    table, stamps = wanted.table, None
    periods = None
    if wanted.stamps is not None:
        stamps = np.unique(np.array([to_micros(t) for t in wanted.stamps], np.int64))
        if layout_of(wanted.lake, table)[1] != ALL:
            periods = frozenset(f"{t:%Y-%m}" for t in wanted.stamps)
    if table.entity is None or table.time is None:
        raise ValueError(f"{table.label} has no buckets")
    schema = StructType([StructField(n, f.dataType) for (n, _), f in zip(wanted.columns, wanted.fields, strict=True)])
    return Lookup(
        files={b.bucket: b.paths for b in bucket_files(wanted.lake, table, periods)},
        key=table.entity,
        time=table.time,
        made=wanted.made,
        columns=to_arrow_schema(schema, timezone="UTC"),
        ttl=None if wanted.ttl is None else length_micros(wanted.ttl),
        delay=length_micros(wanted.delay),
        stamps=stamps,
    )


def loads(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together as far as memory allows."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += len(batch)
        if rows >= _LOAD_ROWS:
            yield pa.Table.from_batches(held)
            held, rows = [], 0
    if rows:
        yield pa.Table.from_batches(held)


def _joined(load: pa.Table, key: str, at: str, lookups: Sequence[Lookup]) -> Iterator[list[pa.ChunkedArray | pa.Array]]:
    """The columns of a load, and beside them what is looked up; for each bucket that the load has rows of."""
    buckets = pc.unique(load[_BUCKET]).to_pylist()  # one, unless Spark puts partitions together
    for bucket in buckets:
        rows = load if len(buckets) == 1 else load.filter(pc.equal(load[_BUCKET], bucket))
        keys, times = rows[key].cast(pa.string()).combine_chunks(), micros(rows[at])
        found = [column for lookup in lookups for column in look_up(lookup, bucket, keys, times)]
        yield [*rows.drop_columns([_BUCKET]).columns, *found]
