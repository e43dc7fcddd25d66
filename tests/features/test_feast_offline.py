"""The offline store through Feast's own interface: what it answers at every edge, and what it leaves alone."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tidemill.core.errors import TidemillError
from tidemill.core.quiet import quiet
from tidemill.data.commit import commit
from tidemill.data.layout import with_layout
from tidemill.data.located import table_at
from tidemill.data.tables import Lake
from tidemill.data.write import Batch
from tidemill.declare import Aggregate, days, hours
from tidemill.declare import Entity as OurEntity
from tidemill.declare import FeatureView as OurView
from tidemill.declare import Source as OurSource
from tidemill.features.feast_objects import feast_objects
from tidemill.features.tables import view_table

_OF_DELTA = {"spark.databricks.delta.lastCommitVersionInSession": ""}  # which Delta counts in the session
START = datetime(2024, 3, 10, tzinfo=UTC)  # New York's clocks go forward on this day
ZONE = "spark.sql.session.timeZone"


@dataclass(frozen=True)
class Project:
    """A Feast project of its own with our offline store."""

    store: Any
    folder: Path
    spark: SparkSession

    def view(
        self,
        name: str,
        schema: str,
        rows: list[tuple[Any, ...]],
        keys: tuple[str, ...],
        ttl: timedelta | None,
        *,
        made: bool = True,
        **source: Any,
    ) -> Any:
        """Writes rows as Parquet and registers a view of them; columns beside keys and times are its features."""
        from feast import Entity, FeatureView, Field
        from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
        from feast.types import Float64, Int64, String
        from feast.value_type import ValueType

        path = str(self.folder / name)
        frame = self.spark.createDataFrame(rows, schema)
        frame.write.parquet(path)
        kinds = {"string": (String, ValueType.STRING), "bigint": (Int64, ValueType.INT64), "double": (Float64, None)}
        called = source.get("field_mapping", {})
        types = {called.get(n, n): kinds[t] for n, t in frame.dtypes if t in kinds}
        entities = [Entity(name=f"{name}_{k}", join_keys=[k], value_type=types[k][1]) for k in keys]
        made_column = {"created_timestamp_column": "made"} if made else {}
        place = {"path": path, "file_format": "parquet", "timestamp_field": "at", **made_column, **source}
        with quiet():
            view = FeatureView(
                name=name,
                entities=entities,
                ttl=ttl,
                schema=[Field(name=n, dtype=kind) for n, (kind, _) in types.items()],
                source=SparkSource(name=f"{name}_rows", **place),
            )
            self.store.apply([*entities, view])
        return view

    def ask(self, spine: Any, *features: str, full: bool = False, **more: Any) -> Any:
        """The retrieval of features for a spine."""
        with quiet():
            return self.store.get_historical_features(
                entity_df=spine, features=list(features), full_feature_names=full, **more
            )


@pytest.fixture
def project(spark: SparkSession, tmp_path: Path) -> Iterator[Project]:
    """An empty project, in a session whose settings are looked at again afterwards."""
    from feast import FeatureStore, RepoConfig

    spark.sql("select 1")  # a session is active
    before = dict(spark.conf.getAll)
    config = RepoConfig(
        project="trial",
        provider="local",
        registry=str(tmp_path / "registry.db"),
        offline_store={"type": "tidemill.features.feast_offline.TidemillOfflineStore"},
        online_store={"type": "sqlite", "path": str(tmp_path / "online.db")},
        entity_key_serialization_version=3,
    )
    yield Project(FeatureStore(config=config), tmp_path, spark)
    assert dict(spark.conf.getAll) | _OF_DELTA == before | _OF_DELTA


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def rows_of(frame: DataFrame, *names: str) -> list[tuple[Any, ...]]:
    """Rows, times as minutes since the start, in the order of their texts."""
    shown = [
        ((F.unix_micros(n) - int(START.timestamp() * 1e6)) / 60_000_000).alias(n) if kind == "timestamp" else n
        for n, kind in frame.dtypes
        if not names or n in names
    ]
    return sorted((tuple(r) for r in frame.select(*shown).collect()), key=str)


STATS = "driver bigint, at timestamp, made timestamp, trips bigint, word string"
STAT_ROWS = [
    (1, at(0), at(1), 10, "a"),
    (1, at(60), at(61), 11, "b"),
    (1, at(60), at(99), 12, "newest of the hour"),
    (1, at(60), None, 13, "never created"),
    (2, at(30), at(31), None, None),
    (None, at(0), at(1), 99, "nobody's"),
]
SPINE_ROWS: Sequence[tuple[int | None, int]] = [
    *((1, minutes) for minutes in (0, 59, 59, 60, 119, 120, 121)),
    (2, 29),
    (2, 30),
    (3, 60),
    (None, 60),
]
EXPECTED = {0: 10, 59: 10, 60: 12, 119: 12, 120: 12, 121: None}


def spines(spark: SparkSession) -> dict[str, Any]:
    """The same spine in each form that Feast takes."""
    rows = [(driver, at(minutes), f"note {minutes}") for driver, minutes in SPINE_ROWS]
    frame = spark.createDataFrame(rows, "driver bigint, event_timestamp timestamp, note string")
    pandas = pd.DataFrame(rows, columns=["driver", "event_timestamp", "note"])
    pandas["driver"] = pandas["driver"].astype("Int64")
    frame.createOrReplaceTempView("asked")
    naive = pandas.assign(event_timestamp=pandas["event_timestamp"].dt.tz_localize(None))
    zoneless = [(driver, moment.replace(tzinfo=None), note) for driver, moment, note in rows]
    text = "select driver, event_timestamp, note from asked"
    without_zone = spark.createDataFrame(zoneless, "driver bigint, event_timestamp timestamp_ntz, note string")
    return {"frame": frame, "pandas": pandas, "naive": naive, "text": text, "without_zone": without_zone}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_spine_in_any_form_and_zone_gets_the_rows_it_may_use(
    project: Project, spark: SparkSession, zone: str
) -> None:
    project.view("stats", STATS, STAT_ROWS, ("driver",), hours(1))
    spark.conf.set(ZONE, zone)
    try:
        for form, spine in spines(spark).items():
            job = project.ask(spine, "stats:trips", "stats:word")
            assert job.paths == {"stats": "spark: its source is no table with buckets"}
            frame = job.to_spark_df()
            assert frame.columns == ["driver", "event_timestamp", "note", "trips", "word"]
            found = rows_of(frame, "driver", "note", "trips")
            wanted = [(d, f"note {m}", EXPECTED[m] if d == 1 else None) for d, m in SPINE_ROWS]
            assert found == sorted(wanted, key=str), form
            table = job.to_arrow()
            if form != "without_zone":
                assert table.schema.field("event_timestamp").type == pa.timestamp("us", "UTC")
                assert sorted(table["event_timestamp"].to_pylist()) == sorted(at(m) for _, m in SPINE_ROWS)
            answer = job.to_df()
            assert list(answer.columns) == frame.columns
            assert sorted(answer["trips"].dropna()) == [10, 10, 10, 12, 12, 12]
            assert job.metadata.min_event_timestamp == at(0)
            assert job.metadata.max_event_timestamp == at(121)
            assert job.metadata.keys == ["driver", "note"]
    finally:
        spark.conf.set(ZONE, "UTC")


@pytest.mark.parametrize("ttl", [None, timedelta(0)], ids=["none", "zero"])
def test_a_view_without_a_ttl_uses_rows_of_any_age(
    project: Project, spark: SparkSession, ttl: timedelta | None
) -> None:
    project.view("stats", STATS, STAT_ROWS, ("driver",), ttl)
    spine = spark.createDataFrame([(1, at(1e6)), (1, at(-1)), (2, at(1e6))], "driver bigint, event_timestamp timestamp")
    assert rows_of(project.ask(spine, "stats:trips").to_spark_df(), "driver", "trips") == [
        (1, 12),
        (1, None),
        (2, None),
    ]


def test_a_day_is_24_hours_in_a_zone_that_changes_its_clocks(project: Project, spark: SparkSession) -> None:
    project.view("stats", STATS, [(1, at(0), at(0), 10, "a")], ("driver",), days(1))
    spark.conf.set(ZONE, "America/New_York")
    try:
        spine = spark.createDataFrame(
            [(1, at(24 * 60)), (1, at(24 * 60 + 1))], "driver bigint, event_timestamp timestamp"
        )
        assert rows_of(project.ask(spine, "stats:trips").to_spark_df(), "trips") == [(10,), (None,)]
    finally:
        spark.conf.set(ZONE, "UTC")


def test_composite_keys_are_compared_part_by_part(project: Project, spark: SparkSession) -> None:
    schema = "a bigint, b bigint, at timestamp, made timestamp, value bigint"
    rows = [
        (1, 23, at(0), at(0), 1),
        (12, 3, at(0), at(0), 2),
        (1, None, at(0), at(0), 3),
        (None, None, at(0), at(0), 4),
    ]
    project.view("pairs", schema, rows, ("a", "b"), hours(1))
    asked = [(1, 23), (12, 3), (1, 3), (1, None), (None, None)]
    spine = spark.createDataFrame([(a, b, at(5)) for a, b in asked], "a bigint, b bigint, event_timestamp timestamp")
    found = rows_of(project.ask(spine, "pairs:value").to_spark_df(), "a", "b", "value")
    assert found == [(1, 23, 1), (1, 3, None), (1, None, None), (12, 3, 2), (None, None, None)]


def test_columns_are_called_as_mapped_and_views_by_their_full_names(project: Project, spark: SparkSession) -> None:
    mapping = {"drv": "driver", "n trips": "trips", "t": "at", "c": "made"}
    rows = [(1, at(0), at(1), 10), (1, at(0), at(2), 11)]
    schema = "drv bigint, t timestamp, c timestamp, `n trips` bigint"
    project.view(
        "mapped",
        schema,
        rows,
        ("driver",),
        hours(1),
        field_mapping=mapping,
        timestamp_field="at",
        created_timestamp_column="made",
    )
    project.view("stats", STATS, STAT_ROWS, ("driver",), hours(1))
    spine = spark.createDataFrame([(1, at(5), 0.5)], "driver bigint, event_timestamp timestamp, label double")
    job = project.ask(spine, "mapped:trips", "stats:trips", "stats:word", full=True)
    frame = job.to_spark_df()
    assert frame.columns == ["driver", "event_timestamp", "label", "mapped__trips", "stats__trips", "stats__word"]
    assert rows_of(frame, "label", "mapped__trips", "stats__trips", "stats__word") == [(0.5, 11, 10, "a")]
    assert job.full_feature_names


def test_keys_of_another_type_are_brought_to_that_of_the_rows(project: Project, spark: SparkSession) -> None:
    project.view("stats", STATS, STAT_ROWS, ("driver",), hours(1))
    spine = spark.createDataFrame([("1", at(5)), ("x", at(5))], "driver string, event_timestamp timestamp")
    assert rows_of(project.ask(spine, "stats:trips").to_spark_df(), "driver", "trips") == [("1", 10), ("x", None)]


def test_what_was_not_known_yet_can_be_left_out(project: Project, spark: SparkSession) -> None:
    project.view("stats", STATS, STAT_ROWS, ("driver",), hours(2))
    spine = spark.createDataFrame(
        [(1, at(m)) for m in (0, 1, 60, 61, 98, 99)], "driver bigint, event_timestamp timestamp"
    )
    job = project.ask(spine, "stats:trips", filter_by_created_timestamp=True)
    found = {r["event_timestamp"]: r["trips"] for r in job.to_arrow().to_pylist()}
    # A row of unknown creation counts from its event on.
    assert found == {at(0): None, at(1): 10, at(60): 13, at(61): 11, at(98): 11, at(99): 12}
    assert job.paths == {"stats": "spark: rows count from their creation on"}


def test_without_a_spine_every_entity_seen_is_asked_for_at_the_end(project: Project, spark: SparkSession) -> None:
    project.view("stats", STATS, STAT_ROWS, ("driver",), hours(1))
    job = project.ask(None, "stats:trips", start_date=at(0), end_date=at(90))
    assert rows_of(job.to_spark_df(), "driver", "entity_ts", "trips") == [
        (1, 90.0, 12),
        (2, 90.0, None),
        (None, 90.0, None),
    ]


def test_the_newest_row_of_every_entity_is_pulled(project: Project, spark: SparkSession) -> None:
    view = project.view("stats", STATS, STAT_ROWS, ("driver",), hours(1), field_mapping={"word": "text"})
    spark.conf.set(ZONE, "Asia/Kolkata")
    try:

        def pull(keys: list[str], since: datetime, until: datetime) -> Any:
            return project.store._provider.offline_store.pull_latest_from_table_or_query(
                project.store.config, view.batch_source, keys, ["trips", "word"], "at", "made", since, until
            ).to_spark_df()

        frame = pull(["driver"], at(0), at(60))
        assert frame.columns == ["driver", "trips", "text", "at", "made"]
        assert rows_of(frame, "driver", "trips", "text") == [(1, 12, "newest of the hour"), (2, None, None)]
        assert rows_of(pull(["driver"], at(0), at(59.99)), "driver", "trips") == [(1, 10), (2, None)]
        naive = pull(["driver"], at(0).replace(tzinfo=None), at(30).replace(tzinfo=None))
        assert rows_of(naive, "driver", "trips") == [(1, 10), (2, None)]
        whole = pull([], at(0), at(60))
        assert rows_of(whole, "trips", "__dummy_id") == [(12, "")]
        assert pull([], at(-9), at(-8)).count() == 0
    finally:
        spark.conf.set(ZONE, "UTC")


def test_all_rows_of_a_period_are_pulled(project: Project, spark: SparkSession) -> None:
    view = project.view("stats", STATS, STAT_ROWS, ("driver",), hours(1), field_mapping={"word": "text"})
    spark.conf.set(ZONE, "Asia/Kolkata")
    try:
        pull = project.store._get_provider().offline_store.pull_all_from_table_or_query
        job = pull(project.store.config, view.batch_source, ["driver"], ["trips", "word"], "at", "made", at(0), at(30))
        assert job.to_spark_df().columns == ["driver", "trips", "text", "at", "made"]
        assert rows_of(job.to_spark_df(), "driver", "trips") == [(1, 10), (2, None), (None, 99)]
        job = pull(project.store.config, view.batch_source, ["driver"], [], "at", start_date=at(60))
        assert rows_of(job.to_spark_df(), "driver", "trips", "word")[0] == (1, 11, "b")
        assert job.to_spark_df().columns == ["driver", "at", "made", "trips", "word"]
    finally:
        spark.conf.set(ZONE, "UTC")


def test_on_demand_features_and_saved_datasets(project: Project, spark: SparkSession) -> None:
    from feast import Field, RequestSource
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SavedDatasetSparkStorage
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.table_format import DeltaFormat
    from feast.types import Float64, Int64

    view = project.view("stats", STATS, STAT_ROWS, ("driver",), hours(1))
    with quiet():
        asked = RequestSource(name="asked_for", schema=[Field(name="extra", dtype=Int64)])

        @on_demand_feature_view(  # type: ignore[untyped-decorator]
            sources=[view, asked],
            schema=[Field(name="more", dtype=Float64), Field(name="less", dtype=Float64)],
            mode="pandas",
        )
        def changed(inputs: pd.DataFrame) -> pd.DataFrame:
            import pandas as pd

            found = pd.DataFrame()
            found["more"] = (inputs["trips"] + inputs["extra"]).astype("float64")
            found["less"] = (inputs["trips"] - inputs["extra"]).astype("float64")
            return found

        project.store.apply([changed])
    rows = [(1, at(5), 100), (1, at(60), 200)]
    spine = spark.createDataFrame(rows, "driver bigint, event_timestamp timestamp, extra bigint")
    job = project.ask(spine, "stats:trips", "changed:more")
    assert job.to_df()[["trips", "more"]].sort_values("trips").to_numpy().tolist() == [[10, 110.0], [12, 212.0]]
    frame = job.to_spark_df()
    # Feast wants all that an on-demand view may read, asked for or not.
    assert frame.columns == ["driver", "event_timestamp", "extra", "trips", "word", "more"]
    assert rows_of(frame, "trips", "more") == [(10, 110.0), (12, 212.0)]
    for form, more in (("parquet", {"file_format": "parquet"}), ("delta", {"table_format": DeltaFormat()})):
        storage = SavedDatasetSparkStorage(path=str(project.folder / form), **more)
        job.persist(storage)
        with pytest.raises(Exception, match=r"(?i)already.exist"):
            job.persist(storage)
        job.persist(storage, allow_overwrite=True)
        written = spark.read.format(form).load(str(project.folder / form))
        assert rows_of(written, "trips", "more") == [(10, 110.0), (12, 212.0)]
    with quiet():
        project.store.create_saved_dataset(job, "kept", SavedDatasetSparkStorage(table="kept_rows"))
        kept = project.store.get_saved_dataset("kept").to_df()
    assert sorted(kept["more"]) == [110.0, 212.0]


CUSTOMER = OurEntity("customer")
EVENTS = OurSource("events", "events.yaml", CUSTOMER)
VIEW = OurView(
    "sums",
    1,
    CUSTOMER,
    EVENTS,
    (Aggregate("sum", "amount", windows=(days(7),)), Aggregate("last_text", "word")),
    cadence=days(1),
    ttl=hours(2),
)
Fill = Callable[[], list[tuple[Any, ...]]]


@pytest.fixture
def fill(project: Project, lake: Lake, spark: SparkSession) -> Fill:
    """Commits gold rows and registers their view, as the jobs do."""

    def commit_gold() -> list[tuple[Any, ...]]:
        dice = random.Random(4)  # noqa: S311
        rows = [
            (f"ü{dice.randrange(9)}", at(60 * dice.randrange(6)), float(number), f"w{number}", at(number))
            for number in range(60)
        ]
        table = view_table(VIEW)
        frame = spark.createDataFrame(rows, ", ".join(f"{n} {t}" for n, t in table.columns[:5]))
        frame = frame.withColumn("batch_id", F.lit("one"))
        commit(lake, table, Batch("one", {"batch": "one"}), with_layout(frame, table, 4, "all"))
        with quiet():
            project.store.apply(feast_objects("trial", "", [VIEW], lake))
        return rows

    return commit_gold


def newest(rows: list[tuple[Any, ...]], key: str | None, moment: datetime) -> tuple[Any, Any]:
    usable = [r for r in rows if key is not None and r[0] == key and moment - VIEW.ttl <= r[1] <= moment]
    best = max(usable, key=lambda r: (r[1], r[4]), default=None)
    return (None, None) if best is None else (best[2], best[3])


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_gold_table_is_joined_by_its_bucket_files(
    project: Project, spark: SparkSession, fill: Fill, zone: str
) -> None:
    rows = fill()
    asked = [(f"ü{n}", at(m)) for n, m in itertools.product(range(11), (-1, 0, 61, 120, 500))] + [(None, at(60))]
    features = [f"sums_v1:{c.name}" for c in VIEW.columns]
    spark.conf.set(ZONE, zone)
    try:
        spine = spark.createDataFrame(asked, "customer string, event_timestamp timestamp")
        job = project.ask(spine, *features)
        assert job.paths == {"sums_v1": "bucket files"}
        found = [(k, m.timestamp(), *features) for k, m, *features in map(dict.values, job.to_arrow().to_pylist())]
        assert sorted(found, key=str) == sorted(((k, m.timestamp(), *newest(rows, k, m)) for k, m in asked), key=str)
        plain = project.ask(spine, *features, filter_by_created_timestamp=False)
        assert rows_of(plain.to_spark_df()) == rows_of(job.to_spark_df())
        naive = pd.DataFrame(
            {"customer": [k for k, _ in asked], "event_timestamp": [m.replace(tzinfo=None) for _, m in asked]}
        )
        job = project.ask(naive, *features, full=True)
        assert job.paths == {"sums_v1": "bucket files"}
        assert rows_of(job.to_spark_df().toDF(*plain.to_spark_df().columns)) == rows_of(plain.to_spark_df())
        assert job.to_spark_df().columns[2:] == [f"sums_v1__{c.name}" for c in VIEW.columns]
    finally:
        spark.conf.set(ZONE, "UTC")


def test_a_gold_table_is_read_as_the_ledger_has_it(
    project: Project, lake: Lake, spark: SparkSession, fill: Fill
) -> None:
    rows = fill()
    path = lake.folder(view_table(VIEW))
    spark.read.format("delta").load(str(path)).withColumn("amount_sum_7d", F.lit(-1.0)).withColumn(
        "created_timestamp", F.lit(at(1e6))
    ).write.format("delta").mode("append").save(str(path))
    spine = spark.createDataFrame([(r[0], r[1]) for r in rows], "customer string, event_timestamp timestamp")
    by_files = project.ask(spine, "sums_v1:amount_sum_7d").to_spark_df()
    by_spark = project.ask(spine.withColumn("odd", F.expr("interval '1' year")), "sums_v1:amount_sum_7d")
    assert by_spark.paths == {"sums_v1": "spark: the column 'odd' of type interval year stays in the JVM"}
    assert by_files.where("amount_sum_7d = -1").count() == 0
    assert rows_of(by_spark.to_spark_df(), *by_files.columns) == rows_of(by_files)


def test_only_a_table_of_a_lake_is_found_by_its_folder(
    lake: Lake, spark: SparkSession, fill: Fill, tmp_path: Path
) -> None:
    fill()
    path = lake.folder(view_table(VIEW))
    for place in (str(path), f"file://{path}", f"{path}/"):
        located = table_at(place, "event_timestamp")
        assert located is not None
        assert (located[0].root, located[1].label) == (lake.root, "gold.sums_v1")
        assert (located[1].entity, located[1].time) == ("customer", "event_timestamp")
    spark.range(1).write.format("delta").save(str(tmp_path / "other" / "lake" / "gold" / "plain"))
    assert table_at(str(tmp_path / "other" / "lake" / "gold" / "plain"), "t") is None
    assert table_at(str(path.parent), "t") is None
    assert table_at(f"s3://bucket{path}", "t") is None


def test_what_cannot_be_asked_is_refused_with_a_reason(project: Project, spark: SparkSession) -> None:
    from feast import BatchFeatureView, Entity, FeatureView, Field, FileSource
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
    from feast.types import Int64
    from feast.value_type import ValueType

    project.view("stats", STATS, STAT_ROWS, ("driver",), hours(1))
    spine = spark.createDataFrame([(1, "yesterday")], "driver bigint, event_timestamp string")
    with pytest.raises(TidemillError, match="'event_timestamp' holds no times but string") as error:
        project.ask(spine, "stats:trips")
    assert error.value.code == "E_SPINE"
    with pytest.raises(TidemillError, match="not as list") as error:
        project.ask([(1, at(0))], "stats:trips")
    assert error.value.code == "E_SPINE"
    driver = Entity(name="someone", join_keys=["someone"], value_type=ValueType.INT64)
    source = FileSource(path=str(project.folder / "file.parquet"), timestamp_field="at", name="file")
    other = FeatureView(name="other", entities=[driver], schema=[Field(name="x", dtype=Int64)], source=source)
    from tidemill.features.feast_sources import source_view

    with pytest.raises(TidemillError, match="reads from a FileSource") as error:
        source_view(other, ["x"])
    assert error.value.code == "E_SOURCE_KIND"
    with quiet():
        rows = SparkSource(name="rows", table="rows", timestamp_field="at")
        changed = BatchFeatureView(
            name="changed", source=rows, entities=[driver], udf=lambda frame: frame, mode="pandas"
        )
    with pytest.raises(TidemillError, match="computes its features when they are read") as error:
        source_view(changed, ["x"])
    assert error.value.code == "E_SOURCE_KIND"


def test_inference_of_a_schema_leaves_the_session_as_it_was(project: Project, spark: SparkSession) -> None:
    from feast import Entity, FeatureView
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
    from feast.value_type import ValueType

    spark.createDataFrame(STAT_ROWS, STATS).write.parquet(str(project.folder / "inferred"))
    with quiet():
        driver = Entity(name="driver", join_keys=["driver"], value_type=ValueType.INT64)
        source = SparkSource(
            name="rows", path=str(project.folder / "inferred"), file_format="parquet", timestamp_field="at"
        )
        project.store.apply([driver, FeatureView(name="inferred", entities=[driver], source=source)])
        inferred = project.store.get_feature_view("inferred")
    assert {f.name for f in inferred.features} == {"made", "trips", "word"}
