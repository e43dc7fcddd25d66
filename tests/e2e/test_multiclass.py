"""A shop that foretells by which way a customer orders next, through the jobs: whoever scores says the same classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from class_twin import classes_in_numpy
from conftest import CONTRACT, make_shop_in
from deltalake import DeltaTable
from shopkeeping import AS_OF, orders
from sklearn.metrics import accuracy_score, log_loss
from tidemill.cli.console import app
from tidemill.data.read import read, read_arrow
from tidemill.models.pipelines import with_score
from tidemill.models.registry import Registry
from tidemill.models.registry_flavor import GRAPH_FOLDER
from tidemill.models.sample_check import load_checked
from tidemill.models.tables import gate_scores_table, predictions_table, training_sets_table
from tidemill.models.use_case import load_use_case
from tidemill.serving.bundle import write_bundle
from tidemill.serving.served import load_served

if TYPE_CHECKING:
    from conftest import Shop
    from pyspark.sql import SparkSession

WAYS = ("web", "store", "phone")
LATER = "2024-03-31"
KIND = "      - {name: way, physicalName: Way, logicalType: string, required: true}\n"
USE_CASE = """\
from tidemill.declare import *

CUSTOMER = Entity("customer")
ORDERS = Source("orders", contract="shop/orders.yaml", entity=CUSTOMER, event_time="ordered_at")
WAYS = ("web", "store", "phone")
VIEW = FeatureView(
    "orders_of_customer", version=1, entity=CUSTOMER, source=ORDERS, cadence=days(1), ttl=days(2),
    features=(
        Recency(),
        Aggregate("count", windows=(days(20),)),
        Aggregate("count", by="way", values=WAYS, windows=(days(20),)),
        Attribute("way", "string"),
    ),
)
SHOP = UseCase(
    "shop",
    views=(VIEW,),
    label=Label("next_way", horizon=days(10), population=ActiveWithin(ORDERS, days(20)),
                outcome=ClassIn(ORDERS, "way", WAYS)),
    task="multiclass",
    models=(LogisticRegression(regParam=0.01, maxIter=20), RandomForest(numTrees=5, maxDepth=3)),
    preparation=Preparation(class_weights="balanced"),
    grid=Grid("2024-01-11", every=days(10)),
    baseline="recency_days",
    slices=("way_now",),
    splits=Splits(gate=1, folds=2),
)
"""


def delivery() -> str:
    """Orders of customers who mostly come the same way, and at times another one; by fax, too, which is no class."""
    lines = ["Customer,At,Amount,Way"]
    for place, (customer, at, amount) in enumerate(orders(customers=80)):
        usual = (int(customer[1:]) // 2) % 3
        way = "fax" if place % 23 == 0 else WAYS[(usual + (place % 5 == 0)) % 3]
        lines.append(f"{customer},{at:%Y-%m-%d %H:%M:%S},{amount},{way}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose champion has scored and was monitored."""
    made = make_shop_in(tmp_path_factory.mktemp("shop"))("var")
    (made.repo / "shop.py").write_text(USE_CASE, "utf-8")
    (made.repo / "contracts" / "shop" / "orders.yaml").write_text(CONTRACT + KIND, "utf-8")
    made.deliver("orders.csv", delivery())
    jobs = "ingest refine build_features audit train promote score monitor"
    settings = ("promote.calibration_error=1", "monitor.minimum_rows=5")
    code, summary = made.run(jobs, "--as-of", AS_OF, *(word for one in settings for word in ("--set", one)))
    assert code == 0, summary
    assert summary["model"] == {"name": "shop", "version": "1", "alias": "champion"}, summary
    assert summary["metrics"]["gate_log_loss"] < summary["metrics"]["baseline_log_loss"] < np.log(3) + 0.1
    assert 0 < summary["metrics"]["test_log_loss"] < np.log(3)
    assert 0.5 < summary["metrics"]["test_accuracy"] <= 1
    assert "test_positive_rate" not in summary["metrics"]
    assert "log loss" in Path(summary["report"]).read_text("utf-8")
    return made


def table(shop: Shop, name: str) -> list[dict[str, Any]]:
    layer, _, rest = name.partition(".")
    found: list[dict[str, Any]] = DeltaTable(str(shop.root / "lake" / layer / rest)).to_pyarrow_table().to_pylist()
    return found


def at_time(shop: Shop, name: str, day: str = AS_OF) -> list[dict[str, Any]]:
    return [row for row in table(shop, name) if f"{row['event_timestamp']:%Y-%m-%d}" == day]


def test_the_card_tells_the_metrics_of_the_gate(shop: Shop) -> None:
    use_case, registry = load_use_case(shop.repo, "shop"), Registry(shop.root)
    card = registry.document(registry.version("shop", "1"), "card.json")
    gate = read_arrow(shop.lake, gate_scores_table(use_case))
    label, shares = gate["label"].to_numpy().astype(int), np.array(gate["probabilities"].to_pylist())
    found = classes_in_numpy(label, shares)
    assert found is not None
    assert (card["classes"], card["threshold"], card["metric"]) == (list(WAYS), None, "log_loss")
    assert card["gate_value"] == card["gate_metrics"]["log_loss"] == pytest.approx(log_loss(label, shares), abs=1e-9)
    assert card["gate_metrics"]["confusion_matrix"] == [list(row) for row in found.confusion]
    assert card["gate_metrics"]["macro_f1"] == pytest.approx(found.f1.macro, abs=1e-9)
    assert card["gate_metrics"]["brier"] == pytest.approx(found.brier, abs=1e-9)
    assert gate["prediction"].to_numpy().tolist() == shares.argmax(axis=1).tolist()
    assert card["baseline"]["trivial_gate_value"] == pytest.approx(
        log_loss(label, np.tile(card["baseline"]["constant"], (len(label), 1))), abs=1e-9
    )
    assert {one["column"] for one in card["slices"]} == {"way_now"}


def test_whoever_scores_says_the_same(shop: Shop, spark: SparkSession, tmp_path: Path) -> None:
    use_case, registry = load_use_case(shop.repo, "shop"), Registry(shop.root)
    version = registry.version("shop", "1")
    predicted = read_arrow(shop.lake, predictions_table(use_case)).sort_by("customer").to_pylist()
    shares = np.array([row["probabilities"] for row in predicted])
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(predicted)))
    assert [row["score"] for row in predicted] == shares.max(axis=1).tolist()
    assert [row["prediction"] for row in predicted] == shares.argmax(axis=1).tolist()
    assert {row["prediction"] for row in predicted} == {0.0, 1.0, 2.0}
    assert {row["reasons"] for row in predicted} == {None}
    # The registered graph on the gold rows of the same time.
    served = load_served(registry, version)
    gold = {row["customer"]: row for row in at_time(shop, "gold.orders_of_customer_v1")}
    features = [{f.name: gold[row["customer"]][f.name] for f in use_case.features} for row in predicted]
    outputs = served.scorer.outputs_of_rows(features)
    assert outputs.tolist() == shares.tolist()
    assert (served.threshold, served.scorer.classes) == (None, list(WAYS))
    # Spark's own pipeline, on the rows of the training set; and what leaves the house.
    rows = read(spark, shop.lake, training_sets_table(use_case))
    scored = with_score(registry.load(version), rows, "multiclass")
    scored = scored.select(*[f.name for f in use_case.features], "probabilities").toArrow()
    expected = np.array(scored["probabilities"].to_pylist())
    graph = load_checked(registry.fetch(version, GRAPH_FOLDER, tmp_path))
    assert np.abs(graph.outputs(scored) - expected).max() <= 1e-9
    write_bundle(registry, version, tmp_path / "edge")
    assert json.loads((tmp_path / "edge" / "schema.json").read_text("utf-8"))["classes"] == list(WAYS)
    assert np.abs(load_checked(tmp_path / "edge").outputs(scored) - expected).max() <= 1e-9


def test_it_is_made_again(shop: Shop) -> None:
    code, summary = shop.run("reproduce", "--version", "1")
    assert code == 0, summary
    found = json.loads((shop.root / "runs" / summary["run_id"] / "reproduction.json").read_text("utf-8"))
    assert found["equal"] is True
    assert found["metric"]["name"] == "log_loss"


def test_outputs_are_watched_and_what_came_true_is_judged(shop: Shop) -> None:
    code, summary = shop.run("build_features score monitor", "--as-of", LATER, "--set", "monitor.minimum_rows=5")
    assert code == 0, summary
    watched = {(row["kind"], row["feature"]) for row in table(shop, "ops.drift") if row["as_of"].month == 3}
    assert {feature for kind, feature in watched if kind == "prediction_drift"} == {"score", "prediction"}
    judged = [row for row in at_time(shop, "ops.performance") if row["kind"] == "realised" and row["slice"] is None]
    at = {row["metric"]: row for row in judged}
    labels = {row["customer"]: row["label"] for row in at_time(shop, "gold.shop_labels")}
    made = [row for row in at_time(shop, "gold.shop_predictions") if row["customer"] in labels]
    label, shares = [labels[row["customer"]] for row in made], [row["probabilities"] for row in made]
    assert at["log_loss"]["value"] == pytest.approx(log_loss(label, shares, labels=[0, 1, 2]), abs=1e-9)
    assert at["log_loss"]["low"] < at["log_loss"]["value"] < at["log_loss"]["high"]
    assert at["accuracy"]["value"] == pytest.approx(accuracy_score(label, [row["prediction"] for row in made]))
    assert at["log_loss"]["baseline"] is not None
    assert at["log_loss"]["positive_rate"] is None


@pytest.mark.parametrize(
    ("words", "told"), [("promotions shop", "log_loss"), ("catalog shop", "multiclass"), ("report shop", "shop.html")]
)
def test_commands_tell_of_it(shop: Shop, words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, *rest = words.split()
    repo = ["--repo", str(shop.repo)] if command == "catalog" else []
    app([command, *rest, "--root", str(shop.root), *repo, "--json"], standalone_mode=False)
    assert told in capsys.readouterr().out
