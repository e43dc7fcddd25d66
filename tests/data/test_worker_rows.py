"""Frames that workers write: what Spark reads back, where the rows lie, and what the log says of them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from tidemill.data.arrow_files import arrow_dataset
from tidemill.data.column_stats import ColumnStats, column_stats
from tidemill.data.commit import commit
from tidemill.data.files import data_files
from tidemill.data.read import read, rows_of
from tidemill.data.tables import Table
from tidemill.data.worker_rows import FrameRows
from tidemill.data.write import Batch, write_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from tidemill.data.tables import Lake

ONE, TWO = Batch("one", {}), Batch("two", {})
KINDS = {
    "text": "string",
    "raw": "binary",
    "flag": "boolean",
    "small": "int",
    "large": "bigint",
    "number": "double",
    "price": "decimal(12,2)",
    "exact": "decimal(38,18)",
    "day": "date",
    "at": "timestamp",
    "several": "array<double>",
}
VALUES = {
    "text": ("''", "'b\u00e4r'", "repeat('\U0001f40b', 40)"),
    "raw": ("x''", "x'00ff'", "x'ff'"),
    "flag": ("true", "false", "false"),
    "small": ("-2147483648", "0", "2147483647"),
    "large": ("-9223372036854775808", "0", "9223372036854775807"),
    "number": ("-0.5d", "1e-300d", "2.5d"),
    "price": ("-0.01BD", "19.99BD", "9999999999.99BD"),
    "exact": ("-1.000000000000000001BD", "0BD", "12345678901234567890.123456789012345678BD"),
    "day": ("date'0001-01-01'", "date'2024-02-29'", "date'9999-12-31'"),
    "at": ("timestamp'1600-01-01 00:00:00'", "timestamp'2024-02-29 23:59:59.999999'", "timestamp'9999-12-31 23:59:59'"),
    "several": ("array()", "array(1d, null)", "array(double('NaN'))"),
}
BOUNDS: dict[str, tuple[Any, Any] | None] = {
    "text": ("", "\U0001f40b" * 32 + "\U0010ffff"),  # a prefix, and what is more than all that begin with it
    "raw": None,
    "flag": None,
    "small": (-(2**31), 2**31 - 1),
    "large": (-(2**63), 2**63 - 1),
    "number": (-0.5, 2.5),
    "price": (-0.01, 9999999999.99),
    "exact": None,  # more digits than a number of JSON surely keeps
    "day": ("0001-01-01", "9999-12-31"),
    "at": ("1600-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.000000Z"),
    "several": None,
}


def held(frame: DataFrame) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in frame.toLocalIterator())


def stats(lake: Lake, table: Table) -> list[dict[str, Any]]:
    """What the log says of each file."""
    found = []
    for log in sorted((lake.folder(table) / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        found += [json.loads(action["add"]["stats"]) for action in actions if "add" in action]
    return found


def test_every_type_is_read_back_as_it_was_with_bounds_that_hold(lake: Lake, spark: SparkSession) -> None:
    table = Table("silver", "kinds", (("row", "int"), *KINDS.items()))
    chosen = [f"{row} as row, " + ", ".join(f"{v[row]} as {name}" for name, v in VALUES.items()) for row in range(3)]
    nothing = "3 as row, " + ", ".join(f"cast(null as {kind}) as {name}" for name, kind in KINDS.items())
    query = " union all ".join(f"select {columns}" for columns in (*chosen, nothing))
    frame = spark.sql(query).select(*[F.col(name).cast(kind).alias(name) for name, kind in table.columns])
    commit(lake, table, ONE, frame.repartition(1).sortWithinPartitions("row"))
    expected = [row.asDict() for row in frame.orderBy("row").toLocalIterator()]
    found = [row.asDict() for row in read(spark, lake, table).orderBy("row").toLocalIterator()]
    assert repr(found) == repr(expected)  # as text, since no number equals itself
    (told,) = stats(lake, table)
    assert told["numRecords"] == 4
    assert told["nullCount"] == {"row": 0, **dict.fromkeys(KINDS, 1)}
    kept = {name: bounds for name, bounds in BOUNDS.items() if bounds is not None}
    assert told["minValues"] == {"row": 0, **{name: least for name, (least, _) in kept.items()}}
    assert told["maxValues"] == {"row": 3, **{name: largest for name, (_, largest) in kept.items()}}
    for name in kept:  # no bound leaves out a row that is asked for
        for value in VALUES[name]:
            assert read(spark, lake, table).where(F.expr(f"{name} = {value}")).count() == 1, (name, value)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("string", ["'a'", "'\U00020bb7'", "'\U0010ffff'"]),
        ("string", ["'a'", "concat(repeat('x', 32), '\U0010ffff', 'a')"]),
        ("decimal(12,7)", ["0.0000001", "0.0000500"]),
        ("decimal(38,18)", ["1", "10000000000000000"]),
    ],
    ids=["rare characters", "none above", "small", "large"],
)
def test_spark_and_delta_rs_find_what_bounds_have_to_let_through(
    lake: Lake, spark: SparkSession, kind: str, values: list[str]
) -> None:
    table = Table("silver", "found", (("value", kind),))
    frame = spark.sql(" union all ".join(f"select cast({value} as {kind}) as value" for value in values))
    commit(lake, table, ONE, frame.repartition(1))
    dataset = arrow_dataset(DeltaTable(str(lake.path(table))), lake.path(table))
    for row in frame.toLocalIterator():
        assert read(spark, lake, table).where(F.col("value") == F.lit(row["value"])).count() == 1
        assert dataset.to_table(filter=ds.field("value") == row["value"]).num_rows == 1
        by_log = spark.read.format("delta").load(str(lake.path(table)))
        assert by_log.where(F.col("value") == F.lit(row["value"])).count() == 1


def test_what_python_cannot_hold_has_no_bounds(lake: Lake, spark: SparkSession) -> None:
    table = Table("silver", "far", (("at", "timestamp"), ("text", "string")))
    far = spark.sql("select timestamp_micros(300000000000000000) as at, cast(x'ff' as string) as text")
    commit(lake, table, ONE, far)
    assert stats(lake, table) == [
        {"numRecords": 1, "minValues": {}, "maxValues": {}, "nullCount": {"at": 0, "text": 0}},
    ]
    assert column_stats(lake, table)["at"] == ColumnStats(rows=1, nulls=0, low=None, high=None)
    assert read(spark, lake, table).where("year(at) > 9999").count() == 1


def test_values_become_those_of_the_table_by_the_rules_of_spark(lake: Lake, spark: SparkSession) -> None:
    table = Table("gold", "typed", (("key", "string"), ("size", "int")))
    commit(lake, table, ONE, spark.sql("select 1e7d as key, 5L as size"))
    assert held(read(spark, lake, table)) == [("1.0E7", 5)]
    with pytest.raises(PySparkException, match="OVERFLOW"):
        commit(lake, table, TWO, spark.sql("select 'a' as key, 3000000000L as size"))
    assert held(read(spark, lake, table)) == [("1.0E7", 5)]


@pytest.mark.parametrize("kept", [0, 3])
def test_of_a_frame_workers_keep_some_rows_and_count_all(lake: Lake, spark: SparkSession, kept: int) -> None:
    def keep(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.filter(pc.less(batch["size"], kept))

    table = Table("bronze", "some", (("size", "bigint"), ("batch_id", "string")), partitions=("batch_id",))
    frame = spark.range(10).selectExpr("id as size", "'not of the table' as more").repartition(2)
    entry = commit(lake, table, ONE, FrameRows(frame, {"batch_id": "one"}, keep), counts={"asked": 1}).entry
    assert (entry.rows, entry.counts) == (kept, {"asked": 1, "read": 10})
    assert held(read(spark, lake, table)) == [(size, "one") for size in range(kept)]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_found(lake: Lake, spark: SparkSession, odd: float) -> None:
    table = Table("silver", "numbers", (("value", "double"),))
    frame = spark.createDataFrame([(1.0,), (odd,)], "value double").repartition(1)
    commit(lake, table, ONE, frame)
    assert stats(lake, table)[0]["maxValues"] == {}
    above = read(spark, lake, table).where("value > 5").count()
    assert above == (0 if odd == -math.inf else 1)  # to Spark no number is larger than all
    assert read(spark, lake, table).where(F.col("value") == F.lit(odd)).count() == 1


def test_rows_lie_in_the_files_of_their_partition_in_their_order(lake: Lake, spark: SparkSession) -> None:
    table = Table(
        "gold", "parted", (("number", "bigint"), ("word", "string"), ("bucket", "int")), partitions=("word", "bucket")
    )
    words = ["plain", "a b", "x/y=z", "\u00fc%41", "", None]
    made = [(number, words[number % 6], number % 2) for number in range(600)]
    frame = spark.createDataFrame(made, "number bigint, word string, bucket int").repartition(1)
    commit(lake, table, ONE, frame.sortWithinPartitions("word", "bucket", "number"))
    found = [tuple(row) for row in read(spark, lake, table).orderBy("number").toLocalIterator()]
    # As Delta's protocol has it: an empty text in a partition column is no value.
    assert found == [(number, word or None, bucket) for number, word, bucket in made]
    files = data_files(lake, table)
    assert len(files) == 6
    assert sum(file.rows for file in files) == 600
    for file in files:
        numbers = pq.read_table(file.path).column("number").to_pylist()
        assert numbers == sorted(numbers)
        assert len({number % 6 for number in numbers}) == 1


def test_a_table_that_wants_more_than_files_is_written_by_delta(lake: Lake, spark: SparkSession) -> None:
    table = Table("gold", "altered", (("name", "string"), ("size", "bigint")))
    commit(lake, table, ONE, spark.sql("select 'a' as name, 1L as size"))
    spark.sql(f"alter table delta.`{lake.path(table)}` add constraint positive check (size > 0)")
    assert DeltaTable(str(lake.path(table))).protocol().min_writer_version > 2
    # Not by the primitive, which refuses to go on after a version that someone else wrote.
    facts: dict[str, Any] = {"batch_id": "two", "counts": {}}
    frame = spark.sql("select 'b' as name, -1L as size")
    with pytest.raises(Py4JJavaError, match=r"(?i)positive"):
        write_rows(lake.path(table), table, TWO, frame, facts, None)
    write_rows(lake.path(table), table, TWO, frame.withColumn("size", F.lit(2).cast("bigint")), facts, None)
    assert rows_of(lake, table) == 1  # of the last ledgered version
    assert spark.read.format("delta").load(str(lake.path(table))).count() == 2
