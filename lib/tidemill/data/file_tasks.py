"""Work on many files: Spark hands files to workers, small ones many to a task; workers hand back Arrow batches."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa
    from pyspark.sql import DataFrame, Row, SparkSession

_TASK_BYTES = 64 << 20
_FILE_COST = 256 << 10  # opening a file costs about as much as reading so many bytes


def map_files(
    session: SparkSession,
    items: Sequence[tuple[Any, int]],
    work: Callable[[Any], Iterable[pa.RecordBatch]],
    schema: str,
) -> DataFrame:
    """What `work` yields for every item, as a frame; items are packed into tasks by their sizes.

    Args:
        session: distributes the tasks.
        items: what `work` is given, each with its size in bytes.
        work: one item to Arrow batches of the schema; runs in a Python worker.
        schema: Spark's, in SQL.
    """
    return map_tasks(session, items, partial(_one_by_one, work), schema)


def map_tasks(
    session: SparkSession,
    items: Sequence[tuple[Any, int]],
    work: Callable[[Sequence[Any]], Iterable[pa.RecordBatch]],
    schema: str,
) -> DataFrame:
    """As `map_files`, for work that wants to know all items of its task."""
    tasks = session.sparkContext.broadcast(_pack(items, session.sparkContext.defaultParallelism))

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from work(tasks.value[number])

    count = len(tasks.value)
    return session.range(0, count, 1, count).mapInArrow(run, schema)


def answers(frame: DataFrame) -> Iterator[Row]:
    """The few rows that workers answer with: the tasks run side by side, where an iterator asks for one at a time."""
    yield from frame.repartition(1).toLocalIterator()


def _one_by_one(work: Callable[[Any], Iterable[pa.RecordBatch]], items: Sequence[Any]) -> Iterator[pa.RecordBatch]:
    for item in items:
        yield from work(item)


def _pack(items: Sequence[tuple[Any, int]], slots: int) -> list[list[Any]]:
    """Items in their order, cut into tasks of about equal work: at least one task a slot where there is enough."""
    total = sum(size + _FILE_COST for _, size in items)
    most = min(_TASK_BYTES, max(1 << 20, total // max(1, slots)))
    tasks: list[list[Any]] = [[]]
    held = 0
    for item, size in items:
        if tasks[-1] and held + size + _FILE_COST > most:
            tasks.append([])
            held = 0
        tasks[-1].append(item)
        held += size + _FILE_COST
    return tasks
