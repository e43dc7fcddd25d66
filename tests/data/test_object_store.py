"""The promises of other modules where tables lie in an S3, by their own tests; and what only a store can do wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import test_commit
import test_faults
import test_pins
import test_plain_files
from deltalake import write_deltalake
from servers.s3 import loses_an_answer
from test_commit import ONE, THINGS, TWO, held, rows
from tidemill.core.errors import TidemillError
from tidemill.data import ledger
from tidemill.data.commit import commit
from tidemill.data.located import table_at
from tidemill.data.places import StorePath, open_delta, spark_address
from tidemill.data.plain_files import logged_files
from tidemill.data.read import read_arrow
from tidemill.data.root_tables import settle_tables, tables_of, try_store
from tidemill.data.tables import Lake
from tidemill.data.write import Batch

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession
    from servers.s3 import S3

SAME = (
    test_commit.test_a_batch_is_committed_once,
    test_commit.test_a_crash_anywhere_is_repaired_by_the_next_run,
    test_commit.test_a_foreign_write_is_refused_and_not_read,
    test_commit.test_a_lost_answer_is_settled_by_the_log,
    test_commit.test_replaced_rows_make_way_and_others_stay,
    test_commit.test_rows_that_workers_write_are_one_batch,
    test_faults.test_four_processes_with_the_same_batch_make_one_commit,
    test_pins.test_a_pin_outlives_compaction_and_vacuum,
    test_pins.test_a_pinned_file_that_is_harmed_is_named,
    test_plain_files.test_a_file_that_was_cut_or_is_gone_is_said_to_be,
    test_plain_files.test_rows_columns_and_types_are_those_of_delta,
)
pytestmark = pytest.mark.usefixtures("spark_on_s3")
# They are collected here, too, where they find the fixtures of this module.
globals().update({test.__name__: test for test in SAME}, write=test_pins.write)


@pytest.fixture
def tmp_path(tmp_path: Path, bucket: str) -> Path:
    """A folder that is a root, and may hold one, with tables in the bucket."""
    settle_tables(tmp_path, f"s3://{bucket}/outer", owner="tests")
    settle_tables(tmp_path / "var", f"s3://{bucket}/tables", owner="tests")
    return tmp_path


def test_a_root_finds_its_tables_and_only_the_ledger_lies_below_it(lake: Lake, s3: S3, bucket: str) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    settle_tables(lake.root, "", owner="a later run")
    settle_tables(lake.root, f"s3://{bucket}/tables/", owner="a later run")
    assert tables_of(lake.root) == StorePath(f"s3://{bucket}/tables")
    assert {key.rpartition("/")[0] for key in s3.keys(bucket)} == {
        "tables/gold/things",
        "tables/gold/things/_delta_log",
    }
    assert sorted(path.name for path in (lake.root / "lake").iterdir()) == ["address", "ops"]
    try_store(StorePath(f"s3://{bucket}/tables"))
    assert held(Lake(lake.root, "reader")) == [("a", 1)]


def test_two_who_write_without_a_lease_do_not_lose_a_commit(lake: Lake) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    path = lake.path(THINGS)
    mine, theirs = open_delta(path), open_delta(path)  # both at version 1
    for table, name in ((mine, "b"), (theirs, "c")):
        write_deltalake(table, rows((name, 2)), mode="append")
    assert open_delta(path).version() == 3
    assert open_delta(path).to_pyarrow_table().num_rows == 3


def test_a_log_with_checkpoints_is_read_alike(lake: Lake, spark: SparkSession, s3: S3, bucket: str) -> None:
    for number in range(11):
        commit(lake, THINGS, Batch(f"batch {number}", {}), rows(("a", number)))
    assert any(key.endswith(".checkpoint.parquet") for key in s3.keys(bucket))
    path = lake.path(THINGS)
    by_delta = spark.read.format("delta").load(spark_address(path))
    assert sorted(row["size"] for row in by_delta.toLocalIterator()) == list(range(11))
    assert held(lake) == [("a", number) for number in range(11)]
    assert [e.version for e in ledger.entries(lake.root, THINGS.label)] == list(range(1, 12))
    assert [file.rows for file in logged_files(open_delta(path, 3))] == [1, 1, 1]


def test_who_knows_the_address_alone_finds_the_lake(lake: Lake, bucket: str) -> None:
    parted = replace(THINGS, columns=(*THINGS.columns, ("bucket", "int")), partitions=("bucket",), entity="name")
    commit(lake, parted, ONE, rows(("a", 1)).append_column("bucket", [[0]]))
    address = spark_address(lake.path(parted))
    assert address == f"s3a://{bucket}/tables/gold/things"
    located = table_at(f"{address}/", "size")
    assert located is not None
    assert (located[0].root, located[1].label, located[1].entity) == (lake.root, "gold.things", "name")
    assert (table_at(f"s3a://{bucket}/tables/gold/others", "size"), table_at("s3a://nobody/x", "size")) == (None, None)


def test_an_answer_that_is_lost_on_its_way_makes_no_second_commit(
    lake: Lake, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    with loses_an_answer(s3, "things/_delta_log/00000000000000000002.json") as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", way)
        done = commit(lake, THINGS, TWO, rows(("b", 2)))  # the client asks again, and is told that the entry is there
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.variables["AWS_ENDPOINT_URL"])
    assert (done.written, done.entry.version, open_delta(lake.path(THINGS)).version()) == (True, 2, 2)
    assert held(lake) == [("a", 1), ("b", 2)]


def test_a_store_that_is_away_has_damaged_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(lake, THINGS, ONE, rows(("a", 1)))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # where nobody listens
    for asked in (lambda: read_arrow(lake, THINGS), lambda: settle_tables(lake.root, "", owner="me")):
        with pytest.raises(TidemillError) as caught:
            asked()
        assert (caught.value.code, caught.value.exit_code) == ("E_STORE", 75)
    monkeypatch.undo()
    assert ledger.entries(lake.root)[0].batch_id == "one"


def test_a_bucket_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TidemillError) as caught:
        settle_tables(tmp_path / "new", "s3://no-such-bucket/tables", owner="me")
    assert (caught.value.code, caught.value.exit_code) == ("E_STORE_DENIED", 78)
    assert caught.value.where == "s3://no-such-bucket/tables"
    assert not (tmp_path / "new" / "lake").exists()
