"""The leakage audit: a feature that has seen too much is caught by its name, and clean ones raise no alarm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F
from tidemill.core.config import Audit
from tidemill.declare import Aggregate, Attribute, Entity, FeatureView, Joined, Recency, Source, Tenure, days
from tidemill.features import compute
from tidemill.features.audit import (
    ACCEPTED,
    FAIL,
    OK,
    UNCHECKED,
    WARN,
    accept,
    failed,
    judge_alone,
    judge_moved,
    summarise,
)
from tidemill.features.leakage import Doubts, Moved, as_gold_variant, build_variants, count_moved, read_moved
from tidemill.features.pairs import with_past_as_ofs, with_validity
from tidemill.stats.alone import Alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame, SparkSession

CUSTOMER = Entity("customer")
ORDERS = Source("orders", "o.yaml", CUSTOMER)
VIEW = FeatureView(
    "v",
    1,
    CUSTOMER,
    ORDERS,
    (
        Recency(),
        Tenure(),
        Aggregate("count", windows=(days(4), days(30))),
        Aggregate("sum", "amount", windows=(days(30),)),
        Aggregate("last_text", "status"),
        Aggregate("count", where="status = 'paid'", name="paid", windows=(days(30),)),
    ),
    cadence=days(1),
    ttl=days(1),
)
SCHEMA = (
    "customer string, event_time timestamp, known_time timestamp, received_at timestamp, due date,"
    " amount decimal(12,2), status string, big boolean, seq bigint, content bigint, op string, row_id string,"
    " batch_id string"
)
SHOP = Entity("shop")
DELIVERIES = Source("deliveries", "d.yaml", SHOP)
OF_SHOP = FeatureView(
    "shop",
    1,
    SHOP,
    DELIVERIES,
    (Tenure(), Aggregate("count", windows=(days(4),)), Aggregate("last_text", "status")),
    cadence=days(1),
    ttl=days(1),
    delay=timedelta(hours=1),
)
BROUGHT = {"shop_tenure_days", "shop_events_count_4d", "shop_status_last_text"}
JOINING = FeatureView(
    "joining",
    1,
    CUSTOMER,
    ORDERS,
    (Recency(), Attribute("shop"), Joined(OF_SHOP, "shop_now", tuple(f.name for f in OF_SHOP.columns))),
    cadence=days(1),
    ttl=days(1),
)
START = datetime(2024, 1, 1, tzinfo=UTC)
CUTS = [START + timedelta(days=d) for d in (20, 30)]


def events(arrives_after: float = 0.0) -> list[dict[str, Any]]:
    """Forty days of orders of six customers, every third known a day late; none is corrected."""
    rows = []
    for number in range(120):
        at = START + timedelta(days=number // 3, hours=number % 24)
        late = timedelta(days=1 if number % 3 == 0 else 0)
        rows.append(
            {
                "customer": f"c{number % 6}",
                "event_time": at,
                "known_time": at + late,
                "received_at": at + timedelta(days=arrives_after),
                "due": at.date() + timedelta(days=14),
                "amount": f"{number}.50",
                "status": "paid" if number % 4 else "open",
                "big": number % 2 == 0,
                "seq": 0,
                "content": number,
                "op": "upsert",
                "row_id": f"r{number}",
                "batch_id": "b1",
            }
        )
    return rows


def frame(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    texts = [{**row, "amount": str(row["amount"])} for row in rows]
    made = spark.createDataFrame(texts, SCHEMA.replace("decimal(12,2)", "string"))
    return made.withColumn("amount", F.col("amount").cast("decimal(12,2)"))


def gold_of(silver: DataFrame, at: Sequence[datetime] = CUTS) -> DataFrame:
    return compute.build_view(with_validity(silver, versions=True), VIEW, at)


def audited(silver: DataFrame, gold: DataFrame, doubts: Doubts) -> dict[tuple[str, str], set[str]]:
    """The features that moved, by check and the column that tells."""
    return audited_view(VIEW, {"orders": silver}, gold, {"orders": doubts})


def audited_view(
    view: FeatureView, silver: dict[str, DataFrame], gold: DataFrame, doubts: dict[str, Doubts]
) -> dict[tuple[str, str], set[str]]:
    rows = build_variants(silver, view, CUTS, doubts, set(silver))
    counts = count_moved(rows.unionByName(as_gold_variant(gold, view)), view, doubts, CUTS).first()
    assert counts is not None
    moved = read_moved(counts.asDict(), view, doubts)
    assert {m.feature for m in moved} == {f.name for f in view.columns}
    assert all(m.compared == 12 for m in moved), moved  # six customers at two times
    found: dict[tuple[str, str], set[str]] = {}
    for m in moved:
        found.setdefault((m.check, m.by), set()).update({m.feature} if m.moved else set())
    return found


def test_clean_features_move_in_no_variant(spark: SparkSession) -> None:
    silver = frame(spark, events())
    assert audited(silver, gold_of(silver), Doubts(("received_at",), ("b1",))) == {
        ("future", ""): set(),
        ("gold", ""): set(),
        ("times", "received_at"): set(),
        ("rewritten", ""): set(),
    }


def test_features_that_look_ahead_are_named(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    silver = frame(spark, events())

    def looks_ahead(rows: DataFrame, as_ofs: Any, lookback: Any) -> DataFrame:
        shift = F.expr("interval 3 days")
        return with_past_as_ofs(
            rows.withColumns({n: F.col(n) - shift for n in ("event_time", "known_time")}), as_ofs, lookback
        )

    monkeypatch.setattr(compute, "with_past_as_ofs", looks_ahead)
    found = audited(silver, gold_of(silver), Doubts())
    assert found["future", ""] >= {"recency_days", "events_count_4d", "events_count_30d", "amount_sum_30d"}
    assert "tenure_days" not in found["future", ""]  # the oldest event is none of the future
    assert found["gold", ""] <= found["future", ""]


def test_gold_that_was_stamped_too_early_is_named(spark: SparkSession) -> None:
    silver = frame(spark, events())
    ahead = gold_of(silver, [t + timedelta(days=2) for t in CUTS])
    early = ahead.withColumn("event_timestamp", F.col("event_timestamp") - F.expr("interval 2 days"))
    names = ["customer", "event_timestamp", "amount_sum_30d", "recency_days"]
    gold = gold_of(silver).drop("amount_sum_30d", "recency_days")
    mixed = gold.join(early.select(names), ["customer", "event_timestamp"])
    found = audited(silver, mixed, Doubts())
    assert found == {("future", ""): set(), ("gold", ""): {"amount_sum_30d", "recency_days"}}


def test_an_arrival_time_that_is_ignored_names_its_features_and_itself(spark: SparkSession) -> None:
    silver = frame(spark, events(arrives_after=3))
    found = audited(silver, gold_of(silver), Doubts(("received_at",)))
    assert found["times", "received_at"] >= {"recency_days", "events_count_4d", "events_count_30d", "amount_sum_30d"}
    assert "tenure_days" not in found["times", "received_at"]
    assert found["future", ""] == found["gold", ""] == set()


def test_a_date_counts_like_a_time(spark: SparkSession) -> None:
    silver = frame(spark, events())
    assert "events_count_30d" in audited(silver, gold_of(silver), Doubts(("due",)))["times", "due"]


def test_values_that_were_filled_in_later_are_named(spark: SparkSession) -> None:
    rows = events()
    paid_later = [
        {**r, "status": "paid", "content": 1000 + r["content"], "batch_id": "b2"} for r in rows if r["status"] == "open"
    ]
    silver = frame(spark, rows + paid_later)
    found = audited(silver, gold_of(silver), Doubts((), ("b1", "b2")))
    assert found["rewritten", ""] == {"status_last_text", "paid_count_30d"}
    assert found["future", ""] == found["gold", ""] == set()


def test_corrections_with_a_known_time_of_their_own_are_clean(spark: SparkSession) -> None:
    rows = events()
    later = timedelta(days=5)
    corrected = [
        {**r, "status": "paid", "seq": 1, "batch_id": "b2", "known_time": r["known_time"] + later}
        for r in rows
        if r["status"] == "open"
    ]
    silver = frame(spark, rows + corrected)
    assert set().union(*audited(silver, gold_of(silver), Doubts((), ("b1", "b2"))).values()) == set()


def joined(spark: SparkSession, deliveries: list[dict[str, Any]]) -> tuple[dict[str, DataFrame], DataFrame]:
    """Orders of customers who each have a shop of their own, deliveries to these shops, and gold of both."""
    orders = frame(spark, events()).withColumn("shop", F.concat(F.lit("of "), "customer"))
    shops = frame(spark, deliveries).withColumnRenamed("customer", "shop")
    silver = {"orders": orders, "deliveries": shops.withColumn("shop", F.concat(F.lit("of "), "shop"))}
    known = {name: with_validity(rows, versions=True) for name, rows in silver.items()}
    return silver, compute.build_view(known["orders"], JOINING, CUTS, known)


def test_joined_features_are_audited_and_clean_ones_raise_no_alarm(spark: SparkSession) -> None:
    silver, gold = joined(spark, events())
    doubts = {name: Doubts(("received_at",), ("b1",)) for name in silver}
    assert audited_view(JOINING, silver, gold, doubts) == {
        ("future", ""): set(),
        ("gold", ""): set(),
        ("times", "received_at"): set(),
        ("times", "deliveries.received_at"): set(),
        ("rewritten", ""): set(),
        ("rewritten", "deliveries"): set(),
    }


def test_leaks_of_a_joined_source_name_its_features_and_itself(spark: SparkSession) -> None:
    rows = events(arrives_after=3)
    paid_later = [
        {**r, "status": "paid", "content": 1000 + r["content"], "batch_id": "b2"} for r in rows if r["status"] == "open"
    ]
    silver, gold = joined(spark, rows + paid_later)
    doubts = {"orders": Doubts(("received_at",)), "deliveries": Doubts(("received_at",), ("b1", "b2"))}
    found = audited_view(JOINING, silver, gold, doubts)
    assert found["times", "deliveries.received_at"] == {"shop_events_count_4d"}
    assert found["rewritten", "deliveries"] == {"shop_status_last_text"}
    assert found["future", ""] == found["gold", ""] == found["times", "received_at"] == set()


def test_joined_features_that_look_ahead_are_named(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    silver, gold = joined(spark, events())

    def looks_ahead(rows: DataFrame, as_ofs: Any, lookback: Any) -> DataFrame:
        if "customer" not in rows.columns:
            rows = rows.withColumns({n: F.col(n) - F.expr("interval 3 days") for n in ("event_time", "known_time")})
        return with_past_as_ofs(rows, as_ofs, lookback)

    monkeypatch.setattr(compute, "with_past_as_ofs", looks_ahead)
    found = audited_view(JOINING, silver, gold, {name: Doubts() for name in silver})
    assert found["future", ""] == BROUGHT - {"shop_tenure_days"}
    assert "shop_events_count_4d" in found["gold", ""]


LIMITS = Audit(entities=1, times=1, alone=0.98, apart=0.2, accepted=())


def test_what_moved_fails_and_says_why() -> None:
    found = judge_moved("v_v1", [Moved("a", "times", 12, 3, "received_at"), Moved("b", "times", 12, 0, "received_at")])
    assert [(f.feature, f.verdict, f.value) for f in found] == [("a", FAIL, 0.25), ("b", OK, 0.0)]
    assert found[0].reason == (
        "it counts rows that hold a later 'received_at': they were not written before the as-of time: 3 of 12 rows"
    )
    assert failed(found) == [found[0]]
    assert failed(accept(found, ["a"])) == []
    assert accept(found, ["a"])[0].verdict == ACCEPTED
    assert accept(found, ["a"])[1].verdict == OK


def test_what_was_compared_with_nothing_is_not_called_clean() -> None:
    found = judge_moved("v_v1", [Moved("a", "future", 0, 0), Moved("a", "gold", 0, 0), Moved("b", "gold", 1, 0)])
    assert [(f.feature, f.verdict, f.value) for f in found] == [
        ("a", UNCHECKED, None),
        ("a", UNCHECKED, None),
        ("b", OK, 0.0),
    ]
    assert [f.reason for f in found] == [
        "no sampled entity has a row at an audited time",
        "no gold row at an audited time was made from all that silver holds: build_features brings them along",
        "",
    ]
    assert failed(found) == found[:2]
    assert failed(accept(found, ["a"])) == []
    assert summarise(found) == "no leak in 2 features at 0 sampled rows; a not checked"


def test_a_view_of_which_nobody_has_a_row_warns_and_stops_nothing() -> None:
    found = judge_moved("v_v1", [Moved("a", "future", 0, 0), Moved("a", "gold", 0, 0)])
    assert [(f.verdict, f.value) for f in found] == [(WARN, None)] * 2
    assert {f.reason for f in found} == {"no entity of the population has a row of its view at an audited time"}
    assert failed(found) == []
    assert summarise(found) == "no leak in 1 features at 0 sampled rows; a without a value for anybody"


def test_a_leak_in_a_joined_source_says_which() -> None:
    found = judge_moved("v_v1", [Moved("a", "rewritten", 4, 2, "deliveries"), Moved("a", "rewritten", 4, 2)])
    anew = "it reads values that were written anew later, under the same known time"
    assert [f.reason for f in found] == [f"{anew}, in 'deliveries': 2 of 4 rows", f"{anew}: 2 of 4 rows"]


@pytest.mark.parametrize(
    ("alone", "check", "verdict"),
    [
        (Alone(100, 0.7, None, None), "alone", OK),
        (Alone(100, 0.985, None, None), "alone", WARN),
        (Alone(100, 0.92, None, None), "alone", WARN),  # far above the best other, 0.7
        (Alone(100, 0.89, None, None), "alone", OK),
        (Alone(100, None, None, None), "alone", OK),
        (Alone(100, 1.0, 1.0, None), "label", FAIL),
        (Alone(100, 1.0, 1.0, None), "alone", OK),  # said once
        (Alone(100, 1.0, 0.998, None), "label", OK),
        (Alone(100, None, 0.5, 0.9995), "label", FAIL),
    ],
)
def test_features_that_tell_too_much_alone(alone: Alone, check: str, verdict: str) -> None:
    found = judge_alone({"a": "v_v1", "b": "v_v1"}, {"a": alone, "b": Alone(100, 0.7, None, None)}, LIMITS)
    assert [f.verdict for f in found if f.feature == "a" and f.check == check] == [verdict]
    assert all(f.verdict == OK for f in found if f.feature == "b")


def test_a_feature_without_another_is_not_called_outstanding() -> None:
    found = judge_alone({"a": "v_v1"}, {"a": Alone(100, 0.95, None, None)}, LIMITS)
    assert [f.verdict for f in found] == [OK, OK]


def test_an_audit_is_one_line() -> None:
    moved = judge_moved("v_v1", [Moved(n, "future", 1200, 0) for n in ("a", "b", "c")])
    assert summarise(moved) == "no leak in 3 features at 1,200 sampled rows"
    warned = judge_alone({"a": "v_v1"}, {"a": Alone(100, 0.99, None, None)}, LIMITS)
    assert summarise([*moved, *warned]).endswith("; a too good to be true alone")
    bad = judge_moved("v_v1", [Moved(n, "future", 1200, 1) for n in ("a", "b", "c", "d")])
    assert summarise(bad) == "a, b, c and 1 more leak"
