"""The audit of a whole use case: planted leaks are caught by name and stop the training; a clean shop goes on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from conftest import CONTRACT, Shop
from pyspark.sql import functions as F
from shopkeeping import AS_OF, START, as_csv, orders, recorded, versions
from tidemill.data.commit import commit
from tidemill.data.layout import with_layout
from tidemill.data.read import read, read_arrow
from tidemill.data.tables import Lake
from tidemill.data.write import Batch, Slice
from tidemill.features.tables import view_table
from tidemill.models.tables import AUDITS
from tidemill.models.use_case import load_use_case

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

BUILT = "ingest refine build_features"
MORE = """\
      - {name: received_at, physicalName: Received, logicalType: timestamp, required: true}
      - {name: target, physicalName: Target, logicalType: number}
      - {name: courier, physicalName: Courier, logicalType: string, required: true}
"""
RIDES_CONTRACT = (
    CONTRACT.split("    properties:")[0].replace("orders", "rides")
    + """\
    properties:
      - {name: courier, physicalName: Courier, logicalType: string, required: true}
      - {name: rode_at, physicalName: At, logicalType: timestamp, required: true}
      - {name: received_at, physicalName: Received, logicalType: timestamp, required: true}
"""
)
RIDES = """\
COURIER = Entity("courier")
RIDES = Source("rides", contract="shop/rides.yaml", entity=COURIER, event_time="rode_at")
OF_COURIER = FeatureView(
    "rides_of_courier", version=1, entity=COURIER, source=RIDES, cadence=days(1), ttl=days(2),
    features=(Tenure(), Aggregate("count", windows=(days(10),))),
)
"""
FEW = """\
REFUNDED, CLAIMED = (
    FeatureView(
        f"{name}_of_customer", version=1, entity=CUSTOMER, cadence=days(1), ttl=days(2),
        source=Source(name, contract=f"shop/{name}.yaml", entity=CUSTOMER, event_time="ordered_at"),
        features=(Aggregate("count", windows=(days(10),), name=name),),
    )
    for name in ("refunds", "claims")
)
"""
JOINED = 'Attribute("courier"), Joined(OF_COURIER, "courier_now", ("tenure_days", "events_count_10d"))'


def verdicts(shop: Shop, check: str) -> dict[str, str]:
    """Of each feature, which each source's columns may tell on; what fails is said."""
    rows = sorted(read_arrow(shop.lake, AUDITS).to_pylist(), key=lambda row: str(row["verdict"]) == "fail")
    return {row["feature"]: row["verdict"] for row in rows if row["check"] == check}


def rewrite(shop: Shop, place: str, *pairs: tuple[str, str]) -> None:
    path = shop.repo / place
    text = path.read_text("utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def with_arrival_and_target(rows: list[tuple[str, datetime, str]], until: datetime) -> str:
    """Orders that arrive four days late, each with what will have become of its customer: no order within ten days."""
    lines = ["Customer,At,Amount,Received,Target,Courier\n"]
    for customer, at, amount in rows:
        grid = next(t for t in (datetime(2024, 1, 11) + timedelta(days=10 * i) for i in range(20)) if t > at)  # noqa: DTZ001
        gone = not any(c == customer and grid <= other < grid + timedelta(days=10) for c, other, _ in rows)
        target = f"{float(gone)}" if grid + timedelta(days=10) <= until else ""
        received = at + timedelta(days=4)
        lines.append(
            f"{customer},{at:%Y-%m-%d %H:%M:%S},{amount},{received:%Y-%m-%d %H:%M:%S},{target},k{amount[-1]}\n"
        )
    return "".join(lines)


def deliver(shop: Shop) -> None:
    """Orders, and a ride of each courier on each day, known four days later."""
    shop.deliver("orders.csv", with_arrival_and_target(orders(), datetime(2024, 4, 20)))  # noqa: DTZ001
    days = [START + timedelta(days=n) for n in range(100)]
    rides = "".join(f"k{n},{day:%Y-%m-%d},{day + timedelta(days=4):%Y-%m-%d}\n" for day in days for n in range(10))
    path = shop.root / "landing" / "rides" / "rides.csv"
    path.parent.mkdir(parents=True)
    path.write_text(f"Courier,At,Received\n{rides}", encoding="utf-8")


def test_leaks_are_caught_by_name_and_stop_the_training(make_shop: Callable[[str], Shop], spark: SparkSession) -> None:
    shop = make_shop("var")
    (shop.repo / "contracts/shop/orders.yaml").write_text(CONTRACT + MORE, encoding="utf-8")
    (shop.repo / "contracts/shop/rides.yaml").write_text(RIDES_CONTRACT, encoding="utf-8")
    label_again = 'Aggregate("last", "target", windows=(days(30),)), Recency()'
    rewrite(shop, "shop.py", ("features=(Recency()", f"features=({JOINED}, {label_again}"))
    rewrite(shop, "shop.py", ("VIEW = FeatureView", f"{RIDES}VIEW = FeatureView"))
    deliver(shop)
    code, summary = shop.run(f"{BUILT} audit", "--as-of", AS_OF)
    assert (code, summary["error"]["code"]) == (65, "E_LEAK")
    for name in ("target_last_30d", "recency_days", "events_count_10d", "rides_of_courier_events_count_10d"):
        assert name in summary["error"]["what"]
    assert "'received_at'" in summary["error"]["what"]
    told = [
        row["feature"] for row in read_arrow(shop.lake, AUDITS).to_pylist() if "'rides.received_at'" in row["reason"]
    ]
    assert told == ["rides_of_courier_events_count_10d"]  # not the tenure: the first ride is known either way
    assert verdicts(shop, "times")["recency_days"] == "fail"
    assert set(verdicts(shop, "future").values()) == set(verdicts(shop, "gold").values()) == {"ok"}
    assert verdicts(shop, "label")["target_last_30d"] == "fail"
    assert verdicts(shop, "label")["recency_days"] == "ok"
    before = versions(shop.root)
    code, summary = shop.run("train", "--as-of", AS_OF)  # again, from what the audit has kept
    assert (code, summary["error"]["code"]) == (65, "E_LEAK")
    assert versions(shop.root) == before
    assert not [line for line in recorded(shop.root) if line.startswith("shop ")]
    # What is declared as the arrival time is obeyed, and what people have looked at is let through.
    for time in ("ordered_at", "rode_at"):
        rewrite(shop, "shop.py", (f'event_time="{time}"', f'event_time="{time}", known_time="received_at"'))
    rewrite(shop, "shop.py", ('"orders_of_customer", version=1', '"orders_of_customer", version=2'))
    other = Shop(shop.repo, shop.root.with_name("other"))
    deliver(other)
    code, summary = other.run(f"{BUILT} audit", "--as-of", AS_OF, "--set", "audit.accepted=[target_last_30d]")
    assert (code, summary["status"]) == (0, "ok"), summary
    kept = read_arrow(other.lake, AUDITS).to_pylist()
    assert "times" not in {row["check"] for row in kept}
    assert all(row["compared"] > 0 for row in kept)


def test_a_clean_shop_is_audited_once_and_gold_stamped_too_early_is_found(shop: Shop, spark: SparkSession) -> None:
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run(f"{BUILT} audit", "--as-of", AS_OF)
    audit: dict[str, Any] = summary["steps"][-1]
    assert (code, audit["job"], audit["status"]) == (0, "audit", "ok")
    assert audit["counts"]["warnings"] == 0
    assert {row["verdict"] for row in read_arrow(shop.lake, AUDITS).to_pylist()} == {"ok"}
    before = versions(shop.root)
    assert shop.run("audit", "--as-of", AS_OF)[1]["status"] == "skipped"
    assert versions(shop.root) == before
    # Someone writes gold in the name of a run: the sums of ten days later under the stamps of now.
    view = load_use_case(shop.repo, "shop").views[0]
    lake, table = Lake(shop.root, "someone"), view_table(view)
    entry = shop.batches(table.label)[-1]
    gold = read(spark, lake, table)
    later = gold.select(
        "customer",
        (F.col("event_timestamp") - F.expr("interval 10 days")).alias("event_timestamp"),
        F.col("amount_sum_10d").alias("_later"),
    )
    early = gold.join(later, ["customer", "event_timestamp"], "left")
    early = early.withColumn("amount_sum_10d", F.coalesce("_later", "amount_sum_10d")).localCheckpoint()
    batch = Batch("someones", {"slices": entry.inputs["slices"]}, "rebuild")
    commit(lake, table, batch, with_layout(early, table, 4, "all"), replace=Slice("true"))
    code, summary = shop.run("audit train", "--as-of", AS_OF)
    assert (code, summary["error"]["code"]) == (65, "E_LEAK")
    assert summary["error"]["what"].startswith("amount_sum_10d leaks: its gold rows are not what was known")
    assert "recency_days" not in summary["error"]["what"]


def test_a_view_of_few_is_audited_on_them_and_one_of_nobody_warns(make_shop: Callable[[str], Shop]) -> None:
    shop = make_shop("var")
    for name in ("refunds", "claims"):
        contract = CONTRACT.replace("orders", name)
        (shop.repo / f"contracts/shop/{name}.yaml").write_text(contract, encoding="utf-8")
    rewrite(
        shop, "shop.py", ("VIEW = FeatureView", f"{FEW}VIEW = FeatureView"), ("(VIEW,)", "(VIEW, REFUNDED, CLAIMED)")
    )
    shop.deliver("orders.csv", as_csv(orders()))
    for name, customer in (("refunds", "c003"), ("claims", "somebody else")):
        path = shop.root / "landing" / name / "one.csv"
        path.parent.mkdir(parents=True)
        path.write_text(as_csv([(customer, START + timedelta(days=n), "5.0") for n in range(90)]), encoding="utf-8")
    code, summary = shop.run(f"{BUILT} audit", "--as-of", AS_OF, "--set", "audit.entities=1")
    assert (code, summary["steps"][-1]["status"]) == (0, "ok"), summary
    rows = read_arrow(shop.lake, AUDITS).to_pylist()
    by = {check: {r["feature"]: r for r in rows if r["check"] == check} for check in ("future", "gold")}
    for check in by:
        assert by[check]["refunds_count_10d"]["compared"] > 0
        assert by[check]["refunds_count_10d"]["verdict"] == "ok"
        assert by[check]["claims_count_10d"]["verdict"] == "warn"
    said = json.loads((shop.root / "runs" / summary["run_id"] / "summary.json").read_text("utf-8"))["facts"]["audit"]
    assert said.endswith("claims_count_10d without a value for anybody")


def test_without_a_matured_label_there_is_nothing_to_audit(shop: Shop) -> None:
    shop.deliver("orders.csv", as_csv(orders(until=12)))
    code, summary = shop.run(f"{BUILT} audit", "--as-of", "2024-01-11")
    assert (code, summary["steps"][-1]["status"]) == (0, "skipped")
