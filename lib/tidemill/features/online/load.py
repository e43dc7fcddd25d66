"""From gold, or any other source, to an online store: which rows, by which path, to which writer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.core.time import EPOCH
from tidemill.data.buckets import bucket_files, why_not_by_files
from tidemill.data.file_tasks import map_files
from tidemill.data.layout import ALL
from tidemill.data.located import lake_at
from tidemill.data.read import layout_of, open_table, read, version_of
from tidemill.data.tables import GOLD, Lake, Table
from tidemill.features.online import encoding
from tidemill.features.online.newest import newest_batches, newest_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.features.online.view import OnlineView, Window

_SCHEMA = "written bigint"
_KEY = "_entity_key"
_NO_TABLE_OF_OURS = "its source is no gold table of a lake"


@dataclass(frozen=True)
class Loaded:
    """What one view's load did.

    Args:
        view: its name.
        path: `files` where workers read the gold files of their buckets, else why plain Spark was used.
        written: entities whose values were written; those with newer values in the store are not among them.
        removed: entities whose values were too old and taken out.
    """

    view: str
    path: str
    written: int
    removed: int


def load(
    session: SparkSession,
    location: str,
    source: Callable[[], DataFrame],
    view: OnlineView,
    window: Window,
    write: Callable[[Iterable[pa.RecordBatch]], Iterator[int]],
    *,
    one_writer: bool,
) -> tuple[str, int]:
    """Writes the newest row of each entity; rows go from the source's files to the store and through no driver.

    Args:
        session: distributes the work.
        location: of the source: where it is a gold table's folder, its files are read as they are.
        source: any other source's rows; called only where they are needed.
        view: what is loaded.
        window: the event times.
        write: a store's writer, given batches of rows of different entities.
        one_writer: whether one task must write all rows; it then gets them ordered by entity key.

    Returns:
        The path that was taken, as `Loaded` says, and the entities written.
    """
    ours = gold_table_at(location, view)
    reason = _NO_TABLE_OF_OURS if ours is None else why_not_by_files(*ours)

    def counted(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for written in write(batches):
            yield pa.record_batch([pa.array([written], pa.int64())], ["written"])

    if ours is not None and reason is None:
        lake, table = ours
        found = bucket_files(lake, table, _periods(lake, table, window))
        schema = arrow_schema(lake, table)
        rows = partial(newest_batches, schema=schema, view=view, window=window)
        items = [(bucket, bucket.size) for bucket in found]
        if not items:
            return "files", 0
        if not one_writer:
            return "files", _total(map_files(session, items, lambda bucket: counted(rows(bucket)), _SCHEMA))
        with_key = partial(_with_key, view=view)
        frame = map_files(session, items, lambda bucket: with_key(rows(bucket)), _frame_schema(schema, view))
    else:
        given = source() if ours is None else read(session, *ours)
        frame = newest_rows(given, view, window)
        if not one_writer:
            return str(reason), _total(frame.mapInArrow(counted, _SCHEMA))
        keyed = ", ".join(f"`{f.name}` {f.dataType.simpleString()}" for f in frame.schema)
        frame = frame.mapInArrow(partial(_with_key, view=view), f"{keyed}, {_KEY} binary")
    ordered = frame.repartition(1).sortWithinPartitions(_KEY)
    return reason or "files", _total(ordered.mapInArrow(counted, _SCHEMA))


def gold_table_at(location: str, view: OnlineView) -> tuple[Lake, Table] | None:
    """The lake and the gold table that lies there, or None where none does.

    Args:
        location: a path, or an address that may be none of a lake's.
        view: its first join key is the table's entity, if it has buckets.
    """
    located = lake_at(location)
    if located is None or located[1].layer != GOLD or version_of(*located) is None:
        return None
    lake, table = located
    partitions = tuple(open_table(lake, table).metadata().partition_columns)
    # Other keys than the entity's own do not keep their rows together in a bucket.
    if len(view.keys) != 1 or partitions != ("period", "bucket"):
        partitions = ()
    return lake, Table(GOLD, table.name, (), partitions, entity=view.keys[0].source, time=view.event)


def arrow_schema(lake: Lake, table: Table) -> pa.Schema:
    """The schema of the last ledgered version, which files made before a column was added do not have."""
    return pa.schema(open_table(lake, table, version_of(lake, table)).schema().to_arrow())


def _periods(lake: Lake, table: Table, window: Window) -> frozenset[str] | None:
    """The months that the window touches, or None where the table has no months."""
    if layout_of(lake, table)[1] == ALL:
        return None
    first, last = (end.year * 12 + end.month - 1 for end in (max(window.since, EPOCH), window.until))
    return frozenset(f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, last + 1))


def _total(written: DataFrame) -> int:
    row = written.agg(F.sum("written")).first()
    return 0 if row is None or row[0] is None else int(row[0])


def _with_key(batches: Iterable[pa.RecordBatch], view: OnlineView) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.select(view.columns).append_column(_KEY, encoding.entity_keys(batch, view))


def _frame_schema(schema: pa.Schema, view: OnlineView) -> str:
    from pyspark.sql.pandas.types import from_arrow_type

    kinds = ", ".join(f"`{name}` {from_arrow_type(schema.field(name).type).simpleString()}" for name in view.columns)
    return f"{kinds}, {_KEY} binary"
