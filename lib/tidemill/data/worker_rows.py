"""Rows that workers write themselves: Parquet files by Arrow in the table's folder, which a commit then names."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from deltalake.transaction import AddAction

from tidemill.core.failpoints import failpoint
from tidemill.data.file_tasks import answers, map_tasks
from tidemill.data.parquet_files import WRITTEN, Piece, Target, write_pieces
from tidemill.data.schema import delta_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from pyspark.sql import DataFrame, Row, SparkSession

    from tidemill.data.places import Place
    from tidemill.data.tables import Table

_TURNS = 8  # batches that one pass makes, of which each has a file open: more are written, too, in more files


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
class FrameRows:
    """The rows of one batch in a frame that has more of them.

    Args:
        frame: all rows.
        partition, keep: as of `WorkerRows`.
    """

    frame: DataFrame
    partition: Mapping[str, str]
    keep: Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True)
class RowsApart:
    """The rows of several batches that one pass makes, not yet made; their table is partitioned by `batch_id`.

    Args:
        session: distributes the items.
        items: what rows are made from, each with its size in bytes.
        make: the items of a task to batches of rows with the table's columns; each row tells to which batch it belongs.
    """

    session: SparkSession
    items: Sequence[tuple[Any, int]]
    make: Callable[[Sequence[Any]], Iterable[pa.RecordBatch]]


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


def write_files(folder: Place, table: Table, rows: WorkerRows | FrameRows) -> WrittenFiles:
    """Lets workers write rows: one file a task, or more where it grows large.

    Args:
        folder: of the table.
        table: says the columns, and those whose least and largest values are kept.
        rows: what to make, or all that were made.
    """
    target, partition = _target(folder, table), dict(rows.partition)
    if isinstance(rows, FrameRows):
        return _written(
            _done(table, rows.frame.mapInArrow(partial(_write_kept, target, rows.keep, partition), WRITTEN))
        )
    work = partial(_write_task, target, rows.make, rows.keep, partition)
    return _written(_done(table, map_tasks(rows.session, rows.items, work, WRITTEN)))


def write_frame(folder: Place, table: Table, frame: DataFrame) -> WrittenFiles:
    """Lets workers write the rows of a frame, in its order: a file for each run of rows of one partition.

    Args:
        folder: of the table.
        table: says the columns, and those whose least and largest values are kept.
        frame: with the table's columns; in each of its parts the rows of a partition lie together.
    """
    return _written(_done(table, _writing(folder, table, frame)))


def write_apart(folder: Place, table: Table, rows: RowsApart | DataFrame) -> dict[str, WrittenFiles]:
    """Lets workers write the rows of several batches in one pass.

    Args:
        folder: of the table.
        table: says the columns; partitioned by `batch_id`.
        rows: what to make, or a frame as of `write_frame`.

    Returns:
        The files of each batch that has rows, by its identity.
    """
    if isinstance(rows, RowsApart):
        work = partial(_write_turns, _target(folder, table), table.partitions, rows.make)
        frame = map_tasks(rows.session, rows.items, work, WRITTEN)
    else:
        frame = _writing(folder, table, rows)
    found: dict[str, list[Row]] = defaultdict(list)
    for file in _done(table, frame):
        found[json.loads(file["partition"])["batch_id"]].append(file)
    return {batch: _written(files) for batch, files in found.items()}


def _writing(folder: Place, table: Table, frame: DataFrame) -> DataFrame:
    # By Spark's rules, which fail where a value does not fit: Arrow would make texts of its own.
    typed = frame.selectExpr(*[f"cast(`{name}` as {kind}) as `{name}`" for name, kind in table.columns])
    return typed.mapInArrow(partial(_write_runs, _target(folder, table), table.partitions), WRITTEN)


def _target(folder: Place, table: Table) -> Target:
    schema = delta_schema((name, kind) for name, kind in table.columns if name not in table.partitions)
    return Target(folder, schema, table.bounded)


def _done(table: Table, frame: DataFrame) -> list[Row]:
    """What workers answer of the files that they have written."""
    found = list(answers(frame))
    failpoint("commit.files_written", table.label)
    return found


def _written(found: Sequence[Row]) -> WrittenFiles:
    now = int(time.time() * 1000)  # a file's time, by which no reader goes
    files = [
        AddAction(f["path"], f["size"], json.loads(f["partition"]), now, True, f["stats"]) for f in found if f["rows"]
    ]
    return WrittenFiles(tuple(files), sum(f["rows"] for f in found), sum(f["made"] for f in found))


def _write_task(
    target: Target,
    make: Callable[[Any], Iterable[pa.RecordBatch]],
    keep: Callable[[pa.RecordBatch], pa.RecordBatch],
    partition: Mapping[str, str],
    items: Sequence[Any],
) -> Iterator[pa.RecordBatch]:
    return _write_kept(target, keep, partition, (batch for item in items for batch in make(item)))


def _write_turns(
    target: Target,
    partitions: Sequence[str],
    make: Callable[[Sequence[Any]], Iterable[pa.RecordBatch]],
    items: Sequence[Any],
) -> Iterator[pa.RecordBatch]:
    pieces = (piece for batch in make(items) for piece in _runs(batch, partitions))
    return write_pieces(target, pieces, at_once=_TURNS)


def _write_kept(
    target: Target,
    keep: Callable[[pa.RecordBatch], pa.RecordBatch],
    partition: Mapping[str, str],
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    return write_pieces(target, (Piece(partition, keep(batch), batch.num_rows) for batch in batches))


def _write_runs(
    target: Target, partitions: Sequence[str], batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    return write_pieces(target, (piece for batch in batches for piece in _runs(batch, partitions)))


def _runs(batch: pa.RecordBatch, partitions: Sequence[str]) -> Iterator[Piece]:
    """The rows of a batch, cut where a partition column changes."""
    if not batch.num_rows:
        return
    changes = np.zeros(batch.num_rows - 1, np.bool_)
    for name in partitions:
        numbers = batch.column(name).dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
        changes |= numbers[1:] != numbers[:-1]
    starts = [0, *(np.flatnonzero(changes) + 1).tolist(), batch.num_rows]
    for start, stop in pairwise(starts):
        rows = batch.slice(start, stop - start)
        values = {name: rows.column(name)[0].as_py() for name in partitions}
        # As Delta's log has them: texts, and an empty one is none.
        texts = {name: None if value is None or value == "" else str(value) for name, value in values.items()}
        yield Piece(texts, rows, rows.num_rows)
