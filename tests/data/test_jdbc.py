"""Tables of a real PostgreSQL to bronze and silver: nothing lost, nothing doubled, while they grow."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest
from data_shops import land_contract, rejected, run, silver
from tidemill.core.errors import TidemillError
from tidemill.data.credentials import resolve

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shop
    from servers.postgres import Postgres

SERVER = """\
  - server: database
    type: postgres
    format: jdbc
    customProperties:
      - {{property: url, value: "{url}"}}
      - {{property: table, value: {table}}}
      - {{property: cutoff, value: changed}}
      - {{property: user, value: {user}}}
      - {{property: password, value: "env:TIDEMILL_TEST_PASSWORD"}}
      - {{property: overlap, value: 10 seconds}}
"""


def database_shop(
    folder: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, **changed: str
) -> tuple[Shop, str]:
    table = f"t{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("TIDEMILL_TEST_PASSWORD", postgres.password)
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        connection.execute(
            f"create table {table} (id bigint primary key, amount numeric, ts timestamptz not null, name text,"
            " active boolean, changed timestamptz)"
        )
    shop = land_contract(folder, "csv")
    path = shop.repo / "contracts" / "shop" / "orders.yaml"
    text = path.read_text("utf-8")
    old = '  - {server: landing, type: local, path: "{root}/landing/readings", format: csv}\n'
    assert old in text
    server = SERVER.format(**{"url": postgres.jdbc_url, "table": table, "user": postgres.user, **changed})
    path.write_text(text.replace(old, server), encoding="utf-8")
    use_case = shop.repo / "shop.py"
    keyed = use_case.read_text("utf-8").replace('event_time="ts"', 'event_time="ts", key=("id",)')
    use_case.write_text(keyed, encoding="utf-8")
    return shop, table


def insert(postgres: Postgres, table: str, *rows: str) -> None:
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        for row in rows:
            connection.execute(f"insert into {table} values ({row})")


def test_a_table_is_read_up_to_one_moment_and_then_what_is_new(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, spark: object
) -> None:
    shop, table = database_shop(tmp_path, postgres, monkeypatch)
    insert(
        postgres,
        table,
        "1, 1.5, '2024-01-01 02:00+02', 'ann', true, '2024-01-05'",
        "2, 'NaN', '2024-01-02', 'bob', false, '2024-01-06'",
        "3, 12345678901234567890, '2024-01-03', 'cyd', null, null",
        "4, 0.5, '10000-01-01', 'dan', true, '2024-01-06'",
    )
    assert run(shop, "ingest refine")["counts"] == {"read": 4, "accepted": 2, "quarantined": 2, "duplicates": 0}
    assert [row[2] for row in rejected(shop)] == [["NON_FINITE:amount"], ["TS_RANGE:ts"]]
    assert [(i, a, f"{t:%d %H:%M}") for i, a, t in silver(shop, "id", "amount", "event_time")] == [
        (1, 1.5, "01 00:00"),
        (3, 12345678901234567890.0, "03 00:00"),
    ]
    again = run(shop, "ingest refine")
    assert again["status"] == "skipped"
    insert(postgres, table, "5, 2.5, '2024-01-07', 'eve', true, '2024-01-07'")
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        connection.execute(f"update {table} set amount = 7, ts = '2024-01-08', changed = '2024-01-08' where id = 1")
    run(shop, "ingest refine")
    assert [row[:2] for row in silver(shop, "id", "amount")] == [
        (1, 1.5),
        (1, 7.0),
        (3, 1.2345678901234567e19),
        (5, 2.5),
    ]
    assert postgres.password not in "".join(p.read_text("utf-8") for p in (shop.root / "runs").rglob("*.json"))


def test_a_table_that_grows_while_it_is_read(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, spark: object
) -> None:
    shop, table = database_shop(tmp_path, postgres, monkeypatch)
    stop = threading.Event()
    written = 0

    def grow() -> None:
        nonlocal written
        with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute(
                    f"insert into {table} select n, n, '2024-01-01', 'n', true, clock_timestamp()"
                    f" from generate_series({written}, {written + 49}) n"
                )
                written += 50
                time.sleep(0.1)  # what takes long on a slow machine must not become more by that

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        for _ in range(3):
            run(shop, "ingest refine")
    finally:
        stop.set()
        writer.join()
    run(shop, "ingest refine")
    assert [row[0] for row in silver(shop, "id")] == list(range(written))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"table": "a; drop table b"}, "no plain name"),
        ({"table": "a b"}, "no plain name"),
        ({"url": "jdbc:postgresql://host/db?password=x"}, "without secrets"),
        ({"url": "postgresql://host/db"}, "not of the form"),
    ],
)
def test_nothing_of_a_contract_becomes_sql_unchecked(  # row 88
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], what: str
) -> None:
    shop, _ = database_shop(tmp_path, postgres, monkeypatch, **changed)
    error = run(shop, "ingest", code=78)["error"]
    assert error["code"] == "E_CONTRACT"
    assert what in error["what"]


def test_a_database_that_is_away_or_refuses(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, spark: object
) -> None:
    shop, _ = database_shop(tmp_path, postgres, monkeypatch)
    monkeypatch.setenv("TIDEMILL_TEST_PASSWORD", "wrong")
    assert run(shop, "ingest", code=69)["error"]["code"] == "E_DATABASE"
    monkeypatch.delenv("TIDEMILL_TEST_PASSWORD")
    assert run(shop, "ingest", code=78)["error"]["code"] == "E_CREDENTIALS"


def test_a_secret_is_named_and_never_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "one")
    (tmp_path / "secret").write_text("two\n", encoding="utf-8")
    assert resolve("env:A_SECRET", "here") == "one"
    assert resolve(f"file:{tmp_path / 'secret'}", "here") == "two"
    for reference in ("hunter2", "env:", "env:NOT_SET_ANYWHERE", "file:/nowhere/at/all", "vault:x"):
        with pytest.raises(TidemillError) as caught:
            resolve(reference, "here")
        assert (caught.value.code, caught.value.exit_code, caught.value.where) == ("E_CREDENTIALS", 78, "here")
        assert "hunter2" not in caught.value.lines()
