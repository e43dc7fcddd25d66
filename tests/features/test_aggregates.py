"""Every feature against its naive twin, on random worlds: one Spark call computes many of them."""

from __future__ import annotations

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
from pyspark.sql import DataFrame, SparkSession

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
Rows = dict[tuple[str, datetime], dict[str, Any]]
BATCH = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
seeds = st.lists(st.integers(0, 2**32), min_size=40, max_size=40, unique=True)


def frame_of(spark: SparkSession, worlds: list[list[Event]]) -> DataFrame:
    rows = [event.as_row() for world in worlds for event in world]
    return with_validity(spark.createDataFrame(rows, naive.SCHEMA), versions=True)


def rows_of(frame: DataFrame, key: str = "customer") -> Rows:
    found: Rows = {}
    for row in frame.toLocalIterator():
        identity = (row[key], row["event_timestamp"].replace(tzinfo=UTC))
        assert identity not in found, "one row per entity and as-of time"
        found[identity] = row.asDict()
    return found


def expected_bounded(world: list[Event], at: datetime) -> dict[str, tuple[Any, float]]:
    """Each feature's value, and the size that its rounding is measured by."""
    found = {}
    for name, column in FUNCTIONS:
        for window, label in zip(WINDOWS, ("6h", "1d", "7d", "30d"), strict=True):
            values = [
                1 if column is None else getattr(e, column) for e in naive.seen(world, at) if e.event_time >= at - window
            ]
            found[f"{column or 'events'}_{name}_{label}"] = _aggregated(name, values)
    prices = [e.price for e in naive.seen(world, at) if e.kind == "b" and e.event_time >= at - 7 * DAY]
    found["b_sum_7d"] = _aggregated("sum", prices)
    return found


def expected_unbounded(world: list[Event], at: datetime) -> dict[str, tuple[Any, float]]:
    seen = naive.seen(world, at)
    found = {}
    for name, column in FUNCTIONS:
        found[f"{column or 'events'}_{name}"] = _aggregated(name, [1 if column is None else getattr(e, column) for e in seen])
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


def check_worlds(found: Rows, worlds: dict[str, list[Event]], expected: Any) -> None:
    keys = {(name, at) for name, world in worlds.items() for at in AS_OFS if naive.known(world, at)}
    assert set(found) == keys
    wrong = [
        (name, at.isoformat(), feature, found[(name, at)][feature], value)
        for name, at in sorted(keys)
        for feature, (value, size) in expected(worlds[name], at).items()
        if naive.differs(found[(name, at)][feature], value, size)
    ]
    assert wrong[:10] == []


def test_every_aggregate_has_a_twin_here() -> None:
    folder = Path(__file__).resolve().parents[2] / "lib/tidemill/features/aggregates"
    assert {p.stem for p in folder.glob("*.py")} - {"__init__", "kind"} == {name for name, _ in FUNCTIONS}


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
