"""Tables that are read by the names of their files, beside Delta's own reader."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tidemill.core.config import Layout
from tidemill.core.errors import TidemillError
from tidemill.data import plain_files
from tidemill.data.commit import commit
from tidemill.data.layout import with_layout
from tidemill.data.places import new_file, open_delta, remove, spark_address
from tidemill.data.plain_files import frame_of_files, logged_files
from tidemill.data.read import layout_of, read
from tidemill.data.tables import Table
from tidemill.data.write import Batch, Slice

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession
    from tidemill.data.places import Place
    from tidemill.data.tables import Lake

VISITS = Table(
    "silver",
    "visits",
    (("name", "string"), ("at", "timestamp"), ("paid", "decimal(9,2)"), ("period", "string"), ("bucket", "int")),
    partitions=("period", "bucket"),
    sort=("name", "at"),
    entity="name",
    time="at",
    evolves=True,
)


def deliver(spark: SparkSession, lake: Lake, table: Table, name: str, first: int, more: str = "") -> None:
    """Commits forty visits over two months."""
    rows = spark.range(first, first + 40).selectExpr(
        "concat('c', id % 7) as name",
        "timestamp'2024-02-01' + make_interval(0, 0, 0, cast(id as int)) as at",
        "cast(id / 4 as decimal(9,2)) as paid",
        *([more] if more else []),
    )
    commit(lake, table, Batch(name, {}), with_layout(rows, table, *layout_of(lake, table)))


def by_delta(spark: SparkSession, folder: Place) -> DataFrame:
    return spark.read.format("delta").load(spark_address(folder))


def held(frame: DataFrame) -> list[tuple[object, ...]]:
    return sorted((tuple(row) for row in frame.toLocalIterator()), key=repr)


def by_files(spark: SparkSession, folder: Place) -> bool:
    """Whether a table is read by the names of its files."""
    return frame_of_files(spark, open_delta(folder), folder) is not None


def test_rows_columns_and_types_are_those_of_delta(lake: Lake, spark: SparkSession) -> None:
    lake = replace(lake, layout=Layout(buckets=4, period="month"))
    deliver(spark, lake, VISITS, "one", 0)
    wider = replace(VISITS, columns=(*VISITS.columns[:3], ("note", "string"), *VISITS.columns[3:]))
    deliver(spark, lake, wider, "two", 40, "'n' as note")
    commit(
        lake,
        wider,
        Batch("three", {}),
        read(spark, lake, wider).where("name = 'c1'"),
        replace=Slice("name = 'c1'"),
    )
    found, expected = read(spark, lake, wider), by_delta(spark, lake.path(wider))
    assert by_files(spark, lake.path(wider))
    assert found.schema == expected.schema
    assert held(found) == held(expected)
    assert len(held(found)) == 80
    assert held(found.where("bucket = 1 and period = '2024-02'")) == held(
        expected.where("bucket = 1 and period = '2024-02'")
    )
    assert found.where("bucket = '1'").count() == expected.where("bucket = 1").count() > 0


def test_the_version_that_the_ledger_knows_is_read(lake: Lake, spark: SparkSession) -> None:
    deliver(spark, lake, VISITS, "one", 0)
    deliver(spark, lake, VISITS, "two", 40)
    table = open_delta(lake.path(VISITS), 1)
    frame = frame_of_files(spark, table, lake.path(VISITS))
    assert frame is not None
    assert frame.count() == 40
    assert read(spark, lake, VISITS).count() == 80


def test_a_table_without_rows(lake: Lake, spark: SparkSession) -> None:
    empty = spark.sql("select 'a' as name, timestamp'2024-02-01' as at, 1.00BD as paid").where("1 = 0")
    commit(lake, VISITS, Batch("one", {}), with_layout(empty, VISITS, 4, "all"))
    found = read(spark, lake, VISITS)
    assert (found.count(), found.schema) == (0, by_delta(spark, lake.path(VISITS)).schema)


@pytest.mark.parametrize("folder", ["a*b", "{a,b}", "it's ü"])
def test_odd_folders(lake: Lake, spark: SparkSession, tmp_path: Path, folder: str) -> None:
    lake = replace(lake, root=tmp_path / folder)
    deliver(spark, lake, VISITS, "one", 0)
    assert held(read(spark, lake, VISITS)) == held(by_delta(spark, lake.path(VISITS)))
    assert by_files(spark, lake.path(VISITS)) == (not set("*{") & set(folder))


def test_what_only_delta_can_read(lake: Lake, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(spark, lake, VISITS, "one", 0)
    folder = lake.path(VISITS)
    assert by_files(spark, folder)
    monkeypatch.setattr(plain_files, "_MOST_FILES", 1)
    assert not by_files(spark, folder)
    monkeypatch.undo()
    spark.sql(f"alter table delta.`{folder}` set tblproperties ('delta.enableDeletionVectors' = 'true')")
    spark.sql(f"delete from delta.`{folder}` where name = 'c1'")
    assert not by_files(spark, folder)
    parted = Table("gold", "parted", (("n", "int"), ("word", "string")), partitions=("word",))
    commit(lake, parted, Batch("one", {}), spark.sql("select 1 as n, 'x y' as word"))
    assert not by_files(spark, lake.path(parted))
    assert held(read(spark, lake, parted)) == [(1, "x y")]


@pytest.mark.parametrize("left", [0, 10, None])
def test_a_file_that_was_cut_or_is_gone_is_said_to_be(lake: Lake, spark: SparkSession, left: int | None) -> None:
    deliver(spark, lake, VISITS, "one", 0)
    name = next(logged_files(open_delta(lake.path(VISITS)))).name
    if left is None:
        remove(lake.path(VISITS) / name)
    else:
        with new_file(lake.path(VISITS) / name) as file:
            file.write(bytes(left))
    with pytest.raises(TidemillError) as caught:
        read(spark, lake, VISITS)
    assert (caught.value.code, caught.value.exit_code) == ("E_TABLE_DAMAGED", 65)
    assert name in caught.value.what
