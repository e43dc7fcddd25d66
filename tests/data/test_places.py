"""Where tables may lie, who says so, and what is said of a store that is away."""

from __future__ import annotations

from pathlib import Path

import pytest
from tidemill.core.errors import TidemillError
from tidemill.data.places import StorePath, parse_store, place_at, spark_address, spark_jars
from tidemill.data.root_tables import place_of_tables, settle_tables, tables_of
from tidemill.data.store_faults import store_fault
from tidemill.data.tables import Lake, Table

THINGS = Table("gold", "things", (("name", "string"),))
BUCKET = StorePath("s3://bucket/tables")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("hdfs://head/tables", "begins with one of s3://, gs://, abfss://"),
        ("/mnt/tables", "below the root"),
        ("s3a://bucket/tables", "begins with one of s3://"),
        ("s3://", "names no bucket"),
        ("s3:///tables", "names no bucket"),
        ("s3://key:secret@bucket/tables", "credentials"),
        ("s3://key@bucket/tables", "credentials"),
        ("s3://bucket/tables?endpoint_override=elsewhere", "a plain path"),
        ("s3://bucket/a%20b", "a plain path"),
        ("s3://bucket//tables", "a plain path"),
    ],
)
def test_where_tables_cannot_lie(address: str, said: str) -> None:
    with pytest.raises(TidemillError) as caught:
        parse_store(address, "here")
    assert (caught.value.code, caught.value.exit_code, caught.value.where) == ("E_TABLES", 78, "here")
    assert said in caught.value.what
    assert "secret" not in caught.value.lines()


def test_a_place_is_the_same_for_every_client() -> None:
    made = parse_store("s3://bucket/tables/", "here") / "gold" / "things"
    assert str(made) == "s3://bucket/tables/gold/things"
    assert spark_address(made) == "s3a://bucket/tables/gold/things"
    assert place_at(str(made)) == made
    assert parse_store("abfss://box@account.dfs.core.windows.net/tables", "here").address.startswith("abfss://box@")
    assert (spark_jars(made), spark_jars(Path("/var/lake"))) == ("jars-s3.lock", None)
    assert place_at("/var/lake") == Path("/var/lake")
    assert spark_address(Path("/var/lake")) == "/var/lake"


def test_a_root_has_its_tables_below_it_unless_it_says_otherwise(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "reader")
    assert tables_of(tmp_path) == tmp_path / "lake"
    assert lake.path(THINGS) == lake.folder(THINGS) == tmp_path / "lake" / "gold" / "things"
    settle_tables(tmp_path, "", owner="me")
    assert list(tmp_path.iterdir()) == []
    assert place_of_tables(tmp_path, "s3://bucket/tables") == BUCKET
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "address").write_text("s3://bucket/tables\n", encoding="utf-8")
    assert place_of_tables(tmp_path, "") == BUCKET
    assert lake.path(THINGS) == BUCKET / "gold" / "things"
    assert lake.folder(THINGS) == tmp_path / "lake" / "gold" / "things"


@pytest.mark.parametrize("there", ["lake/address", "lake/ops/ledger/_delta_log/0.json"])
def test_a_root_keeps_its_tables_where_they_are(tmp_path: Path, there: str) -> None:
    (tmp_path / there).parent.mkdir(parents=True)
    (tmp_path / there).write_text("s3://bucket/tables\n", encoding="utf-8")
    with pytest.raises(TidemillError) as caught:
        settle_tables(tmp_path, "s3://other/tables", owner="me")
    assert (caught.value.code, caught.value.exit_code) == ("E_TABLES_MOVED", 78)


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        ("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7", "E_STORE", 75),
        ("after 10 retries - HTTP error: error sending request: Connection refused (os error 111)", "E_STORE", 75),
        ("Server returned non-2xx status code: 503 Service Unavailable: <Error><Code>SlowDown</Code>", "E_STORE", 75),
        ("java.net.ConnectException: Connection refused", "E_STORE", 75),
        ("404 Not Found: <Error><Code>NoSuchBucket</Code>", "E_STORE_DENIED", 78),
        ("org.apache.hadoop.fs.s3a.UnknownStoreException: `s3a://bucket/': ", "E_STORE_DENIED", 78),
        ("PUT http://169.254.169.254/latest/api/token", "E_STORE_DENIED", 78),
        ("AWS Error ACCESS_DENIED during PutObject operation: Access Denied", "E_STORE_DENIED", 78),
        ("ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found", "E_STORE_CLIENT", 78),
    ],
)
def test_what_clients_say_of_a_store(words: str, code: str, exit_code: int) -> None:
    found = store_fault(OSError(f"{words} <HostId>not for everyone</HostId>"), BUCKET / "gold" / "things")
    assert found is not None
    assert (found.code, found.exit_code, found.where) == (code, exit_code, "s3://bucket/tables/gold/things")
    assert "not for everyone" not in found.lines()
    assert store_fault(OSError(words), Path("/var/lake")) is None
    assert store_fault(OSError("Parquet magic bytes not found in footer"), BUCKET) is None
