"""Gold of a view that joins another entity's: what arrives late for the other one is built again, too."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession
from tidemill.core.time import to_micros
from tidemill.data import ledger
from tidemill.data.commit import commit
from tidemill.data.layout import with_layout
from tidemill.data.read import read_arrow
from tidemill.data.tables import Lake, Table
from tidemill.data.write import Batch
from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    AnyEventIn,
    Attribute,
    Entity,
    FeatureView,
    Grid,
    Joined,
    Label,
    LogisticRegression,
    Source,
    UseCase,
    days,
)
from tidemill.features.gold import Builder, commit_view
from tidemill.features.tables import view_table

CUSTOMER, SHOP = Entity("customer"), Entity("shop")
ORDERS, DELIVERIES = Source("orders", "o.yaml", CUSTOMER), Source("deliveries", "d.yaml", SHOP)
STATS = FeatureView(
    "shop_stats", 1, SHOP, DELIVERIES, (Aggregate("count", windows=(days(30),)),), days(1), days(2), delay=days(1)
)
TAKEN = ("events_count_30d",)
VIEW = FeatureView("v", 1, CUSTOMER, ORDERS, (Attribute("shop"), Joined(STATS, "shop_now", TAKEN)), days(1), days(1))
NOW = datetime(2024, 6, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


def silver(name: str, key: str) -> Table:
    own = ("event_time", "known_time"), ("seq", "content"), ("op", "row_id"), ("period",), ("bucket",)
    kinds = zip(own, ("timestamp", "bigint", "string", "string", "int"), strict=True)
    columns = (("customer", "string"), ("shop", "string"), *((n, kind) for names, kind in kinds for n in names))
    return Table("silver", name, columns, ("period", "bucket"), (key, "event_time", "row_id"), key, "event_time")


SILVER = {"orders": silver("orders", "customer"), "deliveries": silver("deliveries", "shop")}


def deliver(spark: SparkSession, lake: Lake, name: str, batch: str, *events: tuple[str | None, str, int]) -> None:
    table = SILVER[name]
    rows: list[tuple[Any, ...]] = [(c, s, day(d), day(d), 0, 0, "upsert", f"{c} {s} {d}") for c, s, d in events]
    schema = "customer string, shop string, event_time timestamp, known_time timestamp, seq bigint, content bigint,"
    frame = spark.createDataFrame(rows, f"{schema} op string, row_id string")
    counts = {"first_known": min(to_micros(day(d)) for _, _, d in events), "revised": 0}
    commit(lake, table, Batch(batch, {"batch": batch}, "new"), with_layout(frame, table, 4, "all"), counts=counts)


def test_a_late_row_of_the_other_entity_is_seen(spark: SparkSession, lake: Lake) -> None:
    builder = Builder(lake, SILVER, lambda: spark, NOW, {})
    deliver(spark, lake, "orders", "o1", ("a", "north", 1), ("b", "south", 2))
    deliver(spark, lake, "deliveries", "d1", (None, "north", 3), (None, "north", 9), (None, "south", 12))
    times = [day(10), day(15)]

    def gold() -> dict[tuple[str, int], tuple[str, float]]:
        rows = read_arrow(lake, view_table(VIEW)).to_pylist()
        return {
            (r["customer"], r["event_timestamp"].day): (r["shop_now"], r["shop_stats_events_count_30d"]) for r in rows
        }

    assert commit_view(builder, VIEW, times) == 2
    before = {
        ("a", 10): ("north", 1.0),
        ("b", 10): ("south", 0.0),
        ("a", 15): ("north", 2.0),
        ("b", 15): ("south", 1.0),
    }
    assert (
        gold() == before
    )  # on the 10th the other view speaks as of the 9th, and has not seen the delivery of that day
    deliver(spark, lake, "deliveries", "d2", (None, "south", 11))
    assert commit_view(builder, VIEW, times) == 1
    assert gold() == {**before, ("b", 15): ("south", 2.0)}
    assert [e.cause for e in ledger.entries(lake.root, "gold.v_v1")] == ["new", "late"]
    assert commit_view(builder, VIEW, times) == 0
    # A view may be joined to another one of the same source: here each customer points to itself.
    own = replace(STATS, name="own", entity=CUSTOMER, source=ORDERS, delay=days(0))
    again = replace(VIEW, features=(Aggregate("last_text", "customer"), Joined(own, "customer_last_text", TAKEN)))
    pointed_to = builder.rows(again, [day(10)]).toLocalIterator()
    assert {r["customer"]: r["own_events_count_30d"] for r in pointed_to} == {"a": 1.0, "b": 1.0}


def test_a_use_case_reads_the_sources_of_what_its_views_join() -> None:
    case = UseCase(
        "case",
        (VIEW,),
        Label("again", days(5), ActiveWithin(ORDERS, days(30)), AnyEventIn(ORDERS)),
        "binary",
        (LogisticRegression(),),
        Grid("2024-01-10", every=days(5)),
        baseline="shop_stats_events_count_30d",
    )
    assert case.sources == (ORDERS, DELIVERIES)
    told = replace(VIEW, features=(Attribute("shop", description="Where it was bought."), VIEW.features[1]))
    assert replace(case, views=(told,)).digest == case.digest
