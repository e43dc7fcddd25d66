"""Worlds of events as frames, and the features found in them against what is expected."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import naive_twin as naive
from naive_twin import AS_OFS, Event
from pyspark.sql import DataFrame, SparkSession
from tidemill.features.pairs import with_validity

Rows = dict[tuple[str, datetime], dict[str, Any]]


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


def check_worlds(
    found: Rows,
    worlds: dict[str, list[Event]],
    expected: Callable[[list[Event], datetime], dict[str, tuple[Any, float]]],
) -> None:
    """Every entity that was ever known has a row at each as-of time, with each expected value; the size of what was
    summed, beside each value, says how far rounding may take it."""
    keys = {(name, at) for name, world in worlds.items() for at in AS_OFS if naive.known(world, at)}
    assert set(found) == keys
    wrong = [
        (name, at.isoformat(), feature, found[(name, at)][feature], value)
        for name, at in sorted(keys)
        for feature, (value, size) in expected(worlds[name], at).items()
        if naive.differs(found[(name, at)][feature], value, size)
    ]
    assert not wrong, wrong[:10]


def event(customer: str, at: str, amount: float | None = 1.0, **others: Any) -> Event:
    moment = datetime.fromisoformat(f"{at}+00:00")
    facts = {
        "event_time": moment,
        "known_time": moment,
        "seq": 0,
        "content": 0,
        "op": "upsert",
        "row_id": f"{customer} {at}",
        "price": None,
        "kind": "a",
        "active": None,
    }
    return Event(customer, amount=amount, **{**facts, **others})
