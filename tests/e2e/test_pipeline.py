"""The whole loop on a tiny shop: what it gives, that it is done once, and that it does not see the future."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from deltalake import DeltaTable
from shopkeeping import ALL_JOBS, AS_OF, as_csv, contents, orders, recorded, versions
from tidemill.cli.job import HOME
from tidemill.features.feast_store import online_rows, open_store, repository_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Shop


@pytest.fixture
def done(shop: Shop) -> Shop:
    shop.deliver("orders.csv", as_csv(orders()))
    code, _ = shop.run(ALL_JOBS, "--as-of", AS_OF)
    assert code == 0
    return shop


def test_gives_the_documented_summary(shop: Shop) -> None:
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run(ALL_JOBS, "--as-of", AS_OF)
    rows = len(orders())
    assert code == 0
    assert summary["job"] == "pipeline"
    assert summary["status"] == "ok"
    assert summary["as_of"] == "2024-03-11T00:00:00Z"
    assert summary["counts"] == {"read": rows, "accepted": rows, "quarantined": 0, "duplicates": 0}
    assert summary["tables"]["bronze.orders"] == {"version": 1, "rows": rows}
    assert summary["tables"]["silver.orders"] == {"version": 1, "rows": rows}
    assert summary["model"]["name"] == "shop"
    assert set(summary["metrics"]) == {
        "gate_rows",
        "gate_positive_rate",
        "gate_roc_auc",
        "baseline_roc_auc",
        "population",
        "test_rows",
        "test_positive_rate",
        "test_roc_auc",
        "test_matured_at",
    }
    assert [step["job"] for step in summary["steps"]] == ALL_JOBS.split()
    assert summary["report"].endswith("report.html")


def test_a_second_run_writes_nothing_and_repeats_the_first(done: Shop) -> None:
    before, models = versions(done.root), recorded(done.root)
    first = done.run(ALL_JOBS, "--as-of", AS_OF)[1]
    assert first["status"] == "skipped"
    assert first["metrics"]["population"] > 0
    assert versions(done.root) == before
    assert recorded(done.root) == models


def test_what_happens_later_changes_nothing_before(make_shop: Callable[[str], Shop], spark: object) -> None:
    whole, cut = make_shop("whole"), make_shop("cut")
    end = datetime.fromisoformat(AS_OF)
    whole.deliver("orders.csv", as_csv(orders()))
    cut.deliver("orders.csv", as_csv(r for r in orders() if r[1] < end))
    full, short = whole.run(ALL_JOBS, "--as-of", AS_OF)[1], cut.run(ALL_JOBS, "--as-of", AS_OF)[1]
    same = ("gold.shop_training_sets", "gold.shop_gate_scores", "gold.shop_predictions", "ops.promotions")
    assert contents(whole.root, *same) == contents(cut.root, *same)
    assert "test_roc_auc" in full["metrics"]
    assert "test_roc_auc" not in short["metrics"]
    assert short["status"] == "ok"


def test_labels_that_matured_since_are_added_by_the_same_command(shop: Shop) -> None:
    end = datetime.fromisoformat(AS_OF)
    shop.deliver("early.csv", as_csv(r for r in orders() if r[1] < end))
    assert "test_rows" not in shop.run(ALL_JOBS, "--as-of", AS_OF)[1]["metrics"]
    shop.deliver("later.csv", as_csv(r for r in orders() if r[1] >= end))
    code, summary = shop.run(ALL_JOBS, "--as-of", AS_OF)
    statuses = {step["job"]: step["status"] for step in summary["steps"]}
    assert code == 0
    assert summary["metrics"]["test_rows"] > 0
    assert statuses["train"] == statuses["promote"] == statuses["score"] == "skipped"
    assert statuses["build_features"] == "skipped"


def test_a_late_file_replaces_exactly_the_times_that_can_see_it(done: Shop) -> None:
    done.deliver("late.csv", as_csv([("c000", datetime(2024, 2, 25, 12), "1000.00")]))  # noqa: DTZ001
    code, _ = done.run("ingest refine build_features", "--as-of", AS_OF)
    newest = done.batches("gold.orders_of_customer_v1")[-1]
    assert code == 0
    assert newest.cause == "late"
    times = [run for part in newest.inputs["slices"] for run in part["times"]]
    assert {t["start"] for t in times} == {1709251200000000, 1710115200000000}  # 2024-03-01 and 2024-03-11


def test_online_values_are_those_of_gold(done: Shop) -> None:
    gold = {
        r["customer"]: r
        for r in DeltaTable(str(done.root / "lake" / "gold" / "orders_of_customer_v1")).to_pyarrow_table().to_pylist()
        if r["event_timestamp"] == datetime.fromisoformat(f"{AS_OF}T00:00:00+00:00")
    }
    store = open_store(repository_yaml(done.repo, HOME / "feature_repo"), done.root)
    keys = sorted(gold)
    online = online_rows(store, "shop", "customer", keys)
    names = ("recency_days", "events_count_10d", "amount_sum_10d")
    assert len(keys) == 40
    assert [[row[n] for n in names] for row in online] == [[gold[k][n] for n in names] for k in keys]


def test_a_period_is_replayed_one_time_after_another(shop: Shop) -> None:
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run(ALL_JOBS, "--from", "2024-03-01", "--until", "2024-03-12")
    assert code == 0
    assert len(summary["steps"]) == 2 * len(ALL_JOBS.split())
    assert summary["as_of"] == "2024-03-11T00:00:00Z"
    assert {e.inputs["as_of"] for e in shop.batches("gold.shop_predictions")} == {
        "2024-03-01T00:00:00Z",
        "2024-03-11T00:00:00Z",
    }


def test_an_older_run_never_moves_the_alias(done: Shop) -> None:
    assert "shop champion is 1" in recorded(done.root)
    code, summary = done.run(ALL_JOBS, "--as-of", "2024-03-01")
    assert code == 0
    assert summary["as_of"] == "2024-03-01T00:00:00Z"
    assert {"shop 2", "shop champion is 1"} <= set(recorded(done.root))
