"""Batches whose rows come about in one pass: each is a commit of its own, whatever ends the process in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from tidemill.core.failpoints import Crashed, armed
from tidemill.data.commit import commit, commit_together, ledgered
from tidemill.data.files import data_files
from tidemill.data.parquet_files import Piece, Target, write_pieces
from tidemill.data.read import read_arrow
from tidemill.data.schema import delta_schema
from tidemill.data.tables import Table
from tidemill.data.upkeep import remove_unneeded
from tidemill.data.worker_rows import RowsApart
from tidemill.data.write import Batch, write_together

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession
    from tidemill.data.tables import Lake

COLUMNS = (("name", "string"), ("size", "bigint"), ("batch_id", "string"))
TABLE = Table("gold", "scores", COLUMNS, partitions=("batch_id",), sort=("name",))
ONE, TWO = Batch("one", {"model": "1"}), Batch("two", {"model": "2"})
FACTORS = {"one": 1, "two": 10}
SIZES = {batch: sorted(number * factor for number in range(6) for _ in range(2)) for batch, factor in FACTORS.items()}


def apart(spark: SparkSession, *batches: str) -> RowsApart:
    """Rows of numbers below six in each batch by turns, made of two items."""

    def make(items: Sequence[range]) -> Iterator[pa.RecordBatch]:
        for number in (number for numbers in items for number in numbers):
            for batch in batches:
                sizes = pa.array([number * FACTORS[batch]] * 2, pa.int64())
                yield pa.record_batch({"size": sizes, "batch_id": [batch] * 2, "name": [f"n{number}"] * 2})

    return RowsApart(spark, [(range(3), 1), (range(3, 6), 1)], make)


def frame_of(spark: SparkSession) -> DataFrame:
    """The same rows in a frame."""
    rows = spark.range(6).selectExpr("id", "explode(array(1, 1, 10, 10)) as factor")
    rows = rows.selectExpr("concat('n', id) as name", "id * factor as size", "if(factor = 1, 'one', 'two') as batch_id")
    return rows.repartition(2).sortWithinPartitions("batch_id", "name")


def held(lake: Lake) -> dict[str, list[int]]:
    """The sizes of each batch."""
    rows = read_arrow(lake, TABLE).to_pylist()
    return {b: sorted(row["size"] for row in rows if row["batch_id"] == b) for b in {row["batch_id"] for row in rows}}


def test_each_batch_of_a_pass_is_a_commit_of_its_own(lake: Lake, spark: SparkSession) -> None:
    found = commit_together(lake, TABLE, [ONE, TWO], apart(spark, "one", "two"))
    assert [(c.written, c.entry.batch_id, c.entry.version, c.entry.rows, c.entry.inputs) for c in found] == [
        (True, "one", 1, 12, {"model": "1"}),
        (True, "two", 2, 12, {"model": "2"}),
    ]
    assert held(lake) == SIZES
    assert len(data_files(lake, TABLE)) == 2  # a file for each, though their rows came by turns
    again = commit_together(lake, TABLE, [ONE, TWO], apart(spark, "one", "two"))
    assert [c.written for c in again] == [False, False]
    assert held(lake) == SIZES


@pytest.mark.parametrize(
    ("place", "ledgered_then", "recovered_then"),
    [
        ("commit.files_written", [], []),
        ("commit.after_write", [], ["one"]),
        ("commit.after_ledger", ["one"], []),
    ],
)
def test_what_ends_between_two_commits_is_made_good(
    lake: Lake, spark: SparkSession, place: str, ledgered_then: list[str], recovered_then: list[str]
) -> None:
    with armed(place), pytest.raises(Crashed):
        commit_together(lake, TABLE, [ONE, TWO], apart(spark, "one", "two"))
    due = [batch for batch in (ONE, TWO) if ledgered(lake, TABLE, batch) is None]
    assert [batch.batch_id for batch in (ONE, TWO) if batch not in due] == ledgered_then
    found = commit_together(lake, TABLE, due, apart(spark, *[batch.batch_id for batch in due]))
    assert [c.entry.batch_id for c in found if not c.written] == recovered_then
    assert held(lake) == SIZES
    assert remove_unneeded(lake, TABLE, 0).removed > 0  # what the first pass wrote in vain
    assert held(lake) == SIZES


def test_a_frame_is_written_in_one_pass_too(lake: Lake, spark: SparkSession) -> None:
    found = commit_together(lake, TABLE, [ONE, TWO], frame_of(spark))
    assert [(c.written, c.entry.rows) for c in found] == [(True, 12), (True, 12)]
    assert held(lake) == SIZES


def test_a_table_that_wants_more_than_files_has_each_batch_written_by_delta(lake: Lake, spark: SparkSession) -> None:
    commit(lake, TABLE, Batch("none", {}), pa.table({"name": ["a"], "size": [1], "batch_id": ["none"]}))
    spark.sql(f"alter table delta.`{lake.path(TABLE)}` add constraint positive check (size >= 0)")
    parts = write_together(lake.path(TABLE), TABLE, [ONE, TWO], frame_of(spark))
    sums = {}
    for batch, rows in parts.items():
        assert isinstance(rows, DataFrame)
        (sums[batch],) = [row["sum"] for row in rows.agg(F.sum("size").alias("sum")).toLocalIterator()]
    assert sums == {"one": 30, "two": 300}


def test_rows_that_belong_to_no_batch_are_refused(lake: Lake, spark: SparkSession) -> None:
    with pytest.raises(ValueError, match="not written here: two"):
        commit_together(lake, TABLE, [ONE], apart(spark, "one", "two"))
    assert ledgered(lake, TABLE, ONE) is None


def test_a_batch_of_a_pass_without_rows_is_a_commit_too(lake: Lake, spark: SparkSession) -> None:
    found = commit_together(lake, TABLE, [ONE, TWO], apart(spark, "one"))
    assert [c.entry.rows for c in found] == [12, 0]


@pytest.mark.parametrize(("at_once", "files"), [(1, 6), (2, 2), (3, 2)])
def test_partitions_that_take_turns_keep_their_files_open(tmp_path: Path, at_once: int, files: int) -> None:
    schema = delta_schema(COLUMNS[1:2])
    one = pa.record_batch({"size": pa.array([1], pa.int64())}, schema=schema)
    pieces = [Piece({"batch_id": batch}, one, 1) for _ in range(3) for batch in ("one", "two")]
    written = list(write_pieces(Target(tmp_path, schema, ()), pieces, at_once=at_once))
    answers = [row for answer in written for row in answer.to_pylist()]
    assert len({answer["path"] for answer in answers}) == len(answers) == files
    assert sum(answer["rows"] for answer in answers) == 6
