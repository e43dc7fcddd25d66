"""Stored predictions are judged once their labels are known: each once, and again only where late data change one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable
from shopkeeping import as_csv, orders, versions
from sklearn.metrics import accuracy_score, roc_auc_score
from tidemill.core.failpoints import Crashed, armed

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Shop

TIMES = ("2024-03-11", "2024-03-21", "2024-03-31")
LATER = TIMES[-1]  # when the labels of the others have matured
FEW = ("--set", "monitor.minimum_rows=5")


def table(shop: Shop, name: str) -> list[dict[str, Any]]:
    layer, _, rest = name.partition(".")
    found: list[dict[str, Any]] = DeltaTable(str(shop.root / "lake" / layer / rest)).to_pyarrow_table().to_pylist()
    return found


def realised(shop: Shop) -> list[dict[str, Any]]:
    return [row for row in table(shop, "ops.performance") if row["kind"] == "realised"]


def days_of(rows: list[dict[str, Any]]) -> list[str]:
    return sorted({f"{row['event_timestamp']:%Y-%m-%d}" for row in rows})


def pairs(shop: Shop, day: str, version: str) -> tuple[list[float], list[float], list[float]]:
    """Labels, scores and predictions of a time, put together by hand."""
    at = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    labels: dict[str, float] = {}
    for row in sorted(table(shop, "gold.shop_labels"), key=lambda r: r["created_timestamp"]):
        if row["event_timestamp"] == at:
            labels[row["customer"]] = row["label"]
    made = [r for r in table(shop, "gold.shop_predictions") if r["event_timestamp"] == at]
    made = [r for r in made if r["model_version"] == version and r["customer"] in labels]
    return [labels[r["customer"]] for r in made], [r["score"] for r in made], [r["prediction"] for r in made]


@pytest.fixture
def scored(make_shop: Callable[[str], Shop], spark: object) -> Shop:
    """A shop whose first champion has scored three times; of the last no label is known yet."""
    shop = make_shop("var")
    declared = Path(shop.repo / "shop.py")
    text = declared.read_text("utf-8").replace("splits=", 'slices=("events_count_10d",),\n    splits=')
    declared.write_text(text, encoding="utf-8")
    shop.deliver("orders.csv", as_csv(r for r in orders() if r[1] < datetime.fromisoformat(LATER)))
    code, summary = shop.run("ingest refine build_features train promote", "--as-of", TIMES[0])
    assert code == 0, summary
    code, summary = shop.run("build_features score", "--from", TIMES[0], "--until", f"{LATER}T00:00:01")
    assert code == 0, summary
    return shop


def test_matured_predictions_are_judged_once_by_a_later_run(scored: Shop) -> None:
    with armed("monitor.between_tables"), pytest.raises(Crashed):
        scored.run("monitor", "--as-of", LATER, *FEW)
    code, summary = scored.run("monitor", "--as-of", LATER, *FEW)
    assert code == 0, summary
    assert summary["steps"][-1]["counts"]["matured"] == 2
    rows = realised(scored)
    assert days_of(rows) == ["2024-03-11", "2024-03-21"]
    for day in TIMES[:2]:
        labels, scores, decided = pairs(scored, day, "1")
        mine = {r["metric"]: r for r in rows if days_of([r]) == [day] and r["slice"] is None}
        assert mine["roc_auc"]["value"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        assert mine["accuracy"]["value"] == pytest.approx(accuracy_score(labels, decided), abs=1e-12)
        assert mine["roc_auc"]["low"] <= mine["roc_auc"]["value"] <= mine["roc_auc"]["high"]
        assert {r["rows"] for r in mine.values()} == {len(labels)}
        assert mine["roc_auc"]["baseline"] is not None
        assert len([r for r in rows if days_of([r]) == [day] and r["slice"] is None]) == len(mine)  # each once
    sliced = [r for r in rows if r["slice"] == "events_count_10d" and r["metric"] == "accuracy"]
    assert sliced
    assert all(r["rows"] >= 5 for r in sliced)
    page = Path(summary["report"]).read_text("utf-8")
    assert "Expected and realised" in page
    assert "1 of 3 as-of times wait for their labels" in page
    for told in ('id="sources"', 'id="slices"', 'id="courses"'):
        assert told in page
    gauges = (scored.root / "metrics" / "monitor_shop.prom").read_text("utf-8")
    assert 'tidemill_performance_verdict{against="promised",metric="roc_auc",use_case="shop"}' in gauges

    before = versions(scored.root)
    assert scored.run("monitor", "--as-of", LATER, *FEW)[1]["status"] == "skipped"
    assert versions(scored.root) == before

    # An order that was delivered late: whoever was held for gone had come back.
    held = {r["customer"] for r in table(scored, "gold.shop_labels") if days_of([r]) == ["2024-03-21"] and r["label"]}
    there = {r["customer"] for r in table(scored, "gold.shop_predictions") if days_of([r]) == ["2024-03-31"]}
    back = min(held - there)
    scored.deliver("late.csv", as_csv([(back, datetime(2024, 3, 25, 12, tzinfo=UTC), "9.00")]))
    assert scored.run("ingest refine", "--as-of", LATER)[0] == 0
    code, summary = scored.run("monitor", "--as-of", LATER, *FEW)
    assert code == 0, summary
    again = realised(scored)[:]
    added = [r for r in again if r["judged_at"] > max(one["judged_at"] for one in rows)]
    assert days_of(added) == ["2024-03-21"]
    assert len(again) == len(rows) + len(added)
    labels, scores, _ = pairs(scored, "2024-03-21", "1")
    value = next(r["value"] for r in added if r["metric"] == "roc_auc" and r["slice"] is None)
    assert value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert value != next(r["value"] for r in rows if r["metric"] == "roc_auc" and days_of([r]) == ["2024-03-21"])
    assert scored.run("monitor", "--as-of", LATER, *FEW)[1]["status"] == "skipped"

    # The last one matures, and only that one is judged.
    first, last = datetime.fromisoformat(LATER), datetime.fromisoformat("2024-04-10")
    scored.deliver("rest.csv", as_csv(r for r in orders() if first <= r[1] < last))
    assert scored.run("ingest refine build_features score monitor", "--as-of", "2024-04-10", *FEW)[0] == 0
    assert days_of([r for r in realised(scored) if r not in again]) == ["2024-03-31"]
