"""Windows from entity buckets against the naive twin and plain Spark: late rows, versions, odd numbers, skew."""

import itertools
import json
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import naive_twin as naive
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from naive_twin import AS_OFS, DAY, MICRO, Event
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tidemill.core.time import to_micros
from tidemill.data.buckets import BucketFiles, bucket_files
from tidemill.data.commit import commit
from tidemill.data.layout import with_layout
from tidemill.data.ordered_rows import read_pieces
from tidemill.data.read import read, read_arrow
from tidemill.data.schema import delta_schema
from tidemill.data.tables import Lake, Table
from tidemill.data.write import Batch
from tidemill.declare import (
    Aggregate,
    Calendar,
    Difference,
    Entity,
    FeatureView,
    Log1p,
    Ratio,
    Recency,
    Request,
    Source,
    Tenure,
    days,
    hours,
)
from tidemill.features.compute import build_view
from tidemill.features.conditions import NotArrowError, arrow_condition
from tidemill.features.gold import Builder, commit_view
from tidemill.features.pairs import with_validity
from tidemill.features.said import says
from tidemill.features.tables import view_table
from tidemill.features.window_path import build_from_buckets, window_path
from tidemill.features.window_plan import plan_of
from tidemill.features.windows_buckets import bucket_rows

CUSTOMER = Entity("customer")
EVENTS = Source("events", "events.yaml", CUSTOMER, key=("customer", "number"))
COLUMNS = [(part.split()[0], part.split()[1]) for part in naive.SCHEMA.split(", ")]
SILVER = Table(
    "silver",
    "events",
    (*COLUMNS, ("period", "string"), ("bucket", "int")),
    partitions=("period", "bucket"),
    sort=("customer", "event_time", "row_id"),
    entity="customer",
    time="event_time",
)
FILE = delta_schema(COLUMNS)
WINDOWS = (hours(6), days(30), days(1), days(7))  # in no order
NUMBERS = ("sum", "mean", "stddev", "min", "max", "first", "last", "count")
MEETS: dict[str | None, Callable[[Event], bool]] = {
    None: lambda _: True,
    "kind = 'b'": lambda e: e.kind == "b",
    "amount >= 0.1 and not (active or Kind in ('a', ''))": lambda e: (
        e.amount is not None
        and (math.isnan(e.amount) or e.amount >= 0.1)
        and e.active is False
        and e.kind not in {"a", "", None}
    ),
    "price < 100 or kind is null": lambda e: e.kind is None or (e.price is not None and e.price < 100),
}
CONDITIONS = tuple(text for text in MEETS if text is not None)


def view_of(*features: Any) -> FeatureView:
    return FeatureView("v", 1, CUSTOMER, EVENTS, features, cadence=days(1), ttl=days(1))


def aggregates(*windows: timedelta) -> list[Aggregate]:
    found = [Aggregate(f, c, windows=windows) for f, c in itertools.product(NUMBERS, ("amount", "price"))]
    found += [Aggregate("count", windows=windows), Aggregate("last_text", "kind", windows=windows)]
    for number, where in enumerate(CONDITIONS):
        found.append(Aggregate("sum", "price", windows=windows, where=where, name=f"p{number}"))
        found.append(Aggregate("count", "kind", windows=windows, where=where, name=f"k{number}"))
    return found


def told_by_texts(*windows: timedelta) -> list[Aggregate]:
    """Pivots and shares."""
    kinds = ("a", "none such")
    return [
        Aggregate("count", by="kind", values=kinds, windows=windows, name="of_kind"),
        Aggregate("last", "amount", by="kind", values=kinds, windows=windows),
        Aggregate(
            "sum", "price", by="active", values=("true", "false"), windows=windows, where=CONDITIONS[0], name="b"
        ),
        Aggregate("share", "kind", value="b", windows=windows),
        Aggregate("share", "active", value="true", windows=windows, by="kind", values=("b",)),
        Aggregate("share", "price", value="no number", windows=windows, where=CONDITIONS[1], name="none"),
    ]


BOUNDED = view_of(*aggregates(*WINDOWS), *told_by_texts(*WINDOWS[2:]), Aggregate("slope", "amount", windows=(days(7),)))
UNBOUNDED = view_of(
    *aggregates(),
    *told_by_texts(),
    Aggregate("slope", "price"),
    Aggregate("sum", "amount", windows=(days(7), days(30))),
    Recency(),
    Recency(where=CONDITIONS[0], name="b"),
    Tenure(),
)
BOTH_WAYS = view_of(  # plans of Spark take their time: fewer windows than above
    *aggregates(*WINDOWS[1:3]), *told_by_texts(WINDOWS[1]), Aggregate("slope", "price", windows=WINDOWS[1:3])
)
DERIVED = view_of(
    *UNBOUNDED.features,
    Ratio("amount_sum_7d", "amount_sum_30d"),
    Difference("recency_days", "tenure_days"),
    Log1p("price_sum"),
    Calendar(("hour", "weekday", "month")),
    Request("basket", "double", history=Aggregate("last", "amount")),
)
VIEWS = pytest.mark.parametrize("view", [BOUNDED, UNBOUNDED], ids=["bounded", "unbounded"])
CORRECTIONS = pytest.mark.parametrize("corrections", [False, True], ids=["events", "corrections"])
Rows = dict[tuple[str, datetime], dict[str, Any]]


def expected(view: FeatureView, world: list[Event], at: datetime) -> dict[str, tuple[Any, float]]:
    """Each feature's value, and the size that its rounding is measured by."""
    found: dict[str, tuple[Any, float]] = {}
    events = naive.seen(world, at)
    for item in view.features:
        names = [f.name for f in item.features()]
        if isinstance(item, Aggregate):
            for cell in item.cells():
                inside = [e for e in events if MEETS[item.where](e)]
                inside = [e for e in inside if cell.window is None or e.event_time >= at - cell.window]
                inside = [e for e in inside if item.by is None or said(e, item.by) == cell.value]
                values = [1 if item.column is None else getattr(e, item.column) for e in inside]
                found[cell.feature.name] = aggregated(item, values, [e.event_time for e in inside])
        elif isinstance(item, Recency | Tenure):
            where = item.where if isinstance(item, Recency) else None
            times = [e.event_time for e in events if MEETS[where](e)]
            edge = min if isinstance(item, Tenure) else max
            found[names[0]] = (naive.days_between(edge(times), at) if times else None, 0.0)
    return found


def said(event: Event, column: str) -> str | None:
    value = getattr(event, column)
    return None if value is None else naive.as_text(value)


def aggregated(item: Aggregate, values: list[Any], times: list[datetime]) -> tuple[Any, float]:
    if item.function == "share":
        return naive.share(values, str(item.value)), 0.0
    if item.function == "slope":
        return naive.slope(list(zip(times, values, strict=True)))
    # Squares lose half the digits: a standard deviation is as exact as the values' size allows.
    size = naive.scale(values) * (1e4 if item.function == "stddev" else 1)
    return naive.aggregate(item.function, values), size


def write_files(folder: Path, events: list[Event], parts: int, dice: random.Random, *, ordered: bool) -> BucketFiles:
    """The events of one bucket in so many files."""
    folder.mkdir(exist_ok=True)
    cut: list[list[Event]] = [[] for _ in range(parts)]
    for event in events:
        dice.choice(cut).append(event)
    paths = []
    for number, rows in enumerate(cut):
        if ordered:
            rows.sort(key=lambda e: (e.customer, e.event_time, e.row_id))
        else:
            dice.shuffle(rows)
        path = folder / f"{number}.parquet"
        table = pa.Table.from_pylist([vars(e) for e in rows], schema=FILE)
        pq.write_table(table, path, row_group_size=5, use_deprecated_int96_timestamps=bool(number % 2))
        paths.append(str(path))
    return BucketFiles(0, tuple(paths), 1, len(events))


def computed(files: BucketFiles, view: FeatureView, *, versions: bool, piece_rows: int = 1 << 20) -> Rows:
    """What a worker hands back, in this process."""
    times = tuple(to_micros(t) for t in AS_OFS)
    plan = replace(plan_of(SILVER, view, versions=versions), as_ofs=times, piece_rows=piece_rows)
    rows = [row for batch in bucket_rows(files, plan) for row in batch.to_pylist()]
    found = {(row["customer"], row["event_timestamp"]): row for row in rows}
    assert len(found) == len(rows), "one row per entity and as-of time"
    return found


def check(found: Rows, worlds: dict[str, list[Event]], view: FeatureView) -> None:
    keys = {(name, at) for name, world in worlds.items() for at in AS_OFS if naive.known(world, at)}
    assert set(found) == keys
    wrong = [
        (name, at.isoformat(), feature, found[(name, at)][feature], value)
        for name, at in sorted(keys)
        for feature, (value, size) in expected(view, worlds[name], at).items()
        if naive.differs(found[(name, at)][feature], value, size)
    ]
    assert wrong[:10] == []


def random_worlds(seed: int, many: int, *, corrections: bool) -> dict[str, list[Event]]:
    return {f"c{n}": naive.random_world(seed * 1000 + n, f"c{n}", corrections=corrections) for n in range(many)}


@VIEWS
@CORRECTIONS
@settings(
    max_examples=10,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(
    seed=st.integers(0, 2**20),
    parts=st.integers(1, 3),
    ordered=st.booleans(),
    piece_rows=st.sampled_from([1, 7, 25, 1 << 20]),
)
def test_a_bucket_equals_its_naive_twin(
    tmp_path: Path, view: FeatureView, corrections: bool, seed: int, parts: int, ordered: bool, piece_rows: int
) -> None:
    worlds = random_worlds(seed, 12, corrections=corrections)
    events = [e for world in worlds.values() for e in world]
    if not events:
        return
    files = write_files(tmp_path / "bucket", events, parts, random.Random(seed), ordered=ordered)  # noqa: S311
    check(computed(files, view, versions=corrections, piece_rows=piece_rows), worlds, view)


def event(customer: str, at: datetime, amount: float | None = 1.0, **others: Any) -> Event:
    facts = {"known_time": at, "seq": 0, "content": 0, "op": "upsert", "row_id": f"{customer} {at}"}
    given_ = {**facts, "price": None, "kind": "a", "active": None, **others}
    return Event(customer, at, amount=amount, **given_)


def one_file(folder: Path, events: list[Event]) -> BucketFiles:
    return write_files(folder, events, 1, random.Random(0), ordered=True)  # noqa: S311


def test_one_entity_never_disturbs_another(tmp_path: Path) -> None:
    at, first = AS_OFS[3], AS_OFS[0]
    values = {"a": [1e16, -1e16, 1e16], "b": [0.1, 0.2], "c": [math.nan], "d": [0.3], "e": [math.inf, -math.inf]}
    values["f"] = [0.7]
    world = [event(n, first + i * hours(1), v) for n, several in values.items() for i, v in enumerate(several)]
    trend = Aggregate("slope", "amount", windows=(days(30),))
    pivots = (Aggregate(f, "amount", by="kind", values=("a", "b"), windows=(days(30),)) for f in ("sum", "count"))
    view = view_of(*(Aggregate(f, "amount", windows=(days(30),)) for f in NUMBERS), trend, *pivots)
    found = {n: row for (n, t), row in computed(one_file(tmp_path, world), view, versions=False).items() if t == at}
    assert [found[n]["amount_sum_30d"] for n in ("a", "b", "d", "f")] == [1e16, 0.1 + 0.2, 0.3, 0.7]
    assert (found["d"]["amount_mean_30d"], found["d"]["amount_stddev_30d"]) == (0.3, None)
    assert (found["f"]["amount_min_30d"], found["f"]["amount_max_30d"]) == (0.7, 0.7)
    assert [found[n]["amount_a_sum_30d"] for n in ("a", "b", "d", "f")] == [1e16, 0.1 + 0.2, 0.3, 0.7]
    assert [found[n]["amount_b_sum_30d"] for n in values] == [0.0] * 6
    assert [found[n]["amount_a_count_30d"] for n in values] == [3.0, 2.0, 1.0, 1.0, 2.0, 1.0]
    # A line through two points; through one there is none, whatever its value.
    assert found["b"]["amount_slope_30d"] == pytest.approx(0.1 * 24, rel=1e-14)
    assert [found[n]["amount_slope_30d"] for n in ("c", "d", "f")] == [None] * 3
    assert math.isnan(found["e"]["amount_slope_30d"])
    assert math.isnan(found["c"]["amount_sum_30d"])
    assert math.isnan(found["e"]["amount_sum_30d"])
    assert (found["e"]["amount_min_30d"], found["e"]["amount_max_30d"]) == (-math.inf, math.inf)


def test_what_lies_outside_a_window_leaves_no_trace_in_it(tmp_path: Path) -> None:
    at = AS_OFS[3]
    world = [event("a", at - 40 * DAY, 1e16), event("a", at - 20 * DAY, math.nan), event("a", at - DAY, 0.6)]
    view = view_of(Aggregate("sum", "amount", windows=(days(1), days(30), days(90))))
    row = computed(one_file(tmp_path, world), view, versions=False)[("a", at)]
    assert row["amount_sum_1d"] == 0.6
    assert math.isnan(row["amount_sum_30d"])
    assert math.isnan(row["amount_sum_90d"])


def at_times(files: BucketFiles, view: FeatureView, times: list[datetime], *, versions: bool) -> list[Any]:
    """The first feature of the one entity at each time; `none` where it has no row."""
    plan = replace(plan_of(SILVER, view, versions=versions), as_ofs=tuple(to_micros(t) for t in times))
    rows = [row for batch in bucket_rows(files, plan) for row in batch.to_pylist()]
    found = {row["event_timestamp"]: row[view.columns[0].name] for row in rows}
    return [found.get(t, "none") for t in times]


@pytest.mark.parametrize("windows", [(), (days(30),)], ids=["everything", "window"])
def test_a_correction_counts_from_its_arrival(tmp_path: Path, windows: tuple[timedelta, ...]) -> None:
    first, second, gone = AS_OFS[0], AS_OFS[0] + DAY, AS_OFS[0] + 2 * DAY
    world = [
        event("a", first, 10.0, row_id="1", seq=1),
        event("a", first, 12.0, row_id="1", seq=2, known_time=second),
        event("a", first, None, row_id="1", seq=3, known_time=gone, op="delete"),
    ]
    times = [first, first + MICRO, second, second + MICRO, gone, gone + MICRO]
    view = view_of(Aggregate("sum", "amount", windows=windows))
    found = at_times(one_file(tmp_path, world), view, times, versions=True)
    assert found == ["none", 10.0, 10.0, 12.0, 12.0, 0.0]


def test_a_window_and_an_arrival_are_exact_to_the_microsecond(tmp_path: Path) -> None:
    happened, arrived = AS_OFS[0], AS_OFS[0] + DAY
    world = [event("a", happened, 1.0, known_time=arrived)]
    times = [happened + MICRO, arrived, arrived + MICRO, happened + 7 * DAY, happened + 7 * DAY + MICRO]
    view = view_of(Aggregate("sum", "amount", windows=(days(7),)))
    found = at_times(one_file(tmp_path, world), view, times, versions=False)
    assert found == ["none", "none", 1.0, 1.0, 0.0]


def test_a_long_sum_is_as_exact_as_a_short_one(tmp_path: Path) -> None:
    at, dice = AS_OFS[3], random.Random(7)  # noqa: S311
    amounts = [dice.lognormvariate(3, 2) for _ in range(20_000)]
    world = [event("a", at - DAY - n * MICRO, amount) for n, amount in enumerate(amounts)]
    view = view_of(*(Aggregate(f, "amount") for f in ("sum", "mean", "stddev")))
    row = computed(one_file(tmp_path, world), view, versions=False)[("a", at)]
    exact = math.fsum(amounts)
    assert abs(row["amount_sum"] - exact) <= 1e-14 * exact
    mean = exact / len(amounts)
    spread = math.sqrt(math.fsum((a - mean) ** 2 for a in amounts) / (len(amounts) - 1))
    assert row["amount_stddev"] == pytest.approx(spread, rel=1e-13)


def test_a_spread_far_from_zero_does_not_cancel(tmp_path: Path) -> None:
    at = AS_OFS[3]
    world = [event("a", at - DAY - n * hours(5), 1e9 + n % 2) for n in range(100)]
    view = view_of(Aggregate("stddev", "amount", windows=(days(7), days(90))))
    row = computed(one_file(tmp_path, world), view, versions=False)[("a", at)]
    # The difference of two means near 1e9 has nine digits left; sums of squares would have none.
    assert row["amount_stddev_90d"] == pytest.approx(math.sqrt(25 / 99), rel=1e-9)


def test_a_trend_of_microseconds_long_ago_does_not_cancel(tmp_path: Path) -> None:
    at, far = AS_OFS[3], AS_OFS[3] - 20 * 365 * DAY
    world = [event("a", far + n * MICRO, 1e9 + 2 * n) for n in range(5)]
    world += [event("b", at - (n + 1) * 6 * DAY, 1e9 - 0.25 * n) for n in range(60)]
    view = view_of(Aggregate("slope", "amount"), Aggregate("slope", "amount", windows=(days(30), days(90), days(720))))
    found = computed(one_file(tmp_path, world), view, versions=False)
    assert found[("a", at)]["amount_slope"] == pytest.approx(2 * 86_400e6, rel=1e-9)
    trends = [found[("b", at)][f"amount_slope{end}"] for end in ("", "_30d", "_90d", "_720d")]
    assert trends == pytest.approx([0.25 / 6] * 4, rel=1e-9)


def wide(kind: str, values: list[Any], folder: Path) -> tuple[Table, BucketFiles]:
    """A table with a column of another type in the place of `price`."""
    columns = tuple((n, kind if n == "price" else k) for n, k in SILVER.columns)
    schema = delta_schema([(n, k) for n, k in columns if n not in {"period", "bucket"}])
    rows = [vars(event("a", AS_OFS[0] - n * DAY, price=value)) for n, value in enumerate(values)]
    path = folder / "wide.parquet"
    pq.write_table(pa.Table.from_pylist(rows[::-1], schema=schema), path)
    return replace(SILVER, columns=columns), BucketFiles(0, (str(path),), 1, len(rows))


@pytest.mark.parametrize(
    ("kind", "values", "total"),
    [
        ("decimal(18,2)", [Decimal("9999999999999999.99")] * 2000, 2000 * 999999999999999999 / 100),
        ("decimal(18,2)", [Decimal("90071992547409.93")], 90071992547409.93),  # digits that two roundings would change
        ("decimal(18,0)", [Decimal(2**53 + 1), Decimal(2)], float(2**53 + 3)),
        ("bigint", [2**62, 2**62, 2**62, -(2**62)], float(2**63)),
        ("int", [2**31 - 1] * 3, 3.0 * (2**31 - 1)),
    ],
)
def test_whole_numbers_are_summed_exactly_and_rounded_once(
    tmp_path: Path, kind: str, values: list[Any], total: float
) -> None:
    table, files = wide(kind, values, tmp_path)
    view = view_of(*(Aggregate(f, "price") for f in ("sum", "min", "max", "mean")))
    for piece_rows in (1, 1 << 20):
        times = (to_micros(AS_OFS[1]),)
        plan = replace(plan_of(table, view, versions=False), as_ofs=times, piece_rows=piece_rows)
        (row,) = [row for batch in bucket_rows(files, plan) for row in batch.to_pylist()]
        found = tuple(row[f"price_{name}"] for name in ("sum", "min", "max", "mean"))
        assert found == (total, float(min(values)), float(max(values)), total / len(values))


def test_an_entity_with_most_of_the_events_is_worked_through_in_pieces(tmp_path: Path) -> None:
    dice = random.Random(3)  # noqa: S311
    worlds = {
        name: [
            event(
                name,
                AS_OFS[5] - timedelta(seconds=dice.randrange(40 * 86_400)),
                dice.uniform(-9, 9),
                price=Decimal(dice.randint(-999, 999)) / 100,
                row_id=f"{name}-{n}",
                kind=dice.choice("ab"),
            )
            for n in range(many)
        ]
        for name, many in (("a", 20), ("big", 1000), ("c", 30))
    }
    events = [e for world in worlds.values() for e in world]
    files = write_files(tmp_path / "bucket", events, 3, dice, ordered=True)
    most = 80
    pieces = list(read_pieces(files.paths, files.rows, FILE, "customer", most, whole_entities=False))
    assert max(p.rows.num_rows for p in pieces) <= 2 * most
    assert sum(p.rows.num_rows for p in pieces) == len(events)
    assert [p.last for p in pieces] == [False] * (len(pieces) - 1) + [True]
    whole = max(
        read_pieces(files.paths, files.rows, FILE, "customer", most, whole_entities=True), key=lambda p: len(p.codes)
    )
    assert whole.rows.num_rows >= 1000
    # The twin's trends are sums of fractions, and thousands of them take their time.
    view = view_of(*(f for f in UNBOUNDED.features if not (isinstance(f, Aggregate) and f.function == "slope")))
    check(computed(files, view, versions=False, piece_rows=most), worlds, view)


# ------------------------------------------------------------------------------------------------------- with a lake


def deliver(lake: Lake, spark: SparkSession, name: str, events: Iterable[Event], *, revised: int = 0) -> None:
    """Commits events as a silver batch."""
    rows = list(events)
    frame = spark.createDataFrame([e.as_row() for e in rows], naive.SCHEMA)
    counts = {"first_known": min(to_micros(e.known_time) for e in rows), "revised": revised}
    commit(lake, SILVER, Batch(name, {"batch": name}), with_layout(frame, SILVER, 4, "all"), counts=counts)


def from_buckets(lake: Lake, spark: SparkSession, view: FeatureView, times: Iterable[datetime] = AS_OFS) -> DataFrame:
    path = window_path(lake, SILVER, view)
    assert path.plan is not None, path.why_spark
    return build_from_buckets(spark, bucket_files(lake, SILVER), view, path.plan, times)


def rows_of(frame: DataFrame) -> Rows:
    rows = list(frame.toLocalIterator())
    found = {(row["customer"], row["event_timestamp"].replace(tzinfo=UTC)): row.asDict() for row in rows}
    assert len(found) == len(rows), "one row per entity and as-of time"
    return found


@pytest.mark.parametrize("view", [BOTH_WAYS, DERIVED], ids=["bounded", "derived"])
@CORRECTIONS
def test_both_paths_give_the_same_rows(lake: Lake, spark: SparkSession, view: FeatureView, corrections: bool) -> None:
    worlds = random_worlds(17 + corrections, 40, corrections=corrections)
    events = [e for world in worlds.values() for e in world]
    for number in range(3):  # three files a bucket
        deliver(lake, spark, f"batch {number}", events[number::3], revised=int(corrections))
    frame = from_buckets(lake, spark, view)
    twin = build_view(_versions(lake, spark, corrections), view, AS_OFS)
    assert frame.schema == twin.schema
    found, spark_rows = rows_of(frame), rows_of(twin)
    assert found.keys() == spark_rows.keys()
    sizes = {key: expected(view, worlds[key[0]], key[1]) for key in found}
    wrong = [
        (key, feature, row[feature], spark_rows[key][feature])
        for key, row in found.items()
        for feature in row
        if feature not in {"customer", "event_timestamp"}
        # What is derived from others follows them: a ratio of two sums that nearly cancel is as exact as they are.
        and feature != "amount_sum_7d_per_amount_sum_30d"
        and naive.differs(
            row[feature],
            spark_rows[key][feature],
            sizes[key].get(feature, (0, sizes[key].get("price_sum", (0, 0))[1]))[1],
        )
    ]
    assert wrong[:10] == []
    check(found, worlds, view)


def _versions(lake: Lake, spark: SparkSession, corrections: bool) -> DataFrame:
    return with_validity(read(spark, lake, SILVER), versions=corrections)


def test_nothing_is_shuffled(lake: Lake, spark: SparkSession) -> None:
    deliver(lake, spark, "one", [event("a", AS_OFS[0])])
    plans = [f._jdf.queryExecution().toString() for f in (from_buckets(lake, spark, DERIVED), _twin(lake, spark))]
    assert ["Exchange" in plan for plan in plans] == [False, True]


def _twin(lake: Lake, spark: SparkSession) -> DataFrame:
    return build_view(_versions(lake, spark, corrections=False), DERIVED, AS_OFS)


def test_an_instant_far_away_stays_where_it_is(lake: Lake, spark: SparkSession) -> None:
    far = datetime(2300, 1, 1, tzinfo=UTC)  # its nanoseconds do not fit into 64 bits
    deliver(lake, spark, "one", [event("a", far), event("b", AS_OFS[0])])
    found = rows_of(from_buckets(lake, spark, view_of(Recency()), [AS_OFS[1], far + 2 * DAY]))
    assert {key: row["recency_days"] for key, row in found.items()} == {
        ("b", AS_OFS[1]): 1.0,
        ("a", far + 2 * DAY): 2.0,
        ("b", far + 2 * DAY): (far + 2 * DAY - AS_OFS[0]) / DAY,
    }


def test_a_column_that_older_files_lack_is_null_there(lake: Lake, spark: SparkSession) -> None:
    deliver(lake, spark, "one", [event("a", AS_OFS[0])])
    wider = replace(SILVER, columns=(*SILVER.columns, ("weight", "double"), ("colour", "string")), evolves=True)
    rows = [event("a", AS_OFS[0] + hours(1)).as_row()]
    frame = spark.createDataFrame(rows, naive.SCHEMA).withColumns({"weight": F.lit(2.5), "colour": F.lit("red")})
    placed = with_layout(frame, wider, 4, "all")
    commit(lake, wider, Batch("two", {}), placed, counts={"first_known": 0, "revised": 0})
    view = view_of(
        *(Aggregate(f, "weight") for f in ("count", "sum")),
        Aggregate("last_text", "colour"),
        Aggregate("count", where="colour is null", name="bare"),
    )
    path = window_path(lake, wider, view)
    assert path.plan is not None
    (row,) = rows_of(build_from_buckets(spark, bucket_files(lake, wider), view, path.plan, AS_OFS[1:2])).values()
    values = [row[f.name] for f in view.columns]
    assert values == [1.0, 2.5, "red", 1.0]


TOO_WIDE = replace(SILVER, columns=tuple((n, "decimal(20,2)" if n == "price" else k) for n, k in SILVER.columns))


@pytest.mark.parametrize(
    ("view", "silver", "why"),
    [
        (view_of(Aggregate("count_distinct", "kind")), SILVER, "count_distinct has no Arrow form"),
        (view_of(Aggregate("max", "active")), SILVER, "max of active, which is of type boolean"),
        (view_of(Aggregate("share", "amount", value="1.0")), SILVER, "the text of a double"),
        (
            view_of(Aggregate("count", by="event_time", values=("a",))),
            SILVER,
            "'event_time' is none of the contract's columns",
        ),
        (view_of(Aggregate("top", "price", by="kind", values=("a",))), SILVER, "top has no Arrow form"),
        (view_of(Aggregate("sum", "price")), TOO_WIDE, "sum of price, which is of type decimal(20,2)"),
        (view_of(Aggregate("max", "seq")), SILVER, "'seq' is none of the contract's columns"),
        (
            view_of(Recency(where="lower(kind) = 'a'", name="a")),
            SILVER,
            "the condition \"lower(kind) = 'a'\": \"lower(kind) = 'a'\" is not understood",
        ),
        (
            view_of(Aggregate("count", where="op = 'delete'", name="gone")),
            SILVER,
            "the condition \"op = 'delete'\": 'op' is no column that it may read",
        ),
        (view_of(Recency()), replace(SILVER, entity="kind"), "silver.events has its buckets by kind"),
        (view_of(Recency()), replace(SILVER, partitions=()), "silver.events has no buckets"),
        (view_of(Recency()), replace(SILVER, name="others"), "silver.others holds nothing yet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_spark_computes_what_workers_cannot_and_says_why(
    lake: Lake, spark: SparkSession, view: FeatureView, silver: Table, why: str
) -> None:
    deliver(lake, spark, "one", [event("a", AS_OFS[0])])
    path = window_path(lake, silver, view)
    assert (path.plan, path.why_spark, str(path)) == (None, why, f"spark: {why}")


def test_corrections_that_may_change_the_entity_go_to_spark(lake: Lake, spark: SparkSession) -> None:
    world = [event("a", AS_OFS[0], row_id="1"), event("b", AS_OFS[0], row_id="1", seq=1, known_time=AS_OFS[2])]
    deliver(lake, spark, "one", world, revised=1)
    by_number = replace(UNBOUNDED, source=replace(EVENTS, key=("number",)))
    assert str(window_path(lake, SILVER, by_number)) == (
        "spark: silver.events has corrections, and its rows are known by number alone"
    )
    assert str(window_path(lake, SILVER, UNBOUNDED)) == "buckets"


def test_a_table_with_deletion_vectors_goes_to_spark(lake: Lake, spark: SparkSession) -> None:
    deliver(lake, spark, "one", [event("a", AS_OFS[0])])
    spark.sql(f"ALTER TABLE delta.`{lake.path(SILVER)}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    assert "deletionVectors" in (DeltaTable(str(lake.path(SILVER))).protocol().writer_features or [])
    assert str(window_path(lake, SILVER, UNBOUNDED)) == "spark: silver.events has deletionVectors"


def test_gold_is_the_same_whichever_way_it_is_built(
    lake: Lake, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds = random_worlds(5, 25, corrections=False)
    deliver(lake, spark, "one", [e for world in worlds.values() for e in world])
    exact = (*(Aggregate(f, "price", windows=WINDOWS) for f in NUMBERS if f != "stddev"), Recency(), Tenure())
    builder = Builder(lake, {"events": SILVER}, lambda: spark, AS_OFS[-1], {})
    gold = []
    for name, refused in (("by_buckets", False), ("by_spark", True)):
        view = replace(view_of(*exact), name=name)
        if refused:
            monkeypatch.setattr("tidemill.features.window_path.why_not_by_files", lambda *_: "no files today")
        assert str(builder.path(view)) == ("spark: no files today" if refused else "buckets")
        assert commit_view(builder, view, AS_OFS) == len(AS_OFS)
        rows = read_arrow(lake, view_table(view)).drop_columns(["created_timestamp", "batch_id"]).to_pylist()
        gold.append(sorted(rows, key=lambda r: (r["customer"], r["event_timestamp"])))
    assert len(gold[0]) > 100
    assert gold[0] == gold[1]
    assert len(bucket_files(lake, SILVER)) > 1


def test_the_run_record_says_which_path_ran(shop: Any) -> None:
    shop.deliver("one.csv", "Customer,At,Amount\n" + "".join(f"c{n % 3},2024-01-{n:02},{n}.10\n" for n in range(1, 29)))
    code, _ = shop.run("ingest refine build_features", "--as-of", "2024-01-25")
    assert code == 0
    (summary,) = (shop.root / "runs").glob("*/summary.json")
    assert json.loads(summary.read_text("utf-8"))["facts"]["paths"] == {"orders_of_customer_v1": "buckets"}


NUMERALS = ["1", "-1", "1.5", "0", "100.005", "2.50"]
JUDGED = [
    *(
        f"{c} {sign} {n}"
        for c, n in itertools.product(("amount", "price", "seq"), NUMERALS)
        for sign in ("<", ">=", "=")
    ),
    *(f"{n} {sign} amount" for n in NUMERALS[:3] for sign in ("<>", ">", "<=")),
    *(f"kind {sign} 'a'" for sign in ("=", "!=", "<", ">", "<=", ">=")),
    "kind in ('a', '', 'zz')",
    "KIND not in ('a')",
    "amount in (1, -1.5, 0.1)",
    "not active",
    "active = true or amount is null",
    "not (active and price > 0)",
    "active and not kind = 'b' or price is not null and price <= 1",
    "`kind` == 'b' AND (amount <> 0.1 OR NOT active = false)",
    "kind is null or kind = ''",
]


WRITTEN = [
    *itertools.product(("kind",), ("a", "", "true", "A")),
    *itertools.product(("active",), ("true", "false", "True", "")),
    *itertools.product(("seq",), ("1", "01", "-0", "1.0", "9223372036854775808", "one")),
    *itertools.product(("price",), ("0.00", "-0.00", "1", "1e2", "99999999999.00", "nan")),
]


def test_conditions_mean_what_they_mean_to_spark(spark: SparkSession) -> None:
    worlds = random_worlds(99, 60, corrections=False).values()
    rows = [e for world in worlds for e in world] + [event("n", AS_OFS[0], amount=math.nan, kind=None)]
    frame = spark.createDataFrame([(i, *e.as_row()) for i, e in enumerate(rows)], f"_row int, {naive.SCHEMA}")
    table = pa.Table.from_pylist([vars(e) for e in rows], FILE).append_column("_row", pa.array(range(len(rows))))
    columns = dict(COLUMNS)
    written = [("price", f"{price:.2f}") for price in sorted({e.price for e in rows if e.price is not None})[:5]]
    texts = [*WRITTEN, *written]
    spoken = [F.col(column).cast("string") == F.lit(value) for column, value in texts]
    spark_says = [*map(F.expr, JUDGED), *spoken]
    marks = [F.coalesce(column, F.lit(False)).alias(str(n)) for n, column in enumerate(spark_says)]
    judged = [row.asDict() for row in frame.select("_row", *marks).toLocalIterator()]
    conditions = [*(arrow_condition(text, columns) for text in JUDGED), *(says(*pair, columns) for pair in texts)]
    sizes = []
    for number, condition in enumerate(conditions):
        there = set(table.filter(condition.holds)["_row"].to_pylist())
        assert there == {row["_row"] for row in judged if row[str(number)]}, condition.text
        sizes.append(len(there))
    assert all(sizes[len(JUDGED) + len(WRITTEN) :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kind",
        "1",
        "1 = 1",
        "kind = 1",
        "amount = 'a'",
        "amount = price",
        "amount > amount",
        "kind = 'it''s'",
        "kind = 'a\\'",
        'kind = "a"',
        "kind like 'a%'",
        "kind = 'a' kind = 'b'",
        "(kind = 'a'",
        "kind in ('a', null)",
        "kind in ()",
        "kind is 'a'",
        "amount + 1 = 2",
        "amount = 1e3",
        "amount = 12345678901234567890",
        "amount between 1 and 2",
        "event_time > timestamp'2024-01-01'",
        "upper(kind) = 'A'",
        "other = 1",
        "kind <=> 'a'",
        "not active = 'yes'",
        "price = --1",
    ],
)
def test_what_is_not_surely_alike_is_left_to_spark(text: str) -> None:
    with pytest.raises(NotArrowError):
        arrow_condition(text, dict(COLUMNS))
