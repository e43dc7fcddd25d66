"""The whole loop on a tiny shop: what it gives, that it is done once, and that it does not see the future."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Shop, make_shop_in
from deltalake import DeltaTable
from shopkeeping import ALL_JOBS, AS_OF, as_csv, contents, orders, recorded, versions
from tidemill.cli.console import app
from tidemill.core.errors import TidemillError
from tidemill.core.failpoints import Crashed, armed
from tidemill.core.home import HOME
from tidemill.data.pins import pins, read_pin
from tidemill.features.feast_store import online_rows, open_store
from tidemill.features.repository import repository_yaml
from tidemill.models.reasons import load_explainer
from tidemill.models.registry import Registry
from tidemill.models.registry_flavor import GRAPH_FOLDER


def rows(table: Any) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in table.to_pylist())


# What was learned and decided: nothing of it may depend on what had not happened yet.
LEARNED = ("gold.shop_training_sets", "gold.shop_gate_scores", "gold.shop_predictions", "ops.promotions")
END = datetime.fromisoformat(AS_OF)


@dataclass(frozen=True)
class Done:
    """A shop after one whole run. Its tests come in the order in which they change it.

    Args:
        shop: the shop.
        summary: of that run.
        learned: what it had learned and decided then.
    """

    shop: Shop
    summary: dict[str, Any]
    learned: dict[str, list[str]]


def run_all(folder: Path, delivered: str) -> Done:
    shop = make_shop_in(folder)("var")
    shop.deliver("orders.csv", delivered)
    code, summary = shop.run(ALL_JOBS, "--as-of", AS_OF)
    assert code == 0, summary
    return Done(shop, summary, contents(shop.root, *LEARNED))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, spark: object) -> Done:
    return run_all(tmp_path_factory.mktemp("done"), as_csv(orders()))


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory, spark: object) -> Done:
    """The same shop, which knows nothing of what came after T."""
    return run_all(tmp_path_factory.mktemp("cut"), as_csv(r for r in orders() if r[1] < END))


def test_gives_the_documented_summary(done: Done) -> None:
    summary, landed = done.summary, len(orders())
    assert summary["job"] == "pipeline"
    assert summary["status"] == "ok"
    assert summary["as_of"] == "2024-03-11T00:00:00Z"
    assert summary["counts"] == {"read": landed, "accepted": landed, "quarantined": 0, "duplicates": 0}
    assert summary["tables"]["bronze.orders"] == {"version": 1, "rows": landed}
    assert summary["tables"]["silver.orders"] == {"version": 1, "rows": landed}
    assert summary["model"] == {"name": "shop", "version": "1", "alias": "champion"}
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


def test_a_second_run_writes_nothing_and_repeats_the_first(done: Done) -> None:
    before, models = versions(done.shop.root), recorded(done.shop.root)
    again = done.shop.run(ALL_JOBS, "--as-of", AS_OF)[1]
    assert again["status"] == "skipped"
    same = ("run_id", "counts", "metrics", "model", "report", "tables")
    assert {k: again[k] for k in same} == {k: done.summary[k] for k in same}
    assert versions(done.shop.root) == before
    assert recorded(done.shop.root) == models


def test_a_run_with_nothing_to_do_is_a_success_of_the_monitor_job(done: Done) -> None:
    folder = done.shop.root / "metrics"

    def last() -> float:
        text = (folder / "success_shop.prom").read_text("utf-8")
        return float(text.partition('tidemill_monitor_last_success_time_seconds{use_case="shop"} ')[2].split()[0])

    before = last()
    judged = (folder / "monitor_shop.prom").read_text("utf-8")
    assert done.shop.run("monitor", "--as-of", AS_OF)[1]["status"] == "skipped"
    assert last() > before
    assert (folder / "monitor_shop.prom").read_text("utf-8") == judged
    assert 'tidemill_job_exit_code{job_name="monitor",use_case="shop"} 0.0' in (
        folder / "job_shop_monitor.prom"
    ).read_text("utf-8")


def test_the_index_leads_to_the_page_and_a_command_says_where_both_are(
    done: Done, capsys: pytest.CaptureFixture[str]
) -> None:
    app(["report", "shop", "--root", str(done.shop.root), "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert (found["as_of"], found["verdict"]) == ("2024-03-11T00:00:00Z", done.summary["drift"])
    index, page = Path(found["index"]), Path(found["newest"])
    assert index == done.shop.root / "runs" / "shop.html"
    assert f'href="{page.relative_to(index.parent)}"' in index.read_text("utf-8")
    assert page.read_bytes() == Path(done.summary["report"]).read_bytes()
    with pytest.raises(TidemillError, match="no monitor job has judged 'other' yet"):
        app(["report", "other", "--root", str(done.shop.root)], standalone_mode=False)


def test_a_job_alone_starts_the_session_that_it_needs(done: Done, tmp_path: Path) -> None:
    root = tmp_path / "var"
    shutil.copytree(done.shop.root, root)
    shop = ["--use-case", "shop", "--repo", str(done.shop.repo), "--root", str(root), "--as-of", AS_OF]
    command = [str(HOME / "spark-submit.sh"), "score", *shop, "--rebuild", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["metrics"]["population"] == done.summary["metrics"]["population"]
    kept = json.loads((root / "runs" / found["run_id"] / "summary.json").read_text("utf-8"))
    assert kept["facts"]["score_join"] == "bucket files"


def test_online_values_are_those_of_gold(done: Done) -> None:
    root = done.shop.root
    gold = {
        r["customer"]: r
        for r in DeltaTable(str(root / "lake" / "gold" / "orders_of_customer_v1")).to_pyarrow_table().to_pylist()
        if r["event_timestamp"] == datetime.fromisoformat(f"{AS_OF}T00:00:00+00:00")
    }
    store = open_store(repository_yaml(done.shop.repo, HOME / "feature_repo"), root)
    keys = sorted(gold)
    online = online_rows(store, "shop", "customer", keys)
    names = ("recency_days", "events_count_10d", "amount_sum_10d")
    assert len(keys) == 40
    assert [[row[n] for n in names] for row in online] == [[gold[k][n] for n in names] for k in keys]


def test_the_summary_says_what_the_audit_found(done: Done) -> None:
    run = json.loads((done.shop.root / "runs" / done.summary["run_id"] / "summary.json").read_text("utf-8"))
    assert run["facts"]["audit"] == "no leak in 3 features at 80 sampled rows"
    assert run["notes"] == []


def test_the_catalogue_tells_of_every_feature_who_uses_it(
    done: Done, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    command = ["catalog", "shop", "--root", str(done.shop.root), "--repo", str(done.shop.repo), "--html", str(page)]
    app([*command, "--json"], standalone_mode=False)
    rows = {(r["kind"], r["name"]): r for r in json.loads(capsys.readouterr().out)["rows"]}
    assert [name for kind, name in rows if kind == "feature"] == ["recency_days", "events_count_10d", "amount_sum_10d"]
    found = rows["feature", "amount_sum_10d"]
    assert (found["meaning"], found["origin"]) == ("sum of amount in the 10d before", ["orders.Amount", "orders.At"])
    assert (found["models"], found["null_share"], found["rows"]) == (["shop 1"], 0.0, 40)
    assert sum(found["counts"]) == 40
    assert rows["column", "amount"]["null_share"] == 0.0
    assert rows["column", "ordered_at"]["low"] == "2024-01-01T00:00:00Z"
    assert rows["source", "orders"]["facts"]["rows"] == str(len(orders()))
    assert rows["label", "gone"]["models"] == ["shop 1"]
    assert rows["model", "shop 1"]["meaning"].startswith("champion, challenger, roc_auc ")
    assert "sum of amount in the 10d before" in page.read_text("utf-8")


def test_the_card_and_the_runs_of_mlflow_have_every_metric_of_the_gate(done: Done) -> None:
    registry = Registry(done.shop.root)
    card = registry.document(registry.version("shop", "1"), "card.json")
    gate, summary = card["gate_metrics"], done.summary["metrics"]
    assert (gate["rows"], gate["positive_rate"]) == (summary["gate_rows"], summary["gate_positive_rate"])
    assert gate["roc_auc"] == card["gate_value"] == summary["gate_roc_auc"]
    for name, method in card["gate_intervals"]["metrics"].items():
        assert gate[f"{name}_low"] <= gate[name] <= gate[f"{name}_high"], name  # a share of 1 has nothing above it
        assert gate[f"{name}_low"] < gate[f"{name}_high"], name
        assert method in {"bootstrap", "block_bootstrap", "delong", "wilson"}
    assert {"brier", "log_loss"} <= set(card["gate_intervals"]["metrics"])  # no ranking of few rows is sure to vary
    assert sum(gate["confusion"].values()) == sum(b["rows"] for b in gate["calibration"]) == gate["rows"]
    assert gate["lift"][-1]["recall"] == 1.0
    assert card["train_metrics"]["rows"] > 0
    assert card["layout"] == {"partitions": 1, "order": ["event_timestamp", "customer"], "workers": None}
    artifacts = registry._client.list_artifacts(registry.version("shop", "1").run_id)
    assert "evaluation.html" in {artifact.path for artifact in artifacts}
    assert card["train_value"] == card["train_metrics"]["roc_auc"]
    logged = registry._client.get_run(registry.version("shop", "1").run_id).data.metrics
    assert {name: logged[f"gate_{name}"] for name in ("roc_auc", "average_precision", "brier", "f1")} == {
        name: pytest.approx(gate[name], abs=1e-12) for name in ("roc_auc", "average_precision", "brier", "f1")
    }
    assert logged["train_roc_auc"] == card["train_value"]
    run = json.loads((done.shop.root / "runs" / done.summary["run_id"] / "summary.json").read_text("utf-8"))
    assert run["facts"]["gate_evaluation"] == "files"


def test_predictions_say_why_and_the_card_says_what_counts(done: Done, tmp_path: Path) -> None:
    registry = Registry(done.shop.root)
    version = registry.version("shop", "1")
    explainer = load_explainer(registry.fetch(version, GRAPH_FOLDER, tmp_path))
    assert explainer is not None
    for row in DeltaTable(str(done.shop.root / "lake" / "gold" / "shop_predictions")).to_pyarrow_table().to_pylist():
        sizes = [abs(value) for value in row["contributions"]]
        assert sizes == sorted(sizes, reverse=True)
        assert set(row["reasons"]) <= {"recency_days", "events_count_10d", "amount_sum_10d"}
        margin = explainer.base + sum(row["contributions"])  # all three features are among the three reasons
        assert 1 / (1 + math.exp(-margin)) == pytest.approx(row["score"], abs=1e-9)
    said = registry.document(version, "card.json")["importance"]
    assert (said["rows"], said["unit"]) == (done.summary["metrics"]["gate_rows"], "log-odds")
    means = [feature["mean"] for feature in said["features"]]
    assert len(means) == 3
    assert means == sorted(means, reverse=True)
    assert means[0] > 0


def test_statistics_of_the_training_set_lie_beside_the_card(done: Done) -> None:
    table = DeltaTable(str(done.shop.root / "lake/gold/shop_training_sets")).to_pyarrow_table().to_pylist()
    registry = Registry(done.shop.root)
    found = registry.document(registry.version("shop", "1"), "training_set.json")
    columns = {c["name"]: c for c in found["columns"]}
    assert found["rows"] == len(table) > 0
    sums = [row["amount_sum_10d"] for row in table]
    assert (columns["amount_sum_10d"]["min"], columns["amount_sum_10d"]["max"]) == (min(sums), max(sums))
    assert columns["amount_sum_10d"]["mean"] == pytest.approx(sum(sums) / len(sums))
    assert columns["label"]["distinct"] == 2
    assert columns["customer"]["distinct"] == pytest.approx(len({row["customer"] for row in table}), rel=0.1)
    assert columns["event_timestamp"]["min"] == "2024-01-11T00:00:00Z"
    assert {c["nulls"] for c in columns.values()} == {c["not_finite"] for c in columns.values()} == {0}
    profile = found["profile"]
    assert profile.keys() == {"recency_days", "events_count_10d", "amount_sum_10d", "label"}
    assert {(p["rows"], sum(p["counts"])) for p in profile.values()} == {(len(table), len(table))}
    assert [profile["amount_sum_10d"]["quantiles"][n] for n in (0, -1)] == [min(sums), max(sums)]


def test_a_training_that_died_after_registering_is_finished_by_the_next_run(done: Done) -> None:
    # An older time: there is another version already, and its alias is not where the new one's belongs.
    with armed("train.registered"), pytest.raises(Crashed):
        done.shop.run("build_features train", "--as-of", "2024-03-01")
    assert {"shop challenger is 1", "shop 2"} <= set(recorded(done.shop.root))
    assert done.shop.run("train", "--as-of", "2024-03-01")[1]["status"] == "skipped"
    assert {"shop 1", "shop 2", "shop challenger is 2"} <= set(recorded(done.shop.root))
    assert not [line for line in recorded(done.shop.root) if "is running" in line]


def test_an_older_run_never_moves_the_alias(done: Done) -> None:
    code, summary = done.shop.run(ALL_JOBS, "--as-of", "2024-03-01")
    assert code == 0
    assert summary["as_of"] == "2024-03-01T00:00:00Z"
    assert "shop champion is 1" in recorded(done.shop.root)


def test_a_late_file_replaces_exactly_the_times_that_can_see_it(done: Done) -> None:
    done.shop.deliver("late.csv", as_csv([("c000", datetime(2024, 2, 25, 12), "1000.00")]))  # noqa: DTZ001
    code, _ = done.shop.run("ingest refine build_features", "--as-of", AS_OF)
    newest = done.shop.batches("gold.orders_of_customer_v1")[-1]
    assert code == 0
    assert newest.cause == "late"
    times = [run for part in newest.inputs["slices"] for run in part["times"]]
    assert {t["start"] for t in times} == {1709251200000000, 1710115200000000}  # 2024-03-01 and 2024-03-11


def test_what_a_model_was_trained_on_outlives_maintenance(done: Done) -> None:
    shop, name = done.shop, done.shop.batches("gold.shop_training_sets")[0].batch_id
    made = {p.label: p for p in pins(shop.root, name)}
    assert set(made) == {"gold.orders_of_customer_v1", "gold.shop_labels", "gold.shop_training_sets"}
    before = {label: rows(read_pin(shop.root, p)) for label, p in made.items()}
    held = contents(shop.root)
    now = ("--set", "maintain.retention_hours=0", "--set", "maintain.target_files=1")
    code, summary = shop.run("maintain", *now)
    counts = summary["steps"][-1]["counts"]
    assert code == 0, summary
    assert counts["rows_rewritten"] > 0
    assert counts["files_pinned"] > 0  # what the late file replaced is what the model has seen
    assert {label: rows(read_pin(shop.root, p)) for label, p in made.items()} == before
    assert contents(shop.root) == held
    trained = before["gold.shop_training_sets"]
    assert trained == rows(
        DeltaTable(str(shop.root / "lake/gold/shop_training_sets"))
        .to_pyarrow_table(filters=[("training_set_id", "=", name)])
    )  # fmt: skip
    assert shop.run("build_features", "--as-of", "2024-03-21")[0] == 0  # commits go on after the files are gone


def test_what_happens_later_changes_nothing_before(done: Done, cut: Done) -> None:
    assert done.learned == cut.learned
    assert "test_roc_auc" in done.summary["metrics"]
    assert not {"test_roc_auc", "test_rows"} & set(cut.summary["metrics"])
    assert cut.summary["status"] == "ok"


def test_labels_that_matured_since_are_added_by_the_same_command(cut: Done) -> None:
    cut.shop.deliver("later.csv", as_csv(r for r in orders() if r[1] >= END))
    code, summary = cut.shop.run(ALL_JOBS, "--as-of", AS_OF)
    statuses = {step["job"]: step["status"] for step in summary["steps"]}
    assert code == 0
    assert summary["metrics"]["test_rows"] > 0
    assert statuses["train"] == statuses["promote"] == statuses["score"] == "skipped"
    assert statuses["build_features"] == "skipped"


def test_a_period_is_replayed_one_time_after_another(shop: Shop) -> None:
    jobs = "ingest refine build_features audit train promote score"
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run(jobs, "--from", "2024-03-01", "--until", "2024-03-12")
    assert code == 0
    assert [step["job"] for step in summary["steps"]] == 2 * jobs.split()
    assert summary["as_of"] == "2024-03-11T00:00:00Z"
    assert {e.inputs["as_of"] for e in shop.batches("gold.shop_predictions")} == {
        "2024-03-01T00:00:00Z",
        "2024-03-11T00:00:00Z",
    }
