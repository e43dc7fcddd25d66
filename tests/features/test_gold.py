"""Gold kept up to date: only what is missing or outdated is built, late rows replace exactly what could see them."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tidemill.core.failpoints import Crashed, armed
from tidemill.core.time import to_micros
from tidemill.data import ledger
from tidemill.data.commit import commit
from tidemill.data.layout import with_layout
from tidemill.data.read import read, read_arrow
from tidemill.data.tables import Lake, Table
from tidemill.data.write import Batch, Slice
from tidemill.declare import ActiveWithin, Aggregate, AnyEventIn, Entity, FeatureView, Label, Recency, Source, days
from tidemill.features.gold import Builder, commit_labels, commit_view, read_labels, read_view, view_batches
from tidemill.features.tables import labels_table, view_table

CUSTOMER = Entity("customer")
ORDERS = Source("orders", "o.yaml", CUSTOMER)
VIEW = FeatureView(
    "v",
    1,
    CUSTOMER,
    ORDERS,
    (Aggregate("count", windows=(days(30),)), Recency()),
    cadence=days(1),
    ttl=days(1),
)
LABEL = Label("again", days(5), ActiveWithin(ORDERS, days(30)), AnyEventIn(ORDERS), delay=days(1))
SILVER = Table(
    "silver",
    "orders",
    (
        ("customer", "string"),
        ("event_time", "timestamp"),
        ("known_time", "timestamp"),
        ("seq", "bigint"),
        ("op", "string"),
        ("row_id", "string"),
        ("content", "bigint"),
        ("period", "string"),
        ("bucket", "int"),
    ),
    partitions=("period", "bucket"),
    sort=("customer", "event_time", "row_id"),
    entity="customer",
    time="event_time",
)
NOW = datetime(2024, 6, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


TIMES = [day(10), day(15), day(20)]
Deliver = Callable[..., None]


@pytest.fixture
def builder(lake: Lake, spark: SparkSession) -> Builder:
    return Builder(lake, {"orders": SILVER}, lambda: spark, NOW, {})


@pytest.fixture
def deliver(lake: Lake, spark: SparkSession) -> Deliver:
    """Commits a silver batch of events: customer and day, known at once."""

    def commit_events(name: str, *events: tuple[str, int], cause: str = "new") -> None:
        rows = [(c, day(d), day(d), 0, 0, "upsert", f"{c} {d}") for c, d in events]
        frame = spark.createDataFrame(
            rows,
            "customer string, event_time timestamp, known_time timestamp, seq bigint, content bigint, op string,"
            " row_id string",
        )
        counts = {"first_known": min(to_micros(day(d)) for _, d in events), "revised": 0}
        everything = Slice("true") if cause == "rebuild" else None
        placed = with_layout(frame, SILVER, 4, "all")
        commit(lake, SILVER, Batch(name, {"batch": name}, cause), placed, counts=counts, replace=everything)

    return commit_events


def gold(lake: Lake) -> dict[tuple[str, int], float]:
    rows = read_arrow(lake, view_table(VIEW)).to_pylist()
    found = {(r["customer"], r["event_timestamp"].day): r["events_count_30d"] for r in rows}
    assert len(found) == len(rows), "one row per entity and as-of time"
    return found


def test_only_what_could_see_a_late_row_is_built_again(lake: Lake, builder: Builder, deliver: Deliver) -> None:
    deliver("one", ("a", 1), ("b", 12))
    assert commit_view(builder, VIEW, TIMES[:2]) == 2
    assert commit_view(builder, VIEW, TIMES[:2]) == 0
    assert gold(lake) == {("a", 10): 1.0, ("a", 15): 1.0, ("b", 15): 1.0}
    early = view_batches(lake, VIEW, [day(10)])
    deliver("late", ("a", 11))
    assert commit_view(builder, VIEW, TIMES) == 2
    assert gold(lake) == {("a", 10): 1.0, ("a", 15): 2.0, ("b", 15): 1.0, ("a", 20): 2.0, ("b", 20): 1.0}
    assert view_batches(lake, VIEW, [day(10)]) == early
    assert [e.cause for e in ledger.entries(lake.root, "gold.v_v1")] == ["new", "late"]
    rows = read_arrow(lake, view_table(VIEW)).to_pylist()
    assert {r["created_timestamp"] for r in rows} == {NOW}
    assert {r["batch_id"] for r in rows if r["event_timestamp"].day == 10} == set(early)
    assert commit_view(builder, VIEW, TIMES) == 0


def test_a_rebuild_makes_the_same_rows_again(lake: Lake, builder: Builder, deliver: Deliver) -> None:
    deliver("one", ("a", 1), ("b", 12))
    commit_view(builder, VIEW, TIMES)
    before = gold(lake)
    again = replace(builder, again={"rebuild": "run-2"})
    assert commit_view(again, VIEW, TIMES) == 3
    assert gold(lake) == before
    assert [e.cause for e in ledger.entries(lake.root, "gold.v_v1")] == ["new", "rebuild"]


@pytest.mark.parametrize("place", ["commit.before_write:gold.v_v1", "commit.after_write:gold.v_v1"])
def test_a_crash_while_late_rows_are_replaced_is_repaired(
    lake: Lake, builder: Builder, deliver: Deliver, place: str
) -> None:
    deliver("one", ("a", 1))
    commit_view(builder, VIEW, TIMES)
    deliver("late", ("a", 12))
    with armed(place), pytest.raises(Crashed):
        commit_view(builder, VIEW, TIMES)
    assert gold(lake) == {("a", 10): 1.0, ("a", 15): 1.0, ("a", 20): 1.0}
    commit_view(builder, VIEW, TIMES)
    assert gold(lake) == {("a", 10): 1.0, ("a", 15): 2.0, ("a", 20): 2.0}


def current(spark: SparkSession, lake: Lake, times: Iterable[datetime]) -> dict[tuple[str, int], float]:
    rows = list(read_labels(spark, lake, "shop", LABEL, times).toLocalIterator())
    found = {(r["customer"], r["event_timestamp"].day): r["label"] for r in rows}
    assert len(found) == len(rows), "one current label per entity and as-of time"
    return found


def test_a_corrected_label_is_a_new_version_beside_the_old_one(
    lake: Lake, spark: SparkSession, builder: Builder, deliver: Deliver
) -> None:
    deliver("one", ("a", 1), ("b", 2), ("a", 16))
    assert commit_labels(builder, "shop", LABEL, TIMES[:2]) == 2
    assert commit_labels(builder, "shop", LABEL, TIMES[:2]) == 0
    assert current(spark, lake, TIMES[:2]) == {("a", 10): 0.0, ("b", 10): 0.0, ("a", 15): 1.0, ("b", 15): 0.0}
    deliver(
        "late", ("b", 17)
    )  # delivered late, but known before the label at the 15th matured; the 10th matured before
    assert commit_labels(builder, "shop", LABEL, TIMES[:2]) == 1
    assert current(spark, lake, TIMES[:2]) == {("a", 10): 0.0, ("b", 10): 0.0, ("a", 15): 1.0, ("b", 15): 1.0}
    assert current(spark, lake, [day(15)]) == {("a", 15): 1.0, ("b", 15): 1.0}
    every = read_arrow(lake, labels_table("shop", LABEL)).to_pylist()
    kept = sorted((r["event_timestamp"].day, r["label"]) for r in every if r["customer"] == "b")
    assert kept == [(10, 0.0), (15, 0.0), (15, 1.0)]
    assert {(r["matured_at"] - r["event_timestamp"]) for r in every} == {timedelta(days=6)}
    assert len({r["label_version"] for r in every}) == 2


def test_a_view_is_read_at_the_times_that_are_used(
    lake: Lake, spark: SparkSession, builder: Builder, deliver: Deliver
) -> None:
    delayed = replace(VIEW, name="w", delay=days(1))
    deliver("one", ("a", 9), ("b", 1))
    commit_view(builder, delayed, TIMES[:1])
    rows = [row.asDict() for row in read_view(spark, lake, delayed, TIMES[:1]).toLocalIterator()]
    facts: list[tuple[Any, ...]] = [(r["customer"], r["event_timestamp"].day, r["recency_days"]) for r in rows]
    assert facts == [("b", 9, 8.0)]  # stamped a day before it may be used; the event of the 9th was not known then
    assert read(spark, lake, view_table(delayed)).count() == 1


def test_what_a_rebuilt_silver_replaced_is_not_seen(lake: Lake, builder: Builder, deliver: Deliver) -> None:
    deliver("one", ("a", 1), ("b", 2))
    commit_view(builder, VIEW, TIMES[:1])
    deliver("again", ("a", 1), cause="rebuild")
    assert commit_view(builder, VIEW, TIMES[:1]) == 1
    assert gold(lake) == {("a", 10): 1.0}
