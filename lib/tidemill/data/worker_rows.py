"""Rows that workers write themselves: Parquet files by Arrow in the table's folder, which a commit then names.

Until then nobody sees them. What a failed task or a lost commit leaves behind is a file that no version names, as
Spark's own writer leaves it, and the guarded VACUUM removes it.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from tidemill.core.failpoints import failpoint
from tidemill.data.file_tasks import answers, map_tasks
from tidemill.data.schema import delta_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession

    from tidemill.data.tables import Table

_ROWS_OF_A_GROUP = 1 << 18
_LARGEST = 256 << 20  # bytes of a file, about: what is more goes to the next
_WRITTEN = "path string, size bigint, rows bigint, made bigint, stats string"
_WRITTEN_ARROW = pa.schema(
    [("path", pa.string()), ("size", pa.int64()), ("rows", pa.int64()), ("made", pa.int64()), ("stats", pa.string())]
)


def as_made(batch: pa.RecordBatch) -> pa.RecordBatch:
    """All rows."""
    return batch


@dataclass(frozen=True)
class WorkerRows:
    """The rows of one batch, not yet made.

    Args:
        session: distributes the items.
        items: what rows are made from, each with its size in bytes.
        make: one item to batches of rows.
        partition: the values of the table's partition columns, the same for all rows.
        keep: the rows of such a batch that belong to the table; columns that are none of the table's are left out.
    """

    session: SparkSession
    items: Sequence[tuple[Any, int]]
    make: Callable[[Any], Iterable[pa.RecordBatch]]
    partition: Mapping[str, str]
    keep: Callable[[pa.RecordBatch], pa.RecordBatch] = as_made


@dataclass(frozen=True)
class WrittenFiles:
    """Files in a table's folder that no commit names yet.

    Args:
        actions: what a commit says to add them.
        rows: in them.
        made: the rows that were made, with those that were not kept.
    """

    actions: tuple[AddAction, ...]
    rows: int
    made: int


@dataclass(frozen=True)
class _Target:
    """Where a worker writes: a folder of the table, the columns of its files, and those whose bounds are kept."""

    folder: Path
    place: str
    schema: pa.Schema
    bounds: tuple[str, ...]


def write_files(folder: Path, table: Table, rows: WorkerRows) -> WrittenFiles:
    """Lets workers write the rows: one file a task, or more where it grows large.

    Args:
        folder: of the table.
        table: says the columns, and those whose least and largest values are kept.
        rows: what to make.
    """
    schema = delta_schema((name, kind) for name, kind in table.columns if name not in rows.partition)
    place = "/".join(f"{name}={rows.partition[name]}" for name in table.partitions)
    target = _Target(folder, place, schema, table.told_apart_by)
    written = map_tasks(rows.session, rows.items, partial(_write_task, target, rows.make, rows.keep), _WRITTEN)
    found = list(answers(written))
    failpoint("commit.files_written", table.label)
    now = int(time.time() * 1000)  # a file's time, by which no reader goes
    files = [AddAction(f["path"], f["size"], rows.partition, now, True, f["stats"]) for f in found if f["rows"]]
    return WrittenFiles(tuple(files), sum(f["rows"] for f in found), sum(f["made"] for f in found))


def _write_task(
    target: _Target,
    make: Callable[[Any], Iterable[pa.RecordBatch]],
    keep: Callable[[pa.RecordBatch], pa.RecordBatch],
    items: Sequence[Any],
) -> Iterator[pa.RecordBatch]:
    made = 0
    held: list[pa.RecordBatch] = []
    file: _File | None = None
    for item in items:
        for batch in make(item):
            made += batch.num_rows
            held.append(keep(batch).select(target.schema.names).cast(target.schema))
            if sum(part.num_rows for part in held) < _ROWS_OF_A_GROUP:
                continue
            file = file or _File(target)
            file.write(held)
            held = []
            if file.size > _LARGEST:
                yield file.close(made)
                made, file = 0, None
    if any(part.num_rows for part in held):
        file = file or _File(target)
        file.write(held)
    yield file.close(made) if file is not None else _answer("", 0, 0, made, {})


class _File:
    """A Parquet file that is being written."""

    def __init__(self, target: _Target) -> None:
        self._target = target
        self._name = f"{target.place}/part-{uuid.uuid4()}.snappy.parquet"
        path = target.folder / self._name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._sink = pa.OSFile(str(path), "wb")
        self._collected: list[pq.FileMetaData] = []
        self._writer = pq.ParquetWriter(
            self._sink, target.schema, write_statistics=list(target.bounds), metadata_collector=self._collected
        )

    @property
    def size(self) -> int:
        """The bytes so far."""
        return int(self._sink.tell())

    def write(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Adds a row group."""
        self._writer.write_table(pa.Table.from_batches(batches, self._target.schema), row_group_size=2**31 - 1)

    def close(self, made: int) -> pa.RecordBatch:
        """Ends the file, and answers what a commit has to say of it."""
        self._writer.close()
        size = self.size
        self._sink.close()
        rows, bounds = self._collected[0].num_rows, _bounds(self._collected[0], self._target.bounds)
        return _answer(self._name, size, rows, made, {"numRecords": rows, **bounds})


def _answer(path: str, size: int, rows: int, made: int, stats: Mapping[str, Any]) -> pa.RecordBatch:
    row = {"path": path, "size": size, "rows": rows, "made": made, "stats": json.dumps(stats)}
    return pa.RecordBatch.from_pylist([row], schema=_WRITTEN_ARROW)


def _bounds(written: pq.FileMetaData, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Least and largest values and nulls of columns, as Delta's log has them."""
    places = {written.schema.column(i).name: i for i in range(written.num_columns)}
    bounds: dict[str, dict[str, Any]] = {"minValues": {}, "maxValues": {}, "nullCount": {}}
    for name in names:
        groups = [written.row_group(g).column(places[name]).statistics for g in range(written.num_row_groups)]
        bounds["nullCount"][name] = sum(group.null_count for group in groups)
        valued = [group for group in groups if group.has_min_max]
        if valued:
            bounds["minValues"][name] = _plain(min(group.min for group in valued))
            bounds["maxValues"][name] = _plain(max(group.max for group in valued))
    return bounds


def _plain(value: Any) -> Any:
    """A value as JSON has it: instants in UTC, to the microsecond."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value
