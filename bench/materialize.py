"""Gold to the online store: our engine beside Feast's own engines on its Spark store, to Redis and to SQLite.

All load the newest row of each entity, twenty features, from the same Delta table, and are held against that table:
every entity is there, and a sample of them has its values. Feast's Spark engine cannot fill SQLite: its tasks lock each
other out of the file until one gives up. There its local engine is the reference.

The driver is a Python process and its JVM, which on one machine is the executor as well; their memory may not grow with
the entities. The peak of the whole tree, in the table, has Python's workers besides.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import _redis
from bench._memory import leave_memory, memory_left
from bench.harness import Contestant, Size, Target, cpu_ratio, main

if TYPE_CHECKING:
    from tidemill.features.specs import FeatureView

    from bench.harness import Measured

ENTITIES: dict[Size, int] = {"small": 20_000, "full": 1_000_000}
MORE = 5  # times as many, to see whether memory grows
FEATURES = 20
AT = datetime(2025, 1, 10, tzinfo=UTC)
PLACE, AS_GOLD = "place", "as gold"
OURS = "{type: tidemill.features.feast_engine.OnlineEngine}"
FEAST_SPARK, FEAST_LOCAL = "{type: spark.engine}", "{type: local}"
SAMPLE = [f"C{number:08}" for number in range(0, ENTITIES["small"], 101)]


def view() -> FeatureView:
    """The view that is loaded."""
    from tidemill.declare import Aggregate, Entity, FeatureView, Source, days

    customer = Entity("customer")
    features = tuple(Aggregate("sum", f"x{number:02}") for number in range(FEATURES))
    source = Source("events", "events.yaml", customer)
    return FeatureView("wide", 1, customer, source, features, cadence=days(1), ttl=days(2))


def make_data(folder: Path, size: Size) -> None:
    """Two lakes with one gold table each; made by other processes, so that no JVM stays with the one that measures."""
    for name, entities in (("one", ENTITIES[size]), ("more", MORE * ENTITIES[size])):
        command = [sys.executable, "-P", str(Path(__file__).resolve()), "--make", str(folder / name), str(entities)]
        subprocess.run(command, check=True)  # noqa: S603


def make_gold(root: Path, entities: int) -> None:
    """One row an entity, and for every tenth an older one as well."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F
    from tidemill.core.config import Layout
    from tidemill.data.commit import commit
    from tidemill.data.layout import with_layout
    from tidemill.data.tables import Lake
    from tidemill.data.write import Batch
    from tidemill.features.tables import view_table

    spark = SparkSession.builder.appName("data").getOrCreate()
    lake, table = Lake(root, "bench", Layout(buckets=16, period="all")), view_table(view())
    for number, (at, every) in enumerate(((AT - timedelta(days=1), 10), (AT, 1))):
        rows = spark.range(0, entities, every, 8).select(
            F.format_string("C%08d", "id").alias("customer"),
            F.lit(at).alias("event_timestamp"),
            *[F.rand(n + number).alias(f.name) for n, f in enumerate(view().columns)],
            F.lit(AT).alias("created_timestamp"),
            F.lit(str(number)).alias("batch_id"),
        )
        commit(lake, table, Batch(str(number), {"n": number}), with_layout(rows, table, 16, "all"))
    spark.stop()


def run(lake: str, online: str, engine: str, data: Path, out: Path) -> None:
    """Applies the objects and materializes, in one process with one JVM."""
    from pyspark.sql import SparkSession
    from tidemill.data.tables import Lake
    from tidemill.features import feast_store
    from tidemill.features.feast_objects import feast_objects

    (out / PLACE).write_text(str(data / lake), "utf-8")
    if online == "redis":
        _redis.emptied()
    SparkSession.builder.appName(engine).getOrCreate()
    store = feast_store.open_store(_yaml(out, online, engine), out)
    feast_store.apply_objects(store, feast_objects("bench", "", [view()], Lake(data / lake, "bench")), out)
    feast_store.materialize(store, [view()], AT)
    leave_memory(out)


def answer(online: str, out: Path) -> Any:
    """Whether the store holds all of gold's entities, and Feast answers gold's values for some; else what is wrong."""
    from tidemill.features import feast_store

    store = feast_store.open_store(out / "feature_store.yaml", out)
    rows = feast_store.online_rows(store, "bench", "customer", SAMPLE)
    names = [feature.name for feature in view().columns]
    if online == "redis":
        with _redis.client() as client:
            entities = int(client.dbsize())
    else:
        with contextlib.closing(sqlite3.connect(out / "online.db")) as database:
            entities = database.execute("select count(*) from bench_wide_v1").fetchone()[0] // FEATURES
    expected, gold = _gold(Path((out / PLACE).read_text("utf-8")), names)
    wrong = {
        key: {"found": [row[name] for name in names], "expected": gold[key]}
        for key, row in zip(SAMPLE, rows, strict=True)
        if [row[name] for name in names] != gold[key]
    }
    right = entities == expected and not wrong
    return AS_GOLD if right else {"entities": entities, "expected": expected, "wrong": dict([*wrong.items()][:3])}


def _gold(root: Path, names: list[str]) -> tuple[int, dict[str, list[float]]]:
    """How many entities a lake's gold has at the time that is loaded, and the values of the sampled ones."""
    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from tidemill.core.config import Layout
    from tidemill.data.tables import Lake
    from tidemill.features.tables import view_table

    path = Lake(root, "bench", Layout(buckets=16, period="all")).path(view_table(view()))
    dataset, newest = DeltaTable(str(path)).to_pyarrow_dataset(), ds.field("event_timestamp") == AT
    rows = dataset.to_table(["customer", *names], newest & ds.field("customer").isin(SAMPLE)).to_pylist()
    return dataset.count_rows(newest), {row["customer"]: [row[name] for name in names] for row in rows}


def _yaml(out: Path, online: str, engine: str) -> Path:
    place = f"path: {out}/online.db" if online == "sqlite" else f'connection_string: "{_redis.address()}"'
    path = out / "feature_store.yaml"
    path.write_text(
        f"project: bench\nprovider: local\nregistry: {out}/registry.db\noffline_store: {{type: spark}}\n"
        f"online_store: {{type: {online}, {place}}}\nbatch_engine: {engine}\nentity_key_serialization_version: 3\n",
        "utf-8",
    )
    return path


def _one(what: str, online: str, engine: str, role: Any, lake: str = "one", **more: Any) -> Contestant:
    found = functools.partial(answer, online)
    does = functools.partial(run, lake, online, engine)
    return Contestant(what, f"{online} {lake}", does, found, role, figures=memory_left, **more)


CONTESTANTS = (
    _one("tidemill redis", "redis", OURS, "ours"),
    _one("feast spark redis", "redis", FEAST_SPARK, "reference", once=True),
    _one("feast local redis", "redis", FEAST_LOCAL, "peer", once=True, extra=True),
    _one("tidemill sqlite", "sqlite", OURS, "ours"),
    _one("feast local sqlite", "sqlite", FEAST_LOCAL, "reference", once=True),
    _one("tidemill redis, five times the entities", "redis", OURS, "ours", "more", once=True, extra=True),
)


def _equal(_: Any, answer: Any) -> bool:
    """Each is held against the gold of its own lake, and none against another."""
    return bool(answer == AS_GOLD)


def _driver_mb(measured: Measured) -> float:
    return measured.figures["driver_mb"] + measured.figures["jvm_mb"]


TARGETS = (
    cpu_ratio("tidemill redis", "feast spark redis", 1 / 5),
    cpu_ratio("tidemill redis", "feast local redis", 1 / 5),
    cpu_ratio("tidemill sqlite", "feast local sqlite", 1 / 1.3),
    Target(
        "memory of the driver (Python and JVM) of tidemill redis, five times the entities / once",
        lambda by: _driver_mb(by["tidemill redis, five times the entities"]) / _driver_mb(by["tidemill redis"]),
        1.2,
    ),
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make_gold(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        _redis.beside_redis()
        main(
            make_data, CONTESTANTS, TARGETS, equal=_equal, packages=("tidemill", "pyspark", "feast", "redis", "pyarrow")
        )
