"""Every feature against its naive twin, on random worlds: one Spark call computes many of them."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import naive_twin as naive
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from naive_twin import AS_OFS, DAY, MICRO, Event
from pyspark.sql import SparkSession
from tidemill.declare import (
    Aggregate,
    Calendar,
    Difference,
    Entity,
    FeatureView,
    Log1p,
    Ratio,
    Recency,
    Source,
    Tenure,
    days,
    hours,
)
from tidemill.features.compute import build_view
from tidemill.features.pairs import with_validity
from worlds import check_worlds, event, frame_of, rows_of

CUSTOMER = Entity("customer")
EVENTS = Source("events", "events.yaml", CUSTOMER)
WINDOWS = (hours(6), days(1), days(7), days(30))
FUNCTIONS = tuple(
    (name, column)
    for name, columns in {
        "count": (None, "amount"),
        "count_distinct": ("amount", "kind"),
        "sum": ("amount", "price"),
        "mean": ("amount", "price"),
        "stddev": ("amount", "price"),
        "min": ("amount", "price"),
        "max": ("amount", "price"),
        "first": ("amount", "price"),
        "last": ("amount", "price"),
        "last_text": ("kind",),
    }.items()
    for column in columns
)
WINDOWED = tuple(Aggregate(name, column, windows=WINDOWS) for name, column in FUNCTIONS)
BOUNDED = FeatureView(
    "bounded",
    1,
    CUSTOMER,
    EVENTS,
    (*WINDOWED, Aggregate("sum", "price", windows=(days(7),), where="kind = 'b'", name="b")),
    cadence=days(1),
    ttl=days(1),
)
UNBOUNDED = FeatureView(
    "unbounded",
    1,
    CUSTOMER,
    EVENTS,
    (
        *(Aggregate(name, column) for name, column in FUNCTIONS),
        Aggregate("sum", "amount", windows=(days(7), days(30))),
        Aggregate("count", where="kind = 'a'", name="a"),
        Recency(),
        Recency(where="kind = 'a'", name="a"),
        Tenure(),
        Ratio("amount_sum_7d", "amount_sum_30d"),
        Ratio("price_sum", "a_count", name="price_per_a"),
        Difference("recency_days", "tenure_days"),
        Difference("amount_max", "amount_min", name="spread"),
        Log1p("price_sum"),
        Log1p("amount_sum"),
        Calendar(("hour", "weekday", "month")),
    ),
    cadence=days(1),
    ttl=days(1),
)
BATCH = settings(
    max_examples=2,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
seeds = st.lists(st.integers(0, 2**32), min_size=40, max_size=40, unique=True)


def expected_bounded(world: list[Event], at: datetime) -> dict[str, tuple[Any, float]]:
    """Each feature's value, and the size that its rounding is measured by."""
    found = {}
    for name, column in FUNCTIONS:
        for window, label in zip(WINDOWS, ("6h", "1d", "7d", "30d"), strict=True):
            values = [
                1 if column is None else getattr(e, column)
                for e in naive.seen(world, at)
                if e.event_time >= at - window
            ]
            found[f"{column or 'events'}_{name}_{label}"] = _aggregated(name, values)
    prices = [e.price for e in naive.seen(world, at) if e.kind == "b" and e.event_time >= at - 7 * DAY]
    found["b_sum_7d"] = _aggregated("sum", prices)
    return found


def expected_unbounded(world: list[Event], at: datetime) -> dict[str, tuple[Any, float]]:
    seen = naive.seen(world, at)
    found = {}
    for name, column in FUNCTIONS:
        found[f"{column or 'events'}_{name}"] = _aggregated(
            name, [1 if column is None else getattr(e, column) for e in seen]
        )
    for label, window in (("7d", 7 * DAY), ("30d", 30 * DAY)):
        found[f"amount_sum_{label}"] = _aggregated("sum", [e.amount for e in seen if e.event_time >= at - window])
    times, a_times = [e.event_time for e in seen], [e.event_time for e in seen if e.kind == "a"]
    recency = naive.days_between(max(times), at) if times else None
    tenure = naive.days_between(min(times), at) if times else None
    found["a_count"] = (float(len(a_times)), 0.0)
    found["recency_days"], found["tenure_days"] = (recency, 0.0), (tenure, 0.0)
    found["a_recency_days"] = (naive.days_between(max(a_times), at) if a_times else None, 0.0)
    found["recency_days_minus_tenure_days"] = (naive.difference(recency, tenure), 0.0)
    found["spread"] = (naive.difference(found["amount_max"][0], found["amount_min"][0]), found["amount_sum"][1])
    found["price_per_a"] = (naive.ratio(found["price_sum"][0], found["a_count"][0]), 0.0)
    found["price_sum_log"] = (naive.log1p(found["price_sum"][0]), 0.0)
    found["as_of_hour"], found["as_of_month"] = (float(at.hour), 0.0), (float(at.month), 0.0)
    found["as_of_weekday"] = (float(at.weekday()), 0.0)
    return found


def _aggregated(name: str, values: list[Any]) -> tuple[Any, float]:
    size = naive.scale(values)
    # Squares lose half the digits: a standard deviation is as exact as the values' size allows.
    return naive.aggregate(name, values), size * 1e4 if name == "stddev" else size


def test_every_aggregate_has_a_twin_here() -> None:
    folder = Path(__file__).resolve().parents[2] / "lib/tidemill/features/aggregates"
    others = {"top", "share", "quantile", "slope"}  # of test_histories
    assert {p.stem for p in folder.glob("*.py")} - {"__init__", "kind"} == {name for name, _ in FUNCTIONS} | others


@pytest.mark.parametrize("corrections", [False, True], ids=["events", "corrections"])
@pytest.mark.parametrize("view", [BOUNDED, UNBOUNDED], ids=lambda view: view.name)
@BATCH
@given(seeds=seeds)
def test_features_equal_their_naive_twins(
    spark: SparkSession, view: FeatureView, corrections: bool, seeds: list[int]
) -> None:
    worlds = {f"c{i}": naive.random_world(seed, f"c{i}", corrections=corrections) for i, seed in enumerate(seeds)}
    found = rows_of(build_view(frame_of(spark, list(worlds.values())), view, AS_OFS))
    check_worlds(found, worlds, expected_bounded if view is BOUNDED else expected_unbounded)
    if view is UNBOUNDED:
        for row in found.values():  # of the very values that stand beside them
            got = (row["amount_sum_7d_per_amount_sum_30d"], row["amount_sum_log"])
            twins = (naive.ratio(row["amount_sum_7d"], row["amount_sum_30d"]), naive.log1p(row["amount_sum"]))
            assert not any(naive.differs(a, b, 0.0) for a, b in zip(got, twins, strict=True)), row


def view_of(*features: Any) -> FeatureView:
    return FeatureView("v", 1, CUSTOMER, EVENTS, features, cadence=days(1), ttl=days(1))


def test_windows_are_exact_to_the_microsecond(spark: SparkSession) -> None:
    at = datetime(2024, 3, 8, tzinfo=UTC)
    late = {"known_time": at - MICRO}, {"known_time": at}
    world = [
        event("edge", "2024-03-01T00:00:00", 1.0),  # the first instant of the week
        event("edge", "2024-02-29T23:59:59.999999", 10.0),  # one microsecond too old
        event("edge", "2024-03-07T23:59:59.999999", 100.0),  # the last instant that T sees
        event("edge", "2024-03-08T00:00:00", 1000.0),  # T itself
        event("edge", "2024-03-02T00:00:00", 10000.0, **late[0]),  # known just before T
        event("edge", "2024-03-03T00:00:00", 100000.0, **late[1]),  # known at T: too late
        event("new", "2024-03-08T00:00:00", 1.0),
        event("new", "2024-03-01T12:00:00", 1.0, **late[1]),
        event("old", "2020-02-29T00:00:00", 7.0),
    ]
    view = view_of(Aggregate("sum", "amount", windows=(days(7),)), Aggregate("max", "amount", windows=(days(7),)))
    found = rows_of(build_view(frame_of(spark, [world]), view, [at]))
    assert found[("edge", at)]["amount_sum_7d"] == 10101.0
    assert found[("old", at)]["amount_sum_7d"] == 0.0
    assert found[("old", at)]["amount_max_7d"] is None
    assert set(found) == {("edge", at), ("old", at)}


def test_one_entity_never_disturbs_another(spark: SparkSession) -> None:
    at = datetime(2024, 3, 8, tzinfo=UTC)
    values = {
        "a": [1e16, -1e16, 1e16],
        "b": [0.1, 0.2],
        "c": [math.nan],
        "d": [0.3],
        "e": [math.inf, -math.inf],
        "f": [0.7],
    }
    world = [
        event(name, f"2024-03-0{day}T00:00:00", value)
        for name, several in values.items()
        for day, value in enumerate(several, start=1)
    ]
    view = view_of(*(Aggregate(f, "amount") for f in ("sum", "mean", "stddev", "min", "max")))
    built = build_view(frame_of(spark, [world]).coalesce(1), view, [at])
    rows = {name: row for (name, _), row in rows_of(built).items()}
    assert rows["a"]["amount_sum"] == 1e16
    assert rows["b"]["amount_sum"] == pytest.approx(0.3, rel=1e-15)
    assert (rows["d"]["amount_sum"], rows["d"]["amount_mean"], rows["d"]["amount_stddev"]) == (0.3, 0.3, None)
    assert (rows["f"]["amount_sum"], rows["f"]["amount_min"]) == (0.7, 0.7)
    assert math.isnan(rows["c"]["amount_sum"])
    assert math.isnan(rows["e"]["amount_sum"])
    assert (rows["e"]["amount_min"], rows["e"]["amount_max"]) == (-math.inf, math.inf)


def test_money_is_summed_exactly(spark: SparkSession) -> None:
    at = datetime(2024, 3, 8, tzinfo=UTC)
    world = [event("a", f"2024-03-01T00:{n:02}:00", price=Decimal("0.10")) for n in range(30)]
    view = view_of(Aggregate("sum", "price"), Aggregate("mean", "price"))
    found = rows_of(build_view(frame_of(spark, [world]), view, [at]))
    assert (found[("a", at)]["price_sum"], found[("a", at)]["price_mean"]) == (3.0, 0.1)


def test_a_correction_counts_from_its_arrival(spark: SparkSession) -> None:
    row = {"row_id": "order 1"}
    first, second, gone = (datetime(2024, 3, day, tzinfo=UTC) for day in (1, 3, 5))
    world = [
        event("a", "2024-03-01T00:00:00", 10.0, **row, seq=1),
        event("a", "2024-03-01T00:00:00", 12.0, **row, seq=2, known_time=second),
        event("a", "2024-03-01T00:00:00", None, **row, seq=3, known_time=gone, op="delete"),
    ]
    times = [first + MICRO, second, second + MICRO, gone, gone + MICRO]
    for view in (view_of(Aggregate("sum", "amount")), view_of(Aggregate("sum", "amount", windows=(days(30),)))):
        found = rows_of(build_view(frame_of(spark, [world]), view, times))
        name = view.columns[0].name
        assert [found[("a", t)][name] for t in times] == [10.0, 10.0, 12.0, 12.0, 0.0]


def test_a_view_without_events_is_empty(spark: SparkSession) -> None:
    nothing = spark.createDataFrame([], naive.SCHEMA)
    for view in (BOUNDED, UNBOUNDED):
        assert build_view(with_validity(nothing, versions=False), view, AS_OFS[:1]).count() == 0


def test_deleting_the_future_moves_nothing(spark: SparkSession) -> None:
    worlds = [naive.random_world(1000 + n, f"c{n}", corrections=False) for n in range(60)]
    at = AS_OFS[3]
    past = [[e for e in world if e.event_time < at and e.known_time < at] for world in worlds]
    assert sum(map(len, past)) < sum(map(len, worlds))
    upto = [t for t in AS_OFS if t <= at]
    whole, cut = (rows_of(build_view(frame_of(spark, w), UNBOUNDED, upto)) for w in (worlds, past))
    assert repr(sorted(whole.items())) == repr(sorted(cut.items()))


def test_deleting_what_was_not_known_moves_nothing(spark: SparkSession) -> None:
    worlds = [naive.random_world(2000 + n, f"c{n}", corrections=True) for n in range(60)]
    at = AS_OFS[4]
    past = [[e for e in world if e.known_time < at] for world in worlds]
    assert sum(map(len, past)) < sum(map(len, worlds))
    upto = [t for t in AS_OFS if t <= at]
    whole, cut = (rows_of(build_view(frame_of(spark, w), UNBOUNDED, upto)) for w in (worlds, past))
    assert repr(sorted(whole.items())) == repr(sorted(cut.items()))


def test_the_order_and_partitions_of_rows_do_not_matter(spark: SparkSession) -> None:
    worlds = [naive.random_world(3000 + n, f"c{n}", corrections=True) for n in range(40)]
    exact = view_of(
        *(Aggregate(f, "price", windows=(days(30),)) for f in ("sum", "min", "max", "first", "last", "count_distinct")),
        Aggregate("last_text", "kind"),
        Recency(),
        Tenure(),
    )
    rows = [e.as_row() for world in worlds for e in world]
    one = spark.createDataFrame(rows, naive.SCHEMA).coalesce(1)
    other = spark.createDataFrame(rows[::-1], naive.SCHEMA).repartition(5)
    found = [rows_of(build_view(with_validity(f, versions=True), exact, AS_OFS)) for f in (one, other)]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([datetime(2024, 2, 29, 23, tzinfo=UTC)], [(23.0, 3.0, 2.0)]),
        ([datetime(2024, 12, 30, tzinfo=UTC)], [(0.0, 0.0, 12.0)]),
        ([datetime(2024, 3, 31, 1, 30, tzinfo=UTC)], [(1.0, 6.0, 3.0)]),  # summer time has no such hour
    ],
)
def test_the_calendar_is_that_of_the_as_of_time(
    spark: SparkSession, times: list[datetime], expected: list[tuple[float, ...]]
) -> None:
    view = view_of(Calendar(("hour", "weekday", "month")))
    found = rows_of(build_view(frame_of(spark, [[event("a", "2024-01-01T00:00:00")]]), view, times))
    assert [(r["as_of_hour"], r["as_of_weekday"], r["as_of_month"]) for r in found.values()] == expected


def test_a_long_grid_costs_no_more_than_its_matches(spark: SparkSession) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    grid = [start + timedelta(minutes=n) for n in range(100_000)]
    world = [event("a", "2024-01-15T12:00:00"), event("a", "2024-01-15T12:00:30")]
    view = view_of(Aggregate("count", windows=(timedelta(minutes=3),)))
    found = build_view(frame_of(spark, [world]), view, grid).where("events_count_3min > 0")
    counts = {at.minute: row["events_count_3min"] for (_, at), row in rows_of(found).items()}
    assert counts == {1: 2.0, 2: 2.0, 3: 2.0}
