"""Spine rows get the newest feature row of their entity: by bucket files, by Spark's window, by Feast, Polars, DuckDB.

Always 10 M feature rows of 20 features; how many an entity has of them is what makes other joins slow. What a session
of Spark costs before it joins anything is measured as a contestant of its own, by the join of a few rows, and is taken
off by the targets. Nothing is written: each contestant sums its answer up.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.harness import PACKAGES, Contestant, Measured, Role, Size, Target, main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from tidemill.data.tables import Lake, Table

SEED = 20260101
BUCKETS = 16
FILES = 8
FEATURES = tuple(f"f{number}" for number in range(20))
DAY_US = 86_400_000_000
FIRST_US = 1_767_225_600_000_000  # 2026-01-01


@dataclass(frozen=True)
class Data:
    """One spine and one table of features.

    Args:
        name: of its folder.
        keys: entities.
        rows: feature rows of each, a day apart.
        spine: rows of the spine, at any moment of these days.
    """

    name: str
    keys: int
    rows: int
    spine: int


FULL = (
    Data("10", 1_000_000, 10, 200_000),
    Data("100", 100_000, 100, 200_000),
    Data("1000", 10_000, 1_000, 200_000),
    Data("1000 tenth", 1_000, 1_000, 20_000),
    Data("start", 20, 10, 20),
)
SMALL = (Data("100", 1_000, 100, 20_000), Data("start", 20, 10, 20))


# ------------------------------------------------------------------------------------------------------------ the data


def make_data(folder: Path, size: Size) -> None:
    """Writes spines and feature rows as plain files in the order of time, and the rows again as a gold table."""
    import pyarrow.parquet as pq

    places = []
    for data in FULL if size == "full" else SMALL:
        place = folder / data.name
        (place / "rows").mkdir(parents=True)
        for number, part in enumerate(_feature_rows(data)):
            pq.write_table(part, place / "rows" / f"part-{number}.parquet")
        pq.write_table(_spine(data), place / "spine.parquet")
        places.append(str(place))
    # In a process of its own: its JVM must not stand beside what is measured.
    code = "import sys; from bench.as_of_join import fill; fill(sys.argv[1:])"
    subprocess.run([sys.executable, "-P", "-c", code, *places], check=True)  # noqa: S603


def _feature_rows(data: Data) -> Iterator[pa.Table]:
    """The rows of some days at a time, by day and entity. Features are whole numbers, so that sums are exact."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    random = np.random.default_rng((SEED, data.keys))
    names = _names(np.arange(data.keys))
    for days in np.array_split(np.arange(data.rows), min(FILES, data.rows)):
        count = len(days) * data.keys
        stamps = pa.array(np.repeat(FIRST_US + days * DAY_US, data.keys)).cast(pa.timestamp("us", "UTC"))
        features = {name: random.integers(1 << 20, size=count).astype(np.float64) for name in FEATURES}
        yield pa.table(
            {
                "customer": pa.concat_arrays([names] * len(days)),
                "event_timestamp": stamps,
                **features,
                "created_timestamp": pc.add(stamps, pa.scalar(1, pa.duration("s"))),
            }
        )


def _spine(data: Data) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng((SEED, data.keys, 1))
    moments = FIRST_US + random.integers(-DAY_US // 2, data.rows * DAY_US, data.spine)
    return pa.table(
        {
            "number": np.arange(data.spine),
            "customer": _names(random.integers(data.keys, size=data.spine)),
            "event_timestamp": pa.array(moments).cast(pa.timestamp("us", "UTC")),
        }
    )


def _names(numbers: Any) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise("C", pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 8, "0"), "")


def fill(places: Sequence[str]) -> None:
    """Commits the feature rows of folders as the gold tables beside them."""
    from pathlib import Path

    from pyspark.sql import functions as F
    from tidemill.core.config import Layout
    from tidemill.data.commit import commit
    from tidemill.data.layout import with_layout
    from tidemill.data.write import Batch

    spark = _session()
    for place in places:
        rows = spark.read.parquet(f"{place}/rows").withColumn("batch_id", F.lit("one"))
        lake, table = _gold(Path(place), Layout(buckets=BUCKETS, period="all"))
        commit(lake, table, Batch("one", {"batch": "one"}), with_layout(rows, table, BUCKETS, "all"))
    spark.stop()


def _gold(place: Path, layout: Any = None) -> tuple[Lake, Table]:
    from tidemill.data.tables import GOLD, Lake, Table

    columns = (
        ("customer", "string"),
        ("event_timestamp", "timestamp"),
        *((name, "double") for name in FEATURES),
        ("created_timestamp", "timestamp"),
        ("batch_id", "string"),
        ("period", "string"),
        ("bucket", "int"),
    )
    table = Table(
        GOLD,
        "facts_v1",
        columns,
        partitions=("period", "bucket"),
        sort=("event_timestamp", "customer"),
        entity="customer",
        time="event_timestamp",
    )
    return Lake(place / "var", "bench", layout), table


# --------------------------------------------------------------------------------------------------------- contestants


def _session() -> SparkSession:
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("bench").getOrCreate()


def polars(name: str, data: Path, out: Path) -> None:
    """One process: the feature rows lie in the order of time already."""
    import polars as pl

    rows = pl.scan_parquet(data / name / "rows" / "*.parquet").drop("created_timestamp").set_sorted("event_timestamp")
    spine = pl.scan_parquet(data / name / "spine.parquet").sort("event_timestamp")
    joined = spine.join_asof(rows, on="event_timestamp", by="customer", strategy="backward", check_sortedness=False)
    sums = [(pl.col("number") * pl.col(feature).cast(pl.Int64)).sum().alias(feature) for feature in FEATURES]
    found = joined.select(pl.len().alias("rows"), pl.col("f0").null_count().alias("found_nothing"), *sums)
    _keep(out, found.collect().row(0, named=True))


def duckdb(name: str, data: Path, out: Path) -> None:
    """One process."""
    import duckdb as db

    sums = ", ".join(f"sum(s.number * f.{feature}::bigint)::bigint as {feature}" for feature in FEATURES)
    found = db.execute(
        f"select count(*) as rows, count(*) - count(f.f0) as found_nothing, {sums}"  # noqa: S608 - our own paths
        f" from '{data / name}/spine.parquet' s asof left join '{data / name}/rows/*.parquet' f"
        " on s.customer = f.customer and s.event_timestamp >= f.event_timestamp"
    )
    _keep(out, dict(zip(("rows", "found_nothing", *FEATURES), found.fetchall()[0], strict=True)))


def buckets(name: str, data: Path, out: Path) -> None:
    """Ours: the spine is sent to its buckets, workers read their files."""
    from datetime import timedelta

    from tidemill.features.asof_buckets import Wanted
    from tidemill.features.asof_choice import why_not, with_buckets

    spark = _session()
    spine = spark.read.parquet(str(data / name / "spine.parquet"))
    columns = tuple((feature, feature) for feature in FEATURES)
    wanted = Wanted(*_gold(data / name), columns, "created_timestamp", None, timedelta(0))
    if reason := why_not(spine, "customer", "event_timestamp", [wanted]):
        raise RuntimeError(reason)
    _finish(with_buckets(spine, "customer", "event_timestamp", [wanted]), out)


def window(name: str, data: Path, out: Path) -> None:
    """Plain Spark: one union, one window."""
    from datetime import timedelta

    from tidemill.data.read import read
    from tidemill.features.asof import as_of_join

    spark = _session()
    spine = spark.read.parquet(str(data / name / "spine.parquet"))
    rows = read(spark, *_gold(data / name))
    _finish(as_of_join(spine, rows, "customer", list(FEATURES), timedelta(days=3_650), timedelta(0)), out)


def feast(store: str, name: str, data: Path, out: Path) -> None:
    """`get_historical_features` over the gold table, with an offline store of that type."""
    import warnings

    from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
    from feast.table_format import DeltaFormat
    from feast.types import Float64, String
    from feast.value_type import ValueType

    warnings.simplefilter("ignore")
    spark = _session()
    lake, table = _gold(data / name)
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(out / "registry.db"),
        offline_store={"type": store},
        online_store={"type": "sqlite", "path": str(out / "online.db")},
        entity_key_serialization_version=3,
    )
    customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.STRING)
    source = SparkSource(
        name="facts",
        path=str(lake.path(table)),
        table_format=DeltaFormat(),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    schema = [Field(name="customer", dtype=String), *[Field(name=feature, dtype=Float64) for feature in FEATURES]]
    view = FeatureView(name="facts", entities=[customer], schema=schema, source=source)
    features = FeatureStore(config=config)
    features.apply([customer, view])
    spine = spark.read.parquet(str(data / name / "spine.parquet"))
    asked = [f"facts:{feature}" for feature in FEATURES]
    _finish(features.get_historical_features(entity_df=spine, features=asked).to_spark_df(), out)


def _finish(joined: DataFrame, out: Path) -> None:
    from pyspark.sql import functions as F

    sums = [F.sum(F.col("number") * F.col(feature).cast("bigint")).alias(feature) for feature in FEATURES]
    nothing = F.count_if(F.col("f0").isNull()).alias("found_nothing")
    found = joined.agg(F.count(F.lit(1)).alias("rows"), nothing, *sums).first()
    joined.sparkSession.stop()
    _keep(out, {} if found is None else found.asDict())


def _keep(out: Path, sums: dict[str, int]) -> None:
    """Rows, how many of them found nothing, and a sum for each feature that knows which row has which value."""
    (out / "answer.json").write_text(json.dumps(sums), "utf-8")


def _answer(name: str, out: Path) -> dict[str, Any]:
    return {"data": name, **json.loads((out / "answer.json").read_text("utf-8"))}


_FIRST: dict[str, Any] = {}


def _equal(_: Any, answer: dict[str, Any]) -> bool:
    """Whether an answer is that of the first contestant on the same data."""
    return bool(_FIRST.setdefault(answer["data"], answer) == answer)


def _on(
    what: str, name: str, run: Callable[..., None], role: Role, *, once: bool = False, extra: bool = False
) -> Contestant:
    group = "a few rows" if name == "start" else f"{name.split(maxsplit=1)[0]} rows per key"
    answer = functools.partial(_answer, name)
    return Contestant(what, group, functools.partial(run, name), answer, role, once=once, extra=extra or name != "100")


OURS = "tidemill.features.feast_offline.TidemillOfflineStore"
BY_OURS, BY_FEAST = functools.partial(feast, OURS), functools.partial(feast, "spark")


def _group(name: str) -> tuple[Contestant, ...]:
    return (
        _on(f"polars {name}", name, polars, "reference"),
        _on(f"duckdb {name}", name, duckdb, "peer"),
        _on(f"buckets {name}", name, buckets, "ours"),
        _on(f"union window {name}", name, window, "peer"),
    )


CONTESTANTS = (
    *_group("100"),
    _on("feast with our store 100", "100", BY_OURS, "ours"),
    _on("feast with its own store 100", "100", BY_FEAST, "peer", once=True, extra=True),
    *_group("10"),
    *_group("1000"),
    _on("feast with its own store 1000 tenth", "1000 tenth", BY_FEAST, "peer", once=True),
    _on("buckets start", "start", buckets, "reference"),
    _on("union window start", "start", window, "peer"),
    _on("feast with our store start", "start", BY_OURS, "ours"),
    _on("feast with its own store start", "start", BY_FEAST, "peer"),
)

# ------------------------------------------------------------------------------------------------------------- targets


def _net(by: Mapping[str, Measured], what: str, name: str) -> float:
    """CPU seconds of a contestant without those of its session, which the join of a few rows shows."""
    return by[f"{what} {name}"].cpu_s - by[f"{what} start"].cpu_s


def _against_polars(by: Mapping[str, Measured]) -> float:
    return _net(by, "buckets", "100") / by["polars 100"].cpu_s


def _against(other: str, name: str, times: float, by: Mapping[str, Measured]) -> float:
    return _net(by, "buckets", name.split(maxsplit=1)[0]) / (times * _net(by, other, name))


def _through_feast(by: Mapping[str, Measured]) -> float:
    return _net(by, "feast with our store", "100") / _net(by, "buckets", "100")


def _longer_histories(by: Mapping[str, Measured]) -> float:
    return _net(by, "buckets", "1000") / _net(by, "buckets", "100")


STORE = "feast with its own store"
TARGETS = (
    Target("CPU of buckets / polars at 100 rows per key, sessions apart", _against_polars, 1.2),
    Target(
        "CPU of buckets / union window at 100 rows per key, sessions apart",
        functools.partial(_against, "union window", "100", 1),
        1 / 3,
    ),
    Target(
        "CPU of buckets / Feast's own store at 100 rows per key, sessions apart",
        functools.partial(_against, STORE, "100", 1),
        1 / 12,
    ),
    Target(
        "CPU of buckets / Feast's own store at 1000 rows per key, a tenth of it times ten, sessions apart",
        functools.partial(_against, STORE, "1000 tenth", 10),
        1 / 50,
    ),
    Target("CPU of Feast with our store / buckets at 100 rows per key, sessions apart", _through_feast, 1.3),
    Target("CPU of buckets at 1000 / at 100 rows per key, as many rows, sessions apart", _longer_histories, 1.5),
)

if __name__ == "__main__":
    main(make_data, CONTESTANTS, TARGETS, equal=_equal, packages=(*PACKAGES, "feast", "polars", "duckdb"))
