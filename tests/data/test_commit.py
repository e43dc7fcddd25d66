"""The commit primitive: one batch is one commit, whatever ends the process in between."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tidemill.core.config import Layout
from tidemill.core.errors import TidemillError
from tidemill.core.failpoints import Crashed, armed
from tidemill.core.lease import lease
from tidemill.data import ledger, parquet_files
from tidemill.data.column_stats import ColumnStats, column_stats
from tidemill.data.commit import commit, derived_batch, ledgered, recover
from tidemill.data.layout import with_layout
from tidemill.data.parquet_files import Piece, Target, write_pieces
from tidemill.data.places import open_delta
from tidemill.data.read import layout_of, read, read_arrow, rows_of, version_of
from tidemill.data.schema import delta_schema
from tidemill.data.tables import Lake, Table
from tidemill.data.upkeep import remove_unneeded
from tidemill.data.worker_rows import WorkerRows
from tidemill.data.write import Batch, Slice, write_rows

HOME = Path(__file__).resolve().parents[2]
SOURCES = "".join((HOME / "lib/tidemill/data" / name).read_text("utf-8") for name in ("commit.py", "write.py"))
PLACES = sorted(set(re.findall(r'failpoint\(\s*"([^"]+)"', SOURCES)))
THINGS = Table("gold", "things", (("name", "string"), ("size", "bigint")))
ONE = Batch("one", {"files": {"a.csv": "11"}})
TWO = Batch("two", {"files": {"b.csv": "22"}})


def rows(*pairs: tuple[str, int]) -> pa.Table:
    return pa.table({"name": [name for name, _ in pairs], "size": pa.array([size for _, size in pairs], pa.int64())})


def held(lake: Lake, table: Table = THINGS) -> list[tuple[str, int]]:
    return sorted((row["name"], row["size"]) for row in read_arrow(lake, table).to_pylist())


def test_a_batch_is_committed_once(lake: Lake) -> None:
    first = commit(lake, THINGS, ONE, rows(("a", 1), ("b", 2)), counts={"read": 2})
    again = commit(changed(lake, run_id="run-2"), THINGS, ONE, rows(("a", 1), ("b", 2)), counts={"read": 2})
    assert (first.written, again.written) == (True, False)
    assert first.entry == again.entry
    assert (first.entry.version, first.entry.rows, first.entry.run_id, first.entry.counts) == (
        1,
        2,
        "run-1",
        {"read": 2},
    )
    assert first.entry.inputs == {"files": {"a.csv": "11"}}
    assert held(lake) == [("a", 1), ("b", 2)]
    assert DeltaTable(str(lake.path(THINGS))).version() == 1


def test_an_empty_batch_is_a_commit_too(lake: Lake) -> None:
    assert commit(lake, THINGS, ONE, rows()).entry.rows == 0
    assert not commit(lake, THINGS, ONE, rows()).written
    assert rows_of(lake, THINGS) == 0


def test_the_same_identity_with_other_inputs_is_refused(lake: Lake) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    with pytest.raises(TidemillError) as caught:
        commit(lake, THINGS, Batch("one", {"files": {"a.csv": "12"}}), rows(("a", 2)))
    assert (caught.value.code, caught.value.exit_code) == ("E_BATCH_CHANGED", 65)
    assert caught.value.where == "gold.things version 1"
    assert held(lake) == [("a", 1)]


def test_a_derived_batch_is_known_by_table_declaration_and_inputs() -> None:
    made = derived_batch(THINGS, {"upstream": ["x", "y"]})
    assert made == derived_batch(THINGS, {"upstream": ["x", "y"]})
    others = [
        derived_batch(THINGS, {"upstream": ["y", "x"]}),
        derived_batch(changed(THINGS, name="others"), {"upstream": ["x", "y"]}),
        derived_batch(changed(THINGS, declaration="v2"), {"upstream": ["x", "y"]}),
    ]
    assert len({made.batch_id, *(o.batch_id for o in others)}) == 4


def test_the_scan_finds_the_places_in_the_commit() -> None:
    assert PLACES == [
        "commit.after_ledger",
        "commit.after_write",
        "commit.before_ledger",
        "commit.before_write",
        "commit.created",
    ]


@pytest.mark.parametrize("at", ["", ":gold.things"], ids=["anywhere", "this_table"])
@pytest.mark.parametrize("place", PLACES)
def test_a_crash_anywhere_is_repaired_by_the_next_run(lake: Lake, place: str, at: str) -> None:
    with armed(place + at), pytest.raises(Crashed):
        commit(lake, THINGS, ONE, rows(("a", 1)))
    again = changed(lake, run_id="run-2")
    commit(again, THINGS, ONE, rows(("a", 1)))
    commit(again, THINGS, TWO, rows(("b", 2)))
    assert held(lake) == [("a", 1), ("b", 2)]
    entries = ledger.entries(lake.root, "gold.things")
    assert [(e.batch_id, e.version, e.rows) for e in entries] == [("one", 1, 1), ("two", 2, 1)]


def test_crashes_while_spark_replaces_rows_are_repaired(lake: Lake, spark: SparkSession) -> None:
    commit(lake, THINGS, ONE, rows(("a", -1), ("b", -1)))
    for number, place in enumerate(PLACES):
        if place == "commit.created":
            continue
        batch = Batch(place, {"number": number})
        frame = spark.sql(f"select 'a' as name, cast({number} as bigint) as size")
        with armed(place), pytest.raises(Crashed):
            commit(lake, THINGS, batch, frame, replace=Slice("name = 'a'"))
        done = commit(changed(lake, run_id="run-2"), THINGS, batch, frame, replace=Slice("name = 'a'"))
        assert (done.entry.rows, done.written) == (1, place == "commit.before_write")
        assert held(lake) == [("a", number), ("b", -1)]
    assert [e.batch_id for e in ledger.entries(lake.root, "gold.things")] == [
        "one",
        *(p for p in PLACES if "created" not in p),
    ]


def test_what_is_not_ledgered_is_not_read(lake: Lake, spark: SparkSession) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    with armed("commit.before_ledger"), pytest.raises(Crashed):
        commit(lake, THINGS, TWO, rows(("b", 2)))
    assert version_of(lake, THINGS) == 1
    assert held(lake) == [("a", 1)]
    assert read(spark, lake, THINGS).count() == 1
    assert rows_of(lake, THINGS) == 1


def test_a_commit_without_a_ledger_row_is_adopted_by_the_next_writer_of_another_batch(lake: Lake) -> None:
    with armed("commit.after_write"), pytest.raises(Crashed):
        commit(lake, THINGS, ONE, rows(("a", 1)), counts={"read": 7})
    assert ledger.entries(lake.root) == []
    commit(changed(lake, run_id="run-2"), THINGS, TWO, rows(("b", 2)))
    adopted = ledger.entries(lake.root)[0]
    assert (adopted.batch_id, adopted.run_id, adopted.version, adopted.rows) == ("one", "run-1", 1, 1)
    assert adopted.counts == {"read": 7}
    assert adopted.digest == ONE.digest


def test_a_foreign_write_is_refused_and_not_read(lake: Lake) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    write_deltalake(str(lake.path(THINGS)), rows(("x", 9)), mode="append")
    with pytest.raises(TidemillError) as caught:
        commit(lake, THINGS, TWO, rows(("b", 2)))
    assert (caught.value.code, caught.value.exit_code) == ("E_FOREIGN_WRITE", 65)
    assert "version 2" in caught.value.what
    assert held(lake) == [("a", 1)]


def test_what_a_foreign_write_is_told_to_do_helps(lake: Lake) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    write_deltalake(str(lake.path(THINGS)), rows(("x", 9)), mode="append")
    with pytest.raises(TidemillError, match="version 2") as caught:
        recover(lake, THINGS, open_delta(lake.path(THINGS)))
    assert "RESTORE the table to version 1" in caught.value.next_step
    DeltaTable(str(lake.path(THINGS))).restore(1)
    commit(lake, THINGS, TWO, rows(("b", 2)))
    assert held(lake) == [("a", 1), ("b", 2)]
    commit(lake, THINGS, Batch("three", {}), rows(("c", 3)))
    assert held(lake) == [("a", 1), ("b", 2), ("c", 3)]


def test_replaced_rows_make_way_and_others_stay(lake: Lake, spark: SparkSession) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1), ("a", 2), ("b", 3)))
    new = spark.sql("select 'a' as name, cast(7 as bigint) as size")
    done = commit(lake, THINGS, TWO, new, replace=Slice("name = 'a'"))
    assert held(lake) == [("a", 7), ("b", 3)]
    assert done.entry.rows == 1  # not the row that was only copied
    assert not commit(lake, THINGS, TWO, new, replace=Slice("name = 'a'")).written


def test_rows_without_a_jvm_are_only_added(lake: Lake) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    with pytest.raises(ValueError, match="Spark only"):
        commit(lake, THINGS, TWO, rows(("a", 7)), replace=Slice("name = 'a'"))
    assert held(lake) == [("a", 1)]


def test_rows_that_do_not_belong_into_the_replaced_slice_are_refused(lake: Lake, spark: SparkSession) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    stray = spark.sql("select 'b' as name, cast(7 as bigint) as size")
    with pytest.raises(Exception, match=r"replaceWhere|REPLACE_WHERE"):
        commit(lake, THINGS, TWO, stray, replace=Slice("name = 'a'"))
    assert held(lake) == [("a", 1)]
    assert [e.batch_id for e in ledger.entries(lake.root)] == ["one"]


def test_a_lost_answer_is_settled_by_the_log(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def loses_the_answer(*args: Any) -> None:
        write_rows(*args)
        raise OSError("connection reset")

    monkeypatch.setattr("tidemill.data.commit.write_rows", loses_the_answer)
    done = commit(lake, THINGS, ONE, rows(("a", 1)))
    assert done.written
    assert [e.batch_id for e in ledger.entries(lake.root)] == ["one"]
    assert held(lake) == [("a", 1)]


def test_a_failed_write_stays_an_error(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("tidemill.data.commit.write_rows", fails)
    with pytest.raises(OSError, match="no route"):
        commit(lake, THINGS, ONE, rows(("a", 1)))
    assert ledger.entries(lake.root) == []
    monkeypatch.undo()
    assert commit(lake, THINGS, ONE, rows(("a", 1))).written


def test_a_write_that_leaves_no_commit_is_a_bug(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.data.commit.write_rows", lambda *_: None)
    with pytest.raises(TidemillError) as caught:
        commit(lake, THINGS, ONE, rows(("a", 1)))
    assert (caught.value.code, caught.value.exit_code) == ("E_COMMIT_LOST", 70)


def test_a_table_keeps_its_declaration(lake: Lake) -> None:
    made = changed(THINGS, declaration="abc")
    commit(lake, made, ONE, rows(("a", 1)))
    with pytest.raises(TidemillError) as caught:
        commit(lake, changed(THINGS, declaration="abd"), TWO, rows(("b", 1)))
    assert (caught.value.code, caught.value.exit_code) == ("E_DECLARATION", 65)
    assert held(lake, made) == [("a", 1)]


def test_a_table_that_evolves_may_gain_a_column(lake: Lake, spark: SparkSession) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    wider = changed(THINGS, columns=(*THINGS.columns, ("weight", "double")), evolves=True)
    commit(lake, wider, TWO, spark.sql("select 'b' as name, cast(2 as bigint) as size, 0.5d as weight"))
    found = sorted(read_arrow(lake, wider).to_pylist(), key=lambda row: row["name"])
    assert [row["weight"] for row in found] == [None, 0.5]


def test_rows_that_workers_write_are_one_batch(lake: Lake, spark: SparkSession) -> None:
    def make(item: tuple[int, int]) -> Iterator[pa.RecordBatch]:
        for number in range(*item):
            yield pa.record_batch({"name": ["odd" if number % 2 else "even"], "size": pa.array([number], pa.int64())})

    def even(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.filter(pc.equal(batch["name"], "even"))

    parted = changed(THINGS, columns=(*THINGS.columns, ("batch_id", "string")), partitions=("batch_id",))
    made = WorkerRows(spark, [((0, 10), 1), ((10, 20), 1), ((21, 22), 1)], make, {"batch_id": ONE.batch_id}, even)
    with armed("commit.files_written"), pytest.raises(Crashed):
        commit(lake, parted, ONE, made)
    assert ledgered(lake, parted, ONE) is None  # files that no commit names are nothing
    entry = commit(lake, parted, ONE, made, counts={"asked": 3}).entry
    assert (entry.rows, entry.counts) == (10, {"asked": 3, "read": 21})
    assert not commit(lake, parted, ONE, made).written
    assert sorted(read_arrow(lake, parted)["size"].to_pylist()) == list(range(0, 20, 2))
    assert sorted(row["size"] for row in read(spark, lake, parted).toLocalIterator()) == list(range(0, 20, 2))
    assert rows_of(lake, parted) == 10
    assert remove_unneeded(lake, parted, 0).removed > 0  # what the crash left behind
    assert rows_of(lake, parted) == read(spark, lake, parted).count() == 10
    nothing = WorkerRows(spark, [((1, 2), 1)], make, {"batch_id": TWO.batch_id}, even)
    assert commit(lake, parted, TWO, nothing).entry.counts == {"read": 1}
    assert rows_of(lake, parted) == 10


def test_the_log_keeps_the_bounds_of_what_workers_wrote(lake: Lake, spark: SparkSession) -> None:
    columns = (("name", "string"), ("position", "bigint"), ("event_time", "timestamp"), ("batch_id", "string"))
    table = Table("bronze", "places", columns, partitions=("batch_id",))
    start = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)

    def make(first: int) -> Iterator[pa.RecordBatch]:
        times = pa.array([start, start + timedelta(microseconds=first)], pa.timestamp("us", "UTC"))
        numbers = pa.array([first, None], pa.int64())
        yield pa.record_batch({"name": ["a", None], "position": numbers, "event_time": times, "unknown": numbers})

    commit(lake, table, ONE, WorkerRows(spark, [(7, 1), (3, 1)], make, {"batch_id": "one"}))
    found = column_stats(lake, table)
    assert found["position"] == ColumnStats(rows=4, nulls=2, low=3, high=7)
    assert found["event_time"] == ColumnStats(rows=4, nulls=0, low=start, high=start + timedelta(microseconds=7))
    assert found["name"] == ColumnStats(rows=4, nulls=None, low=None, high=None)
    late = read(spark, lake, table).where(F.col("event_time") > F.lit(start + timedelta(microseconds=3)))
    assert late.count() == 1


@pytest.mark.parametrize("sizes", [[6], [2, 6], [6, 0], [2, 6, 0], [2, 6, 3], [0, 0], [0, 6, 6, 0]])
def test_batches_of_any_sizes_are_written_whole(
    lake: Lake, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    columns = (("position", "bigint"), ("batch_id", "string"))
    schema = delta_schema(columns[:1])
    target = Target(lake.path(THINGS), schema, ("position",))
    batches = [pa.record_batch({"position": pa.array(range(size), pa.int64())}, schema=schema) for size in sizes]
    monkeypatch.setattr(parquet_files, "_ROWS_OF_A_GROUP", 5)
    monkeypatch.setattr(parquet_files, "_LARGEST", 0)
    answers = list(write_pieces(target, [Piece({"batch_id": "one"}, batch, batch.num_rows) for batch in batches]))
    found = [row for answer in answers for row in answer.to_pylist()]
    assert sum(row["made"] for row in found) == sum(row["rows"] for row in found) == sum(sizes)
    written = [pq.read_table(lake.folder(THINGS) / row["path"]) for row in found if row["rows"]]
    assert sum(table.num_rows for table in written) == sum(sizes)
    assert all(json.loads(row["stats"])["maxValues"]["position"] == 5 for row in found if row["rows"] == 6)


def test_one_writer_at_a_time(lake: Lake) -> None:
    with lease(lake.root, "table-gold.things", owner="the other run"), pytest.raises(TidemillError) as caught:
        commit(lake, THINGS, ONE, rows(("a", 1)))
    assert (caught.value.code, caught.value.exit_code) == ("E_LEASE", 75)
    assert "the other run" in caught.value.what


def test_a_table_keeps_the_layout_it_was_made_with(lake: Lake, spark: SparkSession) -> None:
    table = Table(
        "silver",
        "visits",
        (("name", "string"), ("at", "timestamp"), ("period", "string"), ("bucket", "int")),
        partitions=("period", "bucket"),
        sort=("name", "at"),
        entity="name",
        time="at",
    )
    lake = changed(lake, layout=Layout(buckets=2, period="month"))
    assert layout_of(lake, table) == (2, "month")
    frame = spark.sql("select 'a' as name, timestamp'2024-02-29 23:59:59.999999' as at")
    commit(lake, table, ONE, with_layout(frame, table, *layout_of(lake, table)))
    other = changed(lake, layout=Layout(buckets=8, period="all"))
    assert layout_of(other, table) == (2, "month")
    made = DeltaTable(str(lake.path(table))).metadata()
    assert made.configuration == {
        "tidemill.buckets": "2",
        "tidemill.period": "month",
        "tidemill.declaration": "",
        "tidemill.entity": "name",
    }
    assert made.partition_columns == ["period", "bucket"]
    assert read_arrow(lake, table)["period"].to_pylist() == ["2024-02"]


def test_reading_what_was_never_written_says_so(lake: Lake) -> None:
    with pytest.raises(TidemillError) as caught:
        read_arrow(lake, THINGS)
    assert (caught.value.code, caught.value.exit_code) == ("E_NO_TABLE", 66)
    assert ledgered(lake, THINGS, ONE) is None


def test_the_ledger_is_in_the_order_of_commits(lake: Lake) -> None:
    others = changed(THINGS, name="others")
    commit(lake, others, ONE, rows(("x", 1)))
    commit(lake, THINGS, ONE, rows(("a", 1)))
    commit(lake, others, TWO, rows(("y", 1)))
    found = [(e.table, e.batch_id, e.version) for e in ledger.entries(lake.root)]
    assert found == [("gold.others", "one", 1), ("gold.things", "one", 1), ("gold.others", "two", 2)]
    assert [e.batch_id for e in ledger.entries(lake.root, "gold.others")] == ["one", "two"]
