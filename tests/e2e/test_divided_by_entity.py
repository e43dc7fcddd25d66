"""A use case that is divided by entity, with prepared features, through the jobs: what its card says, and promotion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shopkeeping import AS_OF, as_csv, orders
from tidemill.models.registry import Registry

if TYPE_CHECKING:
    from conftest import Shop

CHANGES = {
    "models=(LogisticRegression(regParam=0.1, maxIter=5),),": "models=(ScikitLogistic(), Perceptron(maxIter=10)),",
    "splits=Splits(gate=1, folds=1),": """splits=Splits(by="entity", gate=1, folds=2),
    preparation=Preparation(constant=True, correlated=0.99, stable=0.6, scaling="standard"),""",
}


def test_other_customers_decide(shop: Shop, tmp_path: Path) -> None:
    file = shop.repo / "shop.py"
    text = file.read_text("utf-8")
    for old, new in CHANGES.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, "utf-8")
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run("ingest refine build_features train promote", "--as-of", AS_OF)
    assert code == 0, summary
    registry = Registry(shop.root)
    (version,) = registry.versions("shop")
    card = registry.document(version, "card.json")
    assert card["split"].startswith("by shares of entities, as declared, and not by time")
    assert {c["family"] for c in card["candidates"]} == {"scikit_logistic", "perceptron"}
    assert [len(c["folds"]) for c in card["candidates"]] == [2, 2]
    assert card["times"]["gate"] == card["times"]["gate_train"] == card["times"]["final"]
    assert card["baseline"]["trivial_gate_value"] == 0.5  # a constant tells nobody apart
    only = "train.only.logistic_regression.regParam=0.2"
    assert "learning_curve" not in card
    code, summary = shop.run("train promote", "--as-of", AS_OF, "--set", only, "--set", "train.learning_curve=true")
    assert code == 0, summary
    newest = registry.versions("shop")[0]
    card = registry.document(newest, "card.json")
    assert card["parameters"] == {"regParam": 0.2}
    curve = card["learning_curve"]
    assert [point["share"] for point in curve] == [0.125, 0.25, 0.5, 1.0]
    assert [point["rows"] for point in curve] == sorted(point["rows"] for point in curve)
    assert curve[-1]["value"] == card["gate_value"]
    page = Path(registry._client.download_artifacts(newest.run_id, "evaluation.html", str(tmp_path))).read_text("utf-8")
    assert "Learning curve" in page
    assert newest.version == "2"
