"""The engine on real stores: what Feast's own API answers is gold, whatever was loaded before and whatever ended it."""

from __future__ import annotations

import importlib
import math
import os
import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from feast import Entity as FeastEntity
from feast import FeatureStore, Field
from feast import FeatureView as FeastView
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.table_format import DeltaFormat
from feast.types import Bool, Bytes, Float32, Float64, Int32, Int64, String, UnixTimestamp
from feast.value_type import ValueType
from tidemill.core.config import Layout
from tidemill.core.errors import TidemillError
from tidemill.core.quiet import quiet
from tidemill.data.buckets import bucket_files
from tidemill.data.commit import commit
from tidemill.data.layout import with_layout
from tidemill.data.read import layout_of
from tidemill.data.tables import Lake
from tidemill.data.write import Batch, Slice
from tidemill.declare import Aggregate, Entity, FeatureView, Recency, Source, days
from tidemill.features import feast_store
from tidemill.features.feast_objects import feast_objects
from tidemill.features.online import load
from tidemill.features.online.newest import newest_batches
from tidemill.features.online.view import Window
from tidemill.features.parity import Parity, compare, compare_all, newest_gold
from tidemill.features.tables import view_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

CUSTOMER = Entity("customer")
VIEW = FeatureView(
    "seen",
    1,
    CUSTOMER,
    Source("orders", "o.yaml", CUSTOMER),
    (Recency(), Aggregate("sum", "amount"), Aggregate("last_text", "city")),
    cadence=days(1),
    ttl=days(2),
    delay=timedelta(hours=1),
)
NAMES = [f.name for f in VIEW.columns]
MADE = datetime(2024, 6, 1, tzinfo=UTC)
STORES = ("sqlite", "redis", "postgres")


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


Row = tuple[str, datetime, float | None, float | None, str | None, datetime]


def row(key: str, at: int, value: float | None, text: str | None = "x", made: datetime = MADE) -> Row:
    return key, day(at), value, None if value is None else -value, text, made


@dataclass
class Place:
    """A lake with one gold table, and the Feast store over it."""

    spark: SparkSession
    lake: Lake
    store: FeatureStore
    kind: str
    batches: int = 0

    def gold(self, *rows: Row, replacing: datetime | None = None) -> None:
        """Commits gold rows."""
        table = view_table(VIEW)
        kinds = ["customer string", "event_timestamp timestamp", *(f"{f.name} {f.type}" for f in VIEW.columns)]
        frame = self.spark.createDataFrame(list(rows), ", ".join([*kinds, "created_timestamp timestamp"]))
        frame = frame.selectExpr("*", f"'{self.batches}' as batch_id")
        predicate = None if replacing is None else Slice(f"event_timestamp = timestamp'{replacing.isoformat()}'")
        self.batches += 1
        laid = with_layout(frame, table, *layout_of(self.lake, table))
        commit(self.lake, table, Batch(str(self.batches), {"n": self.batches}), laid, replace=predicate)

    def materialize(self, at: datetime) -> load.Loaded:
        return feast_store.materialize(self.store, [VIEW], at + VIEW.delay)[0]

    def online(self, *keys: str) -> list[tuple[Any, ...]]:
        """What Feast answers: the three features of each key."""
        rows = feast_store.online_rows(self.store, "shop", "customer", keys)
        return [tuple(found[name] for name in NAMES) for found in rows]

    def parity(self, at: datetime) -> list[Parity]:
        """All keys of gold, through Feast."""
        gold = newest_gold(self.spark, self.lake, VIEW, at + VIEW.delay)

        def online(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return feast_store.online_rows(self.store, "shop", "customer", [r["customer"] for r in rows], times=True)

        return compare_all((r.asDict() for r in gold.toLocalIterator()), online, NAMES)


def online_section(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """The section `online_store` of one kind, with its server running."""
    if kind == "sqlite":
        return f"{{type: sqlite, path: {folder}/online.db}}"
    server = request.getfixturevalue(kind)
    if kind == "redis":
        return f'{{type: redis, connection_string: "{server.connection_string}"}}'
    return (
        f"{{type: postgres, host: 127.0.0.1, port: {server.port}, database: {server.database}, user: {server.user},"
        f" password: {server.password}, db_schema: public, sslmode: disable}}"
    )


def store_yaml(
    folder: Path, project: str, online: str, engine: str = "tidemill.features.feast_engine.OnlineEngine"
) -> Path:
    path = folder / f"{project}.yaml"
    path.write_text(
        f"project: {project}\nprovider: local\n"
        f"registry: {{registry_type: sql, path: 'sqlite:///{folder}/{project}.registry'}}\n"
        f"online_store: {online}\noffline_store: {{type: spark}}\nbatch_engine: {{type: {engine}}}\n"
        "entity_key_serialization_version: 3\n",
        "utf-8",
    )
    return path


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(kind: str, tmp_path: Path, spark: SparkSession, request: pytest.FixtureRequest) -> Iterator[Place]:
    lake = Lake(tmp_path, "run-1", Layout(buckets=4, period="month" if kind == "redis" else "all"))
    yaml = store_yaml(tmp_path, f"p{abs(hash(request.node.name)) % 10**8}", online_section(kind, tmp_path, request))
    store = feast_store.open_store(yaml, tmp_path)
    feast_store.apply_objects(store, feast_objects("shop", "", [VIEW], lake), tmp_path)
    yield Place(spark, lake, store, kind)
    if kind == "postgres":  # Feast leaves it to the end of the process
        store._get_provider().online_store._conn.close()


def all_equal(entities: int) -> list[Parity]:
    return [Parity(name, entities, entities) for name in NAMES]


def test_every_key_is_served_what_gold_has(place: Place) -> None:
    inf = math.inf
    rows = [row(f"c{n:03}", 10, n / 7 - 3) for n in range(300)]
    rows += [row("ключ\U0001f511", 10, 1e300, "žluťoučký \0 kůň"), row("", 10, None, None), row("'\"*?[", 9, inf, "")]
    rows += [row("nan", 10, math.nan), row("twice", 9, 1.0), row("twice", 10, 2.0), row("zero", 10, -0.0)]
    place.gold(*rows)
    place.gold(row("later", 11, 1.0), row("twice", 11, 3.0))
    done = place.materialize(day(10))
    assert (done.path, done.written, done.removed) == ("files", 306, 0)
    assert place.parity(day(10)) == all_equal(306)
    assert place.online("c007", "twice", "", "ключ\U0001f511", "'\"*?[", "later", "nobody") == [
        (-2.0, 2.0, "x"),
        (2.0, -2.0, "x"),
        (None, None, None),
        (1e300, -1e300, "žluťoučký \0 kůň"),
        (inf, -inf, ""),
        (None, None, None),
        (None, None, None),
    ]
    assert math.isnan(place.online("nan")[0][0])


def test_an_older_run_after_a_newer_one_changes_nothing(place: Place) -> None:
    place.gold(row("a", 10, 1.0), row("b", 10, 1.0), row("a", 11, 2.0))
    place.materialize(day(11))
    done = place.materialize(day(10))
    assert place.online("a", "b") == [(2.0, -2.0, "x"), (1.0, -1.0, "x")]
    assert (done.written, done.removed) == (1, 0)
    assert place.materialize(day(11)).written == 2
    assert place.parity(day(11)) == all_equal(2)


def test_a_row_that_was_built_again_is_loaded_and_its_predecessor_is_not(place: Place) -> None:
    place.gold(row("a", 10, 1.0), row("b", 10, 1.0))
    place.materialize(day(10))
    place.gold(row("a", 10, 5.0, "late", MADE + timedelta(seconds=1)), row("b", 10, 1.0), replacing=day(10))
    place.materialize(day(10))
    assert place.online("a", "b") == [(5.0, -5.0, "late"), (1.0, -1.0, "x")]
    place.gold(row("a", 10, 1.0), replacing=day(10))
    assert place.materialize(day(10)).written == 0
    assert place.online("a") == [(5.0, -5.0, "late")]


def test_what_is_older_than_the_ttl_is_taken_out(place: Place) -> None:
    place.gold(row("gone", 10, 1.0), row("kept", 10, 1.0), row("kept", 12, 2.0), row("young", 11, 3.0))
    assert place.materialize(day(11)).removed == 0
    assert place.online("gone") == [(1.0, -1.0, "x")]
    # As old as the ttl is not too old, in training neither.
    assert place.materialize(day(12)).removed == 0
    assert place.online("gone") == [(1.0, -1.0, "x")]
    done = place.materialize(day(13))
    assert (done.written, done.removed) == (2, 1)
    assert place.online("gone", "kept", "young") == [(None, None, None), (2.0, -2.0, "x"), (3.0, -3.0, "x")]
    assert place.materialize(day(13)).removed == 0


def test_an_empty_window_loads_nothing_and_takes_out_the_rest(place: Place) -> None:
    place.gold(row("a", 10, 1.0))
    assert place.materialize(day(5)).written == 0
    assert place.materialize(day(10)).written == 1
    done = place.materialize(day(25))
    assert (done.written, done.removed, place.online("a")) == (0, 1, [(None, None, None)])


KILLED = """
import importlib, pickle, sys
module, batches, view, place = pickle.load(sys.stdin.buffer)
writer = importlib.import_module(module)
writer._ENTITIES_OF_A_CHUNK = 4
for written in writer.write(batches, view, place):
    pass
"""


def test_killed_half_way_the_same_call_completes_the_work(place: Place) -> None:
    keys = [f"c{n:02}" for n in range(20)]
    place.gold(*[row(key, 10, 1.0) for key in keys])
    engine = place.store._get_provider().batch_engine
    with quiet():
        feature_view = place.store.get_feature_view("seen_v1")
    view = engine._online_view(place.store.registry, place.store.project, feature_view)
    ours = load.gold_table_at(feature_view.batch_source.path, view)
    assert ours is not None
    schema = load.arrow_schema(*ours)
    batches = [
        batch
        for bucket in bucket_files(*ours)
        for batch in newest_batches(bucket, schema, view, Window(day(8), day(10)))
    ]
    module = f"tidemill.features.online.{place.kind}"
    given = pickle.dumps((module, batches, view, engine._place(feature_view, view, "local[2]")))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED],
        input=given,
        env=os.environ | {"TIDEMILL_FAILPOINT": "online.chunk:2"},
        check=False,
    )
    assert killed.returncode == -9
    assert 4 <= sum(found != (None, None, None) for found in place.online(*keys)) < 20
    assert place.materialize(day(10)).written == 20
    assert place.parity(day(10)) == all_equal(20)


@pytest.mark.parametrize("kind", ["sqlite", "redis"], indirect=True)
def test_plain_spark_loads_the_same(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(f"c{n % 40:02}", 6 + n % 5, n / 3, made=MADE + timedelta(seconds=n)) for n in range(200)]
    place.gold(*rows)
    monkeypatch.setattr(load, "why_not_by_files", lambda *_: "made so by the test")
    done = place.materialize(day(9))
    naive = {key: value for key, at, value, *_ in sorted(rows, key=lambda r: (r[1], r[5])) if day(7) <= at <= day(9)}
    assert (done.path, done.written) == ("made so by the test", len(naive))
    assert {key: place.online(key)[0][0] for key in naive} == naive


@pytest.mark.parametrize("kind", ["redis"], indirect=True)
def test_a_project_whose_name_ends_another_ones_is_left_alone(place: Place, tmp_path: Path, request: Any) -> None:
    place.gold(row("a", 10, 1.0))
    other = store_yaml(tmp_path, f"x{place.store.project}", online_section("redis", tmp_path, request))
    longer = replace(place, store=feast_store.open_store(other, tmp_path))
    feast_store.apply_objects(longer.store, feast_objects("shop", "", [VIEW], place.lake), tmp_path)
    longer.materialize(day(10))
    place.materialize(day(10))
    assert place.materialize(day(20)).removed == 1
    assert (place.online("a"), longer.online("a")) == ([(None, None, None)], [(1.0, -1.0, "x")])


# ---------------------------------------------------------------------------------------- a source that is not a lake's

TYPES = {
    "f_double": Float64,
    "f_float": Float32,
    "f_long": Int64,
    "f_int": Int32,
    "f_bool": Bool,
    "f_text": String,
    "f_bytes": Bytes,
    "f_time": UnixTimestamp,
}


def foreign_objects(path: Path) -> list[Any]:
    """A view of anybody's: two join keys, every type, a name of its own for a column."""
    with quiet():
        source = SparkSource(
            name="any",
            path=str(path),
            table_format=DeltaFormat(),
            timestamp_field="ts",
            created_timestamp_column="made",
        )
    shop = FeastEntity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)
    region = FeastEntity(name="region", join_keys=["area"], value_type=ValueType.STRING)
    schema = [Field(name="shop_id", dtype=Int64), Field(name="area", dtype=String)]
    schema += [Field(name=name, dtype=kind) for name, kind in TYPES.items()]
    return [shop, region, FeastView(name="any", entities=[shop, region], ttl=days(9), schema=schema, source=source)]


@pytest.fixture
def foreign(tmp_path: Path, spark: SparkSession) -> Path:
    rows = [
        (n % 7, "é" if n % 2 else "", day(1 + n % 3), MADE, n / 3, n / 3, 2**62 + n, -n, n % 2 == 0, f"té{n}")
        for n in range(30)
    ]
    names = "shop_id long, area string, ts timestamp, made timestamp, f_double double, f_float float, f_long long"
    frame = spark.createDataFrame(rows, f"{names}, f_int int, f_bool boolean, f_text string")
    frame = frame.selectExpr("*", "cast(f_text as binary) f_bytes", "ts f_time").dropDuplicates(
        ["shop_id", "area", "ts"]
    )
    frame.write.format("delta").save(str(tmp_path / "any"))
    return tmp_path / "any"


def loaded(yaml: Path, foreign: Path, root: Path) -> FeatureStore:
    store = feast_store.open_store(yaml, root)
    feast_store.apply_objects(store, foreign_objects(foreign), root)
    with quiet():
        store.materialize(day(1) - timedelta(seconds=1), day(3), feature_views=["any"])
    return store


def test_sqlite_holds_the_bytes_that_feast_itself_writes(tmp_path: Path, foreign: Path) -> None:
    tables = []
    for project, engine in (("ours", "tidemill.features.feast_engine.OnlineEngine"), ("feasts", "local")):
        yaml = store_yaml(tmp_path, project, f"{{type: sqlite, path: {tmp_path}/{project}.db}}", engine)
        loaded(yaml, foreign, tmp_path)
        with closing(sqlite3.connect(tmp_path / f"{project}.db")) as database:
            tables.append(sorted(database.execute(f"select * from {project}_any").fetchall()))
    assert len(tables[0]) == 14 * len(TYPES)
    assert tables[0] == tables[1]


def test_redis_holds_the_bytes_that_feast_itself_writes(
    tmp_path: Path, foreign: Path, request: pytest.FixtureRequest
) -> None:
    online = online_section("redis", tmp_path, request)
    hashes: list[dict[bytes, dict[bytes, bytes]]] = []
    for project, engine in (("bytes1", "tidemill.features.feast_engine.OnlineEngine"), ("bytes2", "local")):
        loaded(store_yaml(tmp_path, project, online, engine), foreign, tmp_path)
        with request.getfixturevalue("redis").client() as client:
            keys = list(client.scan_iter(f"*{project}"))
            hashes.append({key.removesuffix(project.encode()): client.hgetall(key) for key in keys})
    # Our time is Feast's with one more field behind it: when the row was made.
    for ours in hashes[0].values():
        assert ours[b"_ts:any"][:6] == hashes[1][next(k for k, v in hashes[0].items() if v is ours)][b"_ts:any"]
        ours[b"_ts:any"] = ours[b"_ts:any"][:6]
    assert len(hashes[0]) == 14
    assert hashes[0] == hashes[1]


def test_what_the_engine_does_not_do_it_refuses(tmp_path: Path, foreign: Path) -> None:
    dead = store_yaml(tmp_path, "dead", '{type: redis, connection_string: "127.0.0.1:1"}')
    store = feast_store.open_store(dead, tmp_path)
    feast_store.apply_objects(store, foreign_objects(foreign), tmp_path)
    with pytest.raises(TidemillError, match="does not answer") as error, quiet():
        store.materialize(day(1), day(3))
    assert (error.value.code, error.value.exit_code) == ("E_ONLINE_STORE", 69)
    cluster = store_yaml(tmp_path, "many", '{type: redis, redis_type: redis_cluster, connection_string: "127.0.0.1:1"}')
    store = feast_store.open_store(cluster, tmp_path)
    feast_store.apply_objects(store, foreign_objects(foreign), tmp_path)
    with pytest.raises(TidemillError, match="not clusters") as error, quiet():
        store.materialize(day(1), day(3))
    assert error.value.code == "E_ENGINE"


def test_parity_tells_equal_different_missing_and_stale_apart() -> None:
    second = int(day(10).timestamp())
    gold = [{"event_timestamp": day(10), "x": value} for value in (1.0, None, math.nan, 1.0, 1.0, 1.0, None)]
    online = [(1.0, second), (None, 0), (math.nan, second), (2.0, second), (None, 0), (1.0, second - 1), (0.0, second)]
    rows = [{"x": value, "x__ts": at} for value, at in online]
    assert compare(gold, rows, ["x"]) == [Parity("x", 7, equal=3, different=2, missing=1, stale=1)]

    def answers(batch: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        return [{"x": row["x"], "x__ts": second} for row in batch]  # type: ignore[return-value]

    assert importlib.import_module("tidemill.features.parity")._ENTITIES_OF_A_LOOK < 1200
    many = ({"event_timestamp": day(10), "x": float(n)} for n in range(1200))
    assert compare_all(many, answers, ["x"]) == [Parity("x", 1200, 1200)]  # type: ignore[arg-type]
