"""The gate on a tiny shop: what it looks at is in the ledger, approval and rollback move what scores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import Shop, make_shop_in
from deltalake import DeltaTable
from shopkeeping import AS_OF, as_csv, orders, recorded
from tidemill.cli.console import app
from tidemill.core.failpoints import Crashed, armed

LATER = "2024-03-21"
JOBS = "build_features audit train promote score"


@dataclass(frozen=True)
class Judged:
    """A shop whose first challenger became champion, and whose second one waits."""

    shop: Shop
    first: dict[str, Any]
    second: dict[str, Any]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, spark: object) -> Judged:
    shop = make_shop_in(tmp_path_factory.mktemp("judged"))("var")
    shop.deliver("orders.csv", as_csv(orders()))
    code, first = shop.run(f"ingest refine {JOBS}", "--as-of", AS_OF)
    assert code == 0, first
    # Better by more than chance is asked for in vain where the recipe is the same: it is enough here not to be larger.
    easy = ("--set", "promote.approval=true", "--set", "promote.simpler=1.0", "--set", "promote.overfit=1.0")
    code, second = shop.run(JOBS, "--as-of", LATER, *easy)
    assert code == 0, second
    return Judged(shop, first, second)


def ledger(shop: Shop) -> list[dict[str, Any]]:
    table = DeltaTable(str(shop.root / "lake/ops/promotions")).to_pyarrow_table().to_pylist()
    return sorted(table, key=lambda row: row["decided_at"])


def scorers(shop: Shop, at: str) -> dict[str, str]:
    """Who scored at an as-of time, newest batch last: role to version."""
    table = DeltaTable(str(shop.root / "lake/gold/shop_predictions")).to_pyarrow_table()
    batches = {entry.batch_id: entry.inputs for entry in shop.batches("gold.shop_predictions")}
    rows = {(row["batch_id"], row["role"], row["model_version"]) for row in table.to_pylist()}
    return {role: version for batch, role, version in rows if batches[batch]["as_of"].startswith(at)}


def test_the_first_challenger_passes_every_check(judged: Judged) -> None:
    first = ledger(judged.shop)[0]
    checks = {check["name"]: check for check in json.loads(first["evidence"])["checks"]}
    assert (first["decision"], first["challenger_version"], first["champion_version"]) == ("promote", "1", None)
    assert list(checks) == ["baseline", "champion", "calibration", "brier", "slices", "overfit", "leakage", "package"]
    assert all(check["passed"] for check in checks.values())
    assert first["gate_rows"] == judged.first["metrics"]["gate_rows"]
    assert checks["package"]["value"] <= 1e-9
    assert "rows scored by a clean process" in checks["package"]["reason"]
    assert checks["leakage"]["reason"] == (
        "the leakage audit of its training rows found nothing that was not known in time"
    )


def test_a_run_that_ended_between_two_versions_scores_the_second_alone(judged: Judged) -> None:
    shop, later = judged.shop, ("--as-of", "2024-03-31")
    with armed("commit.after_ledger:gold.shop_predictions"), pytest.raises(Crashed):
        shop.run("build_features score", *later)
    assert scorers(shop, "2024-03-31") == {"champion": "1"}
    code, summary = shop.run("score", *later)
    assert (code, summary["steps"][0]["counts"]["scored"]) == (0, summary["metrics"]["population"])
    assert scorers(shop, "2024-03-31") == {"champion": "1", "shadow": "2"}


def test_a_challenger_waits_and_scores_in_shadow_until_it_is_approved(
    judged: Judged, capsys: pytest.CaptureFixture[str]
) -> None:
    shop, second = judged.shop, ledger(judged.shop)[1]
    evidence = json.loads(second["evidence"])
    assert (second["decision"], second["challenger_version"], second["champion_version"]) == ("wait", "2", "1")
    assert evidence["compared"]["champion"]["rows"] == second["gate_rows"]
    assert second["gain"] == pytest.approx(second["challenger_value"] - second["champion_value"], abs=1e-12)
    assert evidence["numbers"] == evidence["champion_numbers"] > 0
    assert judged.second["model"] == {"name": "shop", "version": "1", "alias": "champion"}
    assert scorers(shop, LATER) == {"champion": "1", "shadow": "2"}
    command = ["--root", str(shop.root), "--by", "Ada", "--because", "looked at it", "--json"]
    app(["approve", "shop", "2", *command], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["rows"][0]["decision"] == "approve"
    assert {"shop champion is 2", "shop previous is 1"} <= set(recorded(shop.root))
    assert shop.run("promote score", "--as-of", LATER)[1]["model"]["version"] == "2"


def test_a_rollback_restores_what_scores(judged: Judged, capsys: pytest.CaptureFixture[str]) -> None:
    shop = judged.shop
    app(["rollback", "shop", "--root", str(shop.root), "--because", "complaints"], standalone_mode=False)
    assert "took back version 2: complaints" in " ".join(capsys.readouterr().out.split())
    assert "shop champion is 1" in recorded(shop.root)
    assert not [line for line in recorded(shop.root) if "previous" in line]
    code, summary = shop.run("promote score", "--as-of", LATER)
    assert (code, summary["model"]) == (0, {"name": "shop", "version": "1", "alias": "champion"})
    assert [row["decision"] for row in ledger(shop)] == ["promote", "wait", "approve", "rollback"]
