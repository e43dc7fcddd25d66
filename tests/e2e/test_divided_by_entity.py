"""A use case that is divided by entity, with prepared features, through the jobs: what its card says, and promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shopkeeping import AS_OF, as_csv, orders
from tidemill.models.registry import Registry

if TYPE_CHECKING:
    from conftest import Shop

CHANGES = {
    "models=(LogisticRegression(regParam=0.1, maxIter=5),),": "models=(ScikitLogistic(), Perceptron(maxIter=10)),",
    "splits=Splits(gate=1, folds=1),": """splits=Splits(by="entity", gate=1, folds=2),
    preparation=Preparation(constant=True, correlated=0.99, scaling="standard"),""",
}


def test_other_customers_decide(shop: Shop) -> None:
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
    code, summary = shop.run("train promote", "--as-of", AS_OF, "--set", only)
    assert code == 0, summary
    newest = registry.versions("shop")[0]
    assert registry.document(newest, "card.json")["parameters"] == {"regParam": 0.2}
    assert newest.version == "2"
