"""Pins: files that a model was trained on outlive compaction and VACUUM, and are read without the table's log."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tidemill.core.errors import TidemillError
from tidemill.data import ledger
from tidemill.data.commit import commit
from tidemill.data.layout import with_layout
from tidemill.data.pins import frame_of_pin, pin, pinned_files, pins, read_pin
from tidemill.data.places import arrow_paths, new_file, open_delta, remove, sizes_of
from tidemill.data.plain_files import logged_files
from tidemill.data.read import read_arrow
from tidemill.data.tables import Lake, Table
from tidemill.data.upkeep import Removed, compact, crowded_partitions, remove_unneeded
from tidemill.data.write import Batch

VISITS = Table(
    "gold",
    "visits",
    (
        ("name", "string"),
        ("at", "timestamp"),
        ("size", "double"),
        ("note", "string"),
        ("period", "string"),
        ("bucket", "int"),
    ),
    partitions=("period", "bucket"),
    sort=("at", "name"),
    entity="name",
    time="at",
)
Write = Callable[..., None]


@pytest.fixture
def write(lake: Lake, spark: SparkSession) -> Write:
    def commit_rows(name: str, *values: tuple[str, int, float | None]) -> None:
        rows = [(who, datetime(2024, 1, day, tzinfo=UTC), size, None) for who, day, size in values]
        frame = spark.createDataFrame(rows, "name string, at timestamp, size double, note string")
        commit(lake, VISITS, Batch(name, {"batch": name}), with_layout(frame, VISITS, 2, "all"))

    return commit_rows


def held(rows: Any) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[name] for name in VISITS.names) for row in rows.to_pylist())


def test_a_pin_outlives_compaction_and_vacuum(lake: Lake, write: Write, spark: SparkSession) -> None:
    for number in range(3):
        write(f"b{number}", ("a", 1 + number, 1.5), ("b", 2 + number, None), ("c", 3 + number, float("inf")))
    before = held(read_arrow(lake, VISITS))
    made = pin(lake, VISITS, "set-1")
    assert made is not None
    assert (made.label, made.version, made.buckets, made.period) == ("gold.visits", 3, 4, "all")
    assert sum(file.rows for file in made.files) == 9
    compact(spark, lake, VISITS, crowded_partitions(lake, VISITS, 1))
    write("b3", ("d", 9, 2.0))
    assert remove_unneeded(lake, VISITS, 0) == Removed(0, len(made.files))
    assert held(read_pin(lake.root, made)) == before
    assert len(held(read_arrow(lake, VISITS))) == 10
    files, (log,) = arrow_paths([lake.path(VISITS) / "_delta_log"])
    files.delete_dir(log)  # what a log forgets a manifest still knows
    assert held(read_pin(lake.root, pins(lake.root, "set-1")[0])) == before
    frame = frame_of_pin(spark, lake.root, made)
    assert frame.columns == ["name", "at", "size", "note"]  # not the columns that make folders
    assert sorted(tuple(row.values()) for row in frame.toArrow().to_pylist()) == sorted(row[:4] for row in before)


def test_what_nothing_pins_is_removed_and_the_next_commit_goes_on(
    lake: Lake, write: Write, spark: SparkSession
) -> None:
    for number in range(3):
        write(f"b{number}", ("a", 1 + number, 1.5))
    old = [lake.path(VISITS) / file.name for file in logged_files(open_delta(lake.path(VISITS)))]
    compact(spark, lake, VISITS, crowded_partitions(lake, VISITS, 1))
    assert remove_unneeded(lake, VISITS, 0) == Removed(3, 0)
    assert sizes_of(old) == [None] * 3
    write("b3", ("a", 9, 2.0))  # Delta's own VACUUM would have left commits that are refused as foreign
    assert [e.batch_id for e in ledger.entries(lake.root, "gold.visits")][-1] == "b3"
    assert [row[2] for row in held(read_arrow(lake, VISITS))] == [1.5, 1.5, 1.5, 2.0]


def test_a_pin_is_made_once(lake: Lake, write: Write) -> None:
    assert pin(lake, VISITS, "set-1") is None
    write("b0", ("a", 1, 1.0))
    first = pin(lake, VISITS, "set-1")
    write("b1", ("a", 2, 1.0))
    assert pin(lake, VISITS, "set-1") == first
    second = pin(lake, VISITS, "set-2")
    assert first is not None
    assert second is not None
    assert (len(first.files), len(second.files)) == (1, 2)
    assert pinned_files(lake.root, "gold.visits") == {file.path for file in second.files}
    assert pinned_files(lake.root, "gold.others") == frozenset()


def test_some_partitions_can_be_pinned(lake: Lake, write: Write) -> None:
    write("b0", ("a", 1, 1.0), ("b", 1, 2.0), ("c", 1, 3.0), ("d", 1, 4.0))
    rows = read_arrow(lake, VISITS).to_pylist()
    bucket = rows[0]["bucket"]
    made = pin(lake, VISITS, "some", {"bucket": str(bucket)})
    assert made is not None
    assert {row["name"] for row in read_pin(lake.root, made).to_pylist()} == {
        row["name"] for row in rows if row["bucket"] == bucket
    }
    assert 0 < len(made.files) < 4


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_a_pinned_file_that_is_harmed_is_named(lake: Lake, write: Write, harm: str) -> None:
    write("b0", ("a", 1, 1.0))
    made = pin(lake, VISITS, "set-1")
    assert made is not None
    place = lake.path(VISITS) / made.files[0].path
    if harm == "gone":
        remove(place)
    else:
        with new_file(place) as file:
            file.write(b"x")
    with pytest.raises(TidemillError) as caught:
        read_pin(lake.root, made)
    assert (caught.value.code, caught.value.exit_code) == ("E_PIN", 65)
    assert made.files[0].path in caught.value.where
