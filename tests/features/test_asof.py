"""The as-of join against a search row by row."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tidemill.declare import Aggregate, Calendar, Entity, FeatureView, Source, days, hours
from tidemill.features.asof import as_of_join, join_views

START = datetime(2024, 2, 28, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
ROW = "customer string, event_timestamp timestamp, created_timestamp timestamp, value double, word string"
SPINE = "customer string, event_timestamp timestamp, number bigint"


def searched(spine: tuple[Any, ...], rows: list[tuple[Any, ...]], ttl: timedelta, delay: timedelta) -> tuple[Any, Any]:
    """The newest row that the spine's row may use, the newest made among equals."""
    key, at, _ = spine
    usable = [r for r in rows if r[0] is not None and r[0] == key and at - ttl <= r[1] + delay <= at]
    newest = max(usable, key=lambda r: (r[1], r[2] is not None, r[2] or START), default=None)
    return (None, None) if newest is None else (newest[3], newest[4])


@pytest.mark.parametrize(
    ("ttl", "delay"),
    [(days(2), timedelta(0)), (hours(12), hours(6)), (MICRO, MICRO), (timedelta(0), timedelta(0))],
    ids=["two_days", "delayed", "a_microsecond", "exact"],
)
def test_the_join_finds_what_a_search_finds(spark: SparkSession, ttl: timedelta, delay: timedelta) -> None:
    dice = random.Random(str((ttl, delay)))  # noqa: S311
    names = [None, *(f"c{n}" for n in range(25))]
    edges = [timedelta(0), delay, ttl, ttl + delay, ttl - delay, -delay]
    stamps = [START + dice.randrange(5) * hours(12) for _ in range(60)]
    rows = []
    for number, stamp in enumerate(stamps * 3):
        made = dice.choice([None, START + dice.randrange(10_000) * MICRO + number * timedelta(seconds=1)])
        value = dice.choice([None, float(number)])
        rows.append((dice.choice(names), stamp, made, value, None if value is None else f"w{number}"))
    rows = list({(r[0], r[1], r[2]): r for r in rows}.values())
    spine = [
        (dice.choice(names), dice.choice(stamps) + dice.choice(edges) + dice.choice([-MICRO, timedelta(0), MICRO]), n)
        for n in range(300)
    ]
    spine += spine[:5]  # equal rows stay as many as they are
    joined = as_of_join(
        spark.createDataFrame(spine, SPINE), spark.createDataFrame(rows, ROW), "customer", ["value", "word"], ttl, delay
    )
    assert joined.columns == ["customer", "event_timestamp", "number", "value", "word"]
    found = sorted((r["number"], r["value"], r["word"]) for r in joined.fillna(-1.0).fillna("").toLocalIterator())
    expected = sorted((s[2], *searched(s, rows, ttl, delay)) for s in spine)
    assert found == [(n, -1.0 if v is None else v, w or "") for n, v, w in expected]
    assert any(value is not None for _, value, _ in expected)
    assert any(value is None for _, value, _ in expected)


CUSTOMER = Entity("customer")
EVENTS = Source("events", "events.yaml", CUSTOMER)


def view_of(name: str, *features: Any, delay: timedelta = timedelta(0)) -> FeatureView:
    return FeatureView(name, 1, CUSTOMER, EVENTS, features, cadence=days(1), ttl=days(1), delay=delay)


def test_all_views_join_once_and_what_is_missing_means_nothing_done(spark: SparkSession) -> None:
    one = view_of("one", Aggregate("sum", "amount", windows=(days(7),)), Aggregate("max", "amount"))
    two = view_of("two", Aggregate("count", windows=(days(1),)), Calendar(("hour",)), delay=hours(6))
    gold = "customer string, event_timestamp timestamp, created_timestamp timestamp, "
    rows = {
        "one_v1": spark.createDataFrame(
            [("a", START, START, float("nan"), 2.0)], f"{gold} amount_sum_7d double, amount_max double"
        ),
        "two_v1": spark.createDataFrame(
            [("a", START - hours(6), START, 3.0, 18.0), ("b", START - hours(5), START, 9.0, 19.0)],
            f"{gold} events_count_1d double, as_of_hour double",
        ),
    }
    spine = spark.createDataFrame([("a", START, 1), ("b", START, 2), ("c", START, 3)], SPINE)
    joined = join_views(spine, [one, two], rows)
    found = {r["customer"]: tuple(r)[3:] for r in joined.select(*spine.columns, *joined.columns[3:]).toLocalIterator()}
    assert joined.columns[3:] == ["amount_sum_7d", "amount_max", "events_count_1d", "as_of_hour"]
    assert str(found["a"]) == "(nan, 2.0, 3.0, 18.0)"  # no number is a value: it is not filled in
    assert found["b"] == (0.0, None, 0.0, None)  # stamped too late to be used
    assert found["c"] == (0.0, None, 0.0, None)
