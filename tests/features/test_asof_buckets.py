"""The as-of join by bucket files against a search row by row, and against its twin in plain Spark."""

import itertools
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tidemill.core.errors import TidemillError
from tidemill.core.time import to_micros
from tidemill.data.commit import commit
from tidemill.data.layout import with_layout
from tidemill.data.tables import Lake, Table
from tidemill.data.write import Batch
from tidemill.declare import Aggregate, Entity, FeatureView, Recency, Source, days, hours
from tidemill.features.asof import as_of_join, join_views
from tidemill.features.asof_buckets import Wanted, join_by_buckets
from tidemill.features.asof_choice import BY_BUCKETS, BY_SPARK, join_gold, why_not
from tidemill.features.asof_search import Lookup, look_up, micros
from tidemill.features.gold import read_view
from tidemill.features.tables import view_table

START = datetime(2024, 2, 28, tzinfo=UTC)
NULL = np.iinfo(np.int64).min

# ------------------------------------------------------------------------------- one bucket, without Spark

KEYS = st.sampled_from([None, "a", "b", "ä", "日本", "a b", "", "'"])
MOMENTS = st.integers(-3, 12)  # few: equal stamps and exact edges happen all the time
ROWS = st.lists(st.tuples(KEYS, st.none() | MOMENTS, st.none() | st.integers(0, 2)), max_size=25)
SPINE = st.lists(st.tuples(KEYS, st.none() | MOMENTS), max_size=20)
NAMES = pa.schema([("row", pa.int64()), ("word", pa.string()), ("late", pa.float64())])


def search(key: Any, at: int | None, rows: list[Any], ttl: int | None, delay: int, only: set[int] | None) -> set[Any]:
    """The places of the rows that are newest by stamp and then by creation; several where both are equal."""
    usable = [
        (stamp, -1 if made is None else made, place)
        for place, (owner, stamp, made) in enumerate(rows)
        if key is not None and owner == key and stamp is not None and at is not None
        if stamp + delay <= at and (ttl is None or stamp + delay >= at - ttl)
        if only is None or stamp in only
    ]
    best = max(((s, m) for s, m, _ in usable), default=None)
    return {place for s, m, place in usable if (s, m) == best} or {None}


def write_files(folder: Path, rows: list[Any], cuts: list[int], group: int, *, old: bool) -> tuple[str, ...]:
    """Rows as files of one bucket, in the order given; instants in 96 bits where `old`."""
    paths: list[str] = []
    for start, end in itertools.pairwise([0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]):
        part = rows[start:end]
        table = pa.table(
            {
                "k": pa.array([k for k, _, _ in part], pa.string()),
                "t": pa.array([t for _, t, _ in part], pa.timestamp("us", None if old else "UTC")),
                "made": pa.array([m for _, _, m in part], pa.timestamp("us", None if old else "UTC")),
                "row": pa.array(range(start, end), pa.int64()),
                "word": pa.array([f"w{place}" for place in range(start, end)]),
            }
        )
        path = str(folder / f"{start}-{len(paths)}.parquet")
        pq.write_table(table, path, row_group_size=group, use_deprecated_int96_timestamps=old)
        paths.append(path)
    return tuple(paths)


@settings(max_examples=300)
@given(
    rows=ROWS,
    spine=SPINE,
    ttl=st.none() | st.integers(0, 4),
    delay=st.integers(0, 3),
    only=st.none() | st.sets(MOMENTS, max_size=4),
    cuts=st.lists(st.integers(0, 25), max_size=2),
    group=st.integers(1, 30),
    piece=st.sampled_from([1, 4, 1000]),
    old=st.booleans(),
)
@example(
    rows=[("a", 0, 1), ("a", 0, 2), ("a", 0, None)],
    spine=[("a", 0), ("a", 4), ("a", 5)],
    ttl=4,
    delay=0,
    only=None,
    cuts=[1],
    group=1,
    piece=1,
    old=True,
)
def test_a_bucket_answers_as_a_search_row_by_row(
    rows: list[Any],
    spine: list[Any],
    ttl: int | None,
    delay: int,
    only: set[int] | None,
    cuts: list[int],
    group: int,
    piece: int,
    old: bool,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = {3: write_files(Path(folder), rows, cuts, group, old=old)}
        stamps = None if only is None else np.array(sorted(only), np.int64)
        lookup = Lookup(files, "k", "t", "made", NAMES, ttl, delay, stamps)
        keys = pa.array([k for k, _ in spine], pa.string())
        at = np.array([NULL if t is None else t for _, t in spine], np.int64)
        found, words, late = look_up(lookup, 3, keys, at, piece)
        nowhere = look_up(lookup, 2, keys, at, piece)
    assert late.to_pylist() == [None] * len(spine)  # the files were written before there was such a column
    assert [c.to_pylist() for c in nowhere] == [[None] * len(spine)] * 3
    for (key, t), place, word in zip(spine, found.to_pylist(), words.to_pylist(), strict=True):
        assert place in search(key, t, rows, ttl, delay, only)
        assert word == (None if place is None else f"w{place}")


def test_many_entities_are_told_apart_far_from_the_epoch(tmp_path: Path) -> None:
    far, count = 200_000_000_000_000_000, 70_000  # the year 8307; more entities than 16 bits count
    places = np.arange(count)
    np.random.default_rng(5).shuffle(places)
    rows = [(f"k{place}", far + int(place) % 7, None) for place in places]
    lookup = Lookup({0: write_files(tmp_path, rows, [30_000], 20_000, old=True)}, "k", "t", "made", NAMES, None)
    keys = pa.array([f"k{n}" for n in range(count)])
    found = look_up(lookup, 0, keys, np.full(count, far + 3))[0]
    expected = {int(place): row if place % 7 <= 3 else None for row, place in enumerate(places)}
    assert found.to_pylist() == [expected[n] for n in range(count)]


def test_instants_are_microseconds_whatever_their_unit_and_zone() -> None:
    moment = datetime(2024, 3, 31, 1, 30, tzinfo=UTC)
    array = pa.array([moment, None], pa.timestamp("us", "UTC"))
    for kind in (pa.timestamp("ms", "Europe/Berlin"), pa.timestamp("ns", "UTC"), pa.timestamp("us", "Asia/Kolkata")):
        assert micros(array.cast(kind)).tolist() == [1711848600000000, NULL]
    assert micros(pa.chunked_array([array, array])).tolist() == [1711848600000000, NULL] * 2


# -------------------------------------------------------------------------------------- tables and frames

GOLD = Table(
    "gold",
    "facts",
    (
        ("customer", "string"),
        ("event_timestamp", "timestamp"),
        ("value", "double"),
        ("word", "string"),
        ("price", "decimal(12,2)"),
        ("day", "date"),
        ("moment", "timestamp"),
        ("flag", "boolean"),
        ("number", "int"),
        ("created_timestamp", "timestamp"),
        ("batch_id", "string"),
        ("period", "string"),
        ("bucket", "int"),
    ),
    partitions=("period", "bucket"),
    sort=("event_timestamp", "customer"),
    entity="customer",
    time="event_timestamp",
)
BROUGHT = ("value", "word", "price", "day", "moment", "flag", "number")
NAMES_OF_CUSTOMERS = [None, *(f"c{n}" for n in range(20)), "ünï", "日本"]


def gold_rows(dice: random.Random) -> list[tuple[Any, ...]]:
    rows = {}
    for number in range(150):
        key, stamp = dice.choice(NAMES_OF_CUSTOMERS[1:]), START + dice.randrange(6) * hours(12)
        made = dice.choice([None, START + number * timedelta(seconds=1)])
        price = None if number % 5 == 0 else Decimal(number) / 4
        value = float("nan") if number % 7 == 0 else number / 3
        facts = (value, f"w{number}", price, stamp.date(), made, number % 2 == 0, number)
        rows[key, stamp, made] = (key, stamp, *facts, made)
    return list(rows.values())


def commit_rows(lake: Lake, spark: SparkSession, table: Table, name: str, rows: list[tuple[Any, ...]]) -> None:
    columns = [f"{n} {t}" for n, t in table.columns if n not in ("batch_id", "period", "bucket")]
    frame = spark.createDataFrame(rows, ", ".join(columns)).withColumn("batch_id", F.lit(name))
    assert lake.layout is not None
    commit(
        lake, table, Batch(name, {"batch": name}), with_layout(frame, table, lake.layout.buckets, lake.layout.period)
    )


def spine_rows(dice: random.Random) -> list[tuple[Any, ...]]:
    edges = [timedelta(0), hours(6), hours(12), hours(18), timedelta(microseconds=1), -timedelta(microseconds=1)]
    rows = [
        (dice.choice(NAMES_OF_CUSTOMERS), START + dice.randrange(8) * hours(12) + dice.choice(edges), [n], {"n": n})
        for n in range(120)
    ]
    return rows + rows[:7] + [("c1", None, [1], None), ("nobody", START, None, {})]


SPINE_SCHEMA = "customer string, event_timestamp timestamp, list array<int>, map map<string,int>"


def told(frame: DataFrame) -> list[str]:
    """Rows as texts, equal where every value is, NaN and times included."""
    return sorted(map(str, frame.collect()))


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize(("ttl", "delay"), [(hours(12), hours(6)), (timedelta(0), timedelta(0)), (days(2), hours(0))])
def test_frames_are_joined_as_by_plain_spark(
    lake: Lake, spark: SparkSession, zone: str, ttl: timedelta, delay: timedelta
) -> None:
    dice = random.Random(f"{ttl} {delay}")  # noqa: S311
    rows = gold_rows(dice)
    commit_rows(lake, spark, GOLD, "one", rows[::2])
    commit_rows(lake, spark, GOLD, "two", rows[1::2])
    spine = spark.createDataFrame(spine_rows(dice), SPINE_SCHEMA)
    wanted = Wanted(lake, GOLD, tuple((n, n) for n in BROUGHT), "created_timestamp", ttl, delay)
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        assert why_not(spine, "customer", "event_timestamp", [wanted]) == ""
        by_buckets = join_by_buckets(spine, "customer", "event_timestamp", [wanted])
        facts = spark.read.format("delta").load(str(lake.path(GOLD)))
        by_spark = as_of_join(spine, facts, "customer", list(BROUGHT), ttl, delay)
        assert by_buckets.schema == by_spark.schema
        assert told(by_buckets) == told(by_spark)
        assert by_buckets.where("word is not null").count() > 10
        assert by_buckets.count() == 129
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_rows_without_a_key_are_spread_over_the_buckets(lake: Lake, spark: SparkSession) -> None:
    commit_rows(lake, spark, GOLD, "one", gold_rows(random.Random(3)))  # noqa: S311
    rows = [(None, START + number * hours(1), None, None) for number in range(200)]
    wanted = Wanted(lake, GOLD, (("word", "word"),), "created_timestamp", None, hours(0))
    joined = join_by_buckets(spark.createDataFrame(rows, SPINE_SCHEMA), "customer", "event_timestamp", [wanted])
    shares = [r["count"] for r in joined.groupBy(F.spark_partition_id()).count().toLocalIterator()]
    assert len(shares) == 4
    assert max(shares) < 100
    assert joined.where("word is not null").count() == 0


def test_one_exchange_serves_all_views(lake: Lake, spark: SparkSession) -> None:
    other = replace(GOLD, name="others")
    for table in (GOLD, other):
        commit_rows(lake, spark, table, "one", gold_rows(random.Random(table.name)))  # noqa: S311
    spine = spark.createDataFrame(spine_rows(random.Random(1)), SPINE_SCHEMA)  # noqa: S311
    both = [
        Wanted(lake, table, (("word", f"{table.name}_word"),), "created_timestamp", None, hours(0))
        for table in (GOLD, other)
    ]
    joined = join_by_buckets(spine, "customer", "event_timestamp", both)
    plan = joined._jdf.queryExecution().executedPlan().toString()
    assert plan.count("Exchange") == 1
    assert plan.count("MapInArrow") == 1
    row = joined.where("facts_word is not null and others_word is not null").first()
    assert row is not None
    assert joined.columns == [*spine.columns, "facts_word", "others_word"]


# --------------------------------------------------------------------------------------------- the choice

CUSTOMER = Entity("customer")
EVENTS = Source("events", "events.yaml", CUSTOMER)
VIEW = FeatureView(
    "one",
    1,
    CUSTOMER,
    EVENTS,
    (Aggregate("sum", "amount", windows=(days(7),)), Recency()),
    cadence=days(1),
    ttl=days(3),
)
LATE = replace(VIEW, name="two", features=(Aggregate("count", windows=(days(1),)),), delay=hours(6))
TIMES = [START, START + days(1), START + days(5)]
Fill = Callable[[Lake], None]


@pytest.fixture
def fill(spark: SparkSession) -> Fill:
    """Builds two views at the spine's times, one of them six hours before, and at others."""

    def commit_views(lake: Lake) -> None:
        for view in (VIEW, LATE):
            stamps = [t - view.delay for t in [*TIMES, START - days(1), START + days(1) - hours(3)]]
            rows = [
                (f"c{n}", stamp, *[float(n + 10 * day + f) for f, _ in enumerate(view.columns)], START)
                for n in range(9)
                for day, stamp in enumerate(stamps)
                if (n + day) % 4
            ]
            commit_rows(lake, spark, view_table(view), f"first {view.name}", rows)

    return commit_views


def spine_of(spark: SparkSession) -> DataFrame:
    rows = [(f"c{n}", t, float(n)) for n in range(10) for t in TIMES] + [("c1", START, 1.0), (None, START, 0.0)]
    return spark.createDataFrame(rows, "customer string, event_timestamp timestamp, label double")


@pytest.mark.parametrize("period", ["all", "month"])
def test_views_are_joined_by_bucket_files_as_by_plain_spark(
    lake: Lake, spark: SparkSession, fill: Fill, period: str
) -> None:
    assert lake.layout is not None
    lake = replace(lake, layout=lake.layout.model_copy(update={"period": period}))
    fill(lake)
    spine, views = spine_of(spark), [VIEW, LATE]
    joined = join_gold(lake, spine, views, TIMES)
    assert (joined.path, joined.said) == (BY_BUCKETS, "bucket files")
    twin = join_views(spine, views, {v.table_name: read_view(spark, lake, v, TIMES) for v in views})
    columns = ["customer", "event_timestamp", "label", "amount_sum_7d", "recency_days", "events_count_1d"]
    assert joined.frame.columns == columns
    assert told(joined.frame) == told(twin.select(columns))
    assert joined.frame.count() == spine.count()
    one = joined.frame.where(F.col("customer") == "c3").orderBy("event_timestamp")
    values = [tuple(r)[3:] for r in one.toLocalIterator()]
    assert values == [(3.0, 4.0, 3.0), (0.0, None, 3.0), (23.0, 24.0, 23.0)]  # the 29th's own row is missing


def refuse_files(lake: Lake) -> str:
    from deltalake import DeltaTable, TableFeatures

    table = view_table(LATE)
    DeltaTable(str(lake.path(table))).alter.add_feature(
        [TableFeatures.DeletionVectors], allow_protocol_versions_increase=True
    )
    return f"{table.label} has deletionVectors"


def test_plain_spark_joins_what_files_cannot_and_says_why(lake: Lake, spark: SparkSession, fill: Fill) -> None:
    fill(lake)
    spine, views = spine_of(spark), [VIEW, LATE]
    expected = told(join_gold(lake, spine, views, TIMES).frame)
    odd = spine.withColumn("odd", F.expr("interval '1' year"))
    joined = join_gold(lake, odd, views, TIMES)
    assert joined.path == BY_SPARK
    assert joined.reason == "the column 'odd' of type interval year stays in the JVM"
    assert told(joined.frame.select(join_gold(lake, spine, views, TIMES).frame.columns)) == expected
    numbered = spine.withColumn("customer", F.lit(5))
    assert join_gold(lake, numbered, views, TIMES).reason == "the key 'customer' is no string but int"
    why = refuse_files(lake)
    joined = join_gold(lake, spine, views, TIMES)
    assert (joined.path, joined.said) == (BY_SPARK, f"spark: {why}")
    assert told(joined.frame.select(join_gold(lake, spine, [VIEW], TIMES).frame.columns)) != []


def test_a_view_that_was_never_built_is_no_input(lake: Lake, spark: SparkSession) -> None:
    with pytest.raises(TidemillError) as error:
        join_gold(lake, spine_of(spark), [VIEW], TIMES)
    assert error.value.code == "E_NO_TABLE"


def test_rows_that_are_not_ledgered_are_not_seen(lake: Lake, spark: SparkSession, fill: Fill) -> None:
    fill(lake)
    before = told(join_gold(lake, spine_of(spark), [VIEW], TIMES).frame)
    path = str(lake.path(view_table(VIEW)))
    spark.read.format("delta").load(path).write.format("delta").mode("append").save(path)
    assert told(join_gold(lake, spine_of(spark), [VIEW], TIMES).frame) == before


def test_tables_of_two_numbers_of_buckets_take_two_passes(lake: Lake, spark: SparkSession, fill: Fill) -> None:
    fill(lake)
    expected = told(join_gold(lake, spine_of(spark), [VIEW, LATE], TIMES).frame)
    assert lake.layout is not None
    wider = replace(lake, root=lake.root.with_name("wider"), layout=lake.layout.model_copy(update={"buckets": 8}))
    fill(wider)
    from tidemill.features.asof_choice import with_buckets

    wanted = [
        Wanted(where, view_table(v), tuple((f.name, f.name) for f in v.columns), None, v.ttl, v.delay)
        for where, v in ((wider, VIEW), (lake, LATE))
    ]
    joined = with_buckets(spine_of(spark), "customer", "event_timestamp", wanted)
    plan = joined._jdf.queryExecution().executedPlan().toString()
    assert plan.count("MapInArrow") == 2
    assert joined.columns == [
        "customer",
        "event_timestamp",
        "label",
        "amount_sum_7d",
        "recency_days",
        "events_count_1d",
    ]
    assert len(told(joined)) == len(expected)
    assert to_micros(START) % 1 == 0
