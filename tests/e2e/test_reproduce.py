"""What is asked of registered versions long after: to be made again from tables that have changed, and how they age."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import make_shop_in
from deltalake import DeltaTable
from shopkeeping import AS_OF, START, as_csv, orders
from tidemill.data.pins import pins
from tidemill.models.fits import fit_recipe

if TYPE_CHECKING:
    from typing import Any

    from conftest import Shop

TRAINED = "ingest refine build_features audit train"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, spark: object) -> Shop:
    """A shop with two versions; what the first was made from is no more in the tables."""
    shop = make_shop_in(tmp_path_factory.mktemp("kept"))("var")
    shop.deliver("orders.csv", as_csv(orders()))
    assert shop.run(TRAINED, "--as-of", AS_OF)[0] == 0
    late = [(f"c{number:03d}", START.replace(month=2, day=1 + number % 20), "99.00") for number in range(0, 40, 3)]
    shop.deliver("late.csv", as_csv(late))
    code, summary = shop.run(TRAINED, "--as-of", "2024-04-10")
    assert (code, summary["model"]["version"]) == (0, "2")
    settings = ("--set", "maintain.retention_hours=0", "--set", "maintain.target_files=1")
    code, summary = shop.run("maintain", *settings)
    assert code == 0, summary
    assert summary["steps"][0]["counts"]["files_removed"] > 0
    return shop


def report(shop: Shop, summary: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shop.root / "runs" / summary["run_id"] / "reproduction.json").read_text())
    return found


def test_the_oldest_version_is_made_again_from_what_was_pinned(kept: Shop) -> None:
    code, summary = kept.run("reproduce", "--version", "1")
    assert code == 0, summary
    assert summary["model"] == {"name": "shop", "version": "1"}
    found = report(kept, summary)
    assert found["equal"] is True
    assert found["rebuilt"] == {**found["rebuilt"], "missing": 0, "added": 0, "columns": {}}
    assert found["rebuilt"]["rows"] == found["model_scores"]["rows"] > 50
    assert found["gate_scores"]["columns"] == found["model_scores"]["columns"] == {}
    assert found["metric"]["card"] == found["metric"]["again"]
    assert found["remaining"] == []


def test_the_tables_themselves_hold_other_rows_now(kept: Shop) -> None:
    """Without its pins the first training set could not be made again: late rows have changed what it saw."""
    pin = min((p for p in pins(kept.root) if p.table == "orders_of_customer_v1"), key=lambda p: p.version)
    table = DeltaTable(str(kept.root / "lake" / "gold" / pin.table))
    assert not {Path(file.path).name for file in pin.files} & {Path(uri).name for uri in table.file_uris()}


def test_a_set_that_cannot_be_made_again_is_taken_as_it_was_kept(kept: Shop) -> None:
    first = min((p for p in pins(kept.root) if p.table == "shop_labels"), key=lambda p: p.version).name
    hidden = kept.root / "hidden"
    shutil.move(kept.root / "pins" / first, hidden)
    try:
        code, summary = kept.run("reproduce", "--version", "1")
    finally:
        shutil.move(hidden, kept.root / "pins" / first)
    assert code == 0, summary
    found = report(kept, summary)
    assert (found["equal"], found["rebuilt"]) == (True, None)
    assert found["remaining"] == [f"the training set was taken as it was kept: nothing is pinned as {first}"]


def test_what_came_out_different_is_said(kept: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(rows: Any, use_case: Any, features: Any, recipe: Any, settings: Any) -> Any:
        return fit_recipe(rows.limit(40), use_case, features, recipe, settings)

    monkeypatch.setattr("tidemill.models.reproduce.fit_recipe", other)
    code, summary = kept.run("reproduce", "--version", "2")
    assert (code, summary["error"]["code"]) == (65, "E_NOT_REPRODUCED")
    assert "different" in summary["error"]["what"]
    found = report(kept, summary)
    assert found["equal"] is False
    assert found["model_scores"]["columns"]["score"] > 0
    assert found["model_scores"]["largest"] > 0


def test_a_version_that_is_not_there(kept: Shop) -> None:
    code, summary = kept.run("reproduce", "--version", "7")
    assert (code, summary["error"]["code"]) == (64, "E_NO_VERSION")
    assert "1, 2" in summary["error"]["next"]


def test_a_backtest_shows_how_models_age(kept: Shop) -> None:
    code, summary = kept.run("backtest", "--as-of", "2024-04-10", "--set", "backtest.trainings=3")
    assert code == 0, summary
    assert summary["steps"][0]["counts"] == {"trainings": 3}
    rows = DeltaTable(str(kept.root / "lake" / "ops" / "backtests")).to_pyarrow_table().to_pylist()
    found = sorted((r["trained_at"].day, r["evaluated_at"].day, r["age"]) for r in rows)
    assert found == [(11, 11, 0), (11, 21, 1), (11, 31, 2), (21, 21, 0), (21, 31, 1), (31, 31, 0)]
    assert {r["metric"] for r in rows} == {"roc_auc"}
    assert all(0.5 < r["value"] <= 1 for r in rows)
    assert "How models age" in Path(summary["report"]).read_text("utf-8")
    again = kept.run("backtest", "--as-of", "2024-04-10", "--set", "backtest.trainings=3")[1]
    assert again["status"] == "skipped"
