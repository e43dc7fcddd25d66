"""A shop that calibrates its scores and decides by cost, through the jobs: whoever scores agrees with the card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from conftest import make_shop_in
from pyspark.ml import PipelineModel
from shopkeeping import AS_OF, as_csv, orders
from tidemill.data.read import read, read_arrow
from tidemill.models.calibrated import Calibrated
from tidemill.models.calibrating import calibration_of
from tidemill.models.pipelines import with_score
from tidemill.models.registry import Registry
from tidemill.models.registry_flavor import GRAPH_FOLDER
from tidemill.models.sample_check import load_checked
from tidemill.models.tables import gate_scores_table, predictions_table, training_sets_table
from tidemill.models.use_case import load_use_case
from tidemill.serving.bundle import write_bundle
from tidemill.stats.binary import binary_of

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shop
    from pyspark.sql import SparkSession

DECLARED = """splits=Splits(gate=1, folds=2),
    preparation=Preparation(class_weights="balanced"),
    calibration="platt",
    decision=ByCost(false_positive=2, false_negative=1),"""


@pytest.fixture(scope="module")
def decided(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose champion has scored."""
    shop = make_shop_in(tmp_path_factory.mktemp("shop"))("var")
    file = shop.repo / "shop.py"
    text = file.read_text("utf-8")
    assert "splits=Splits(gate=1, folds=1)," in text
    file.write_text(text.replace("splits=Splits(gate=1, folds=1),", DECLARED), "utf-8")
    shop.deliver("orders.csv", as_csv(orders()))
    jobs = "ingest refine build_features audit train promote score"
    code, summary = shop.run(jobs, "--as-of", AS_OF, "--set", "promote.calibration_error=1")
    assert code == 0, summary
    return shop


def test_everything_decides_as_the_card_says(decided: Shop, spark: SparkSession, tmp_path: Path) -> None:
    use_case, registry = load_use_case(decided.repo, "shop"), Registry(decided.root)
    version = registry.version("shop", "1")
    card, model = registry.document(version, "card.json"), registry.load(version)
    threshold, known = card["threshold"], calibration_of(card["calibration"])
    assert known is not None
    assert 0.5 < threshold < 1  # a false alarm costs twice what a missed one does
    assert card["decision"]["by"] == "ByCost"
    assert isinstance(model.stages[-1], Calibrated)
    assert calibration_of(model.stages[-1].getOrDefault("calibration")) == known
    # The gate's figures are those of the calibrated scores at the threshold.
    gate = read_arrow(decided.lake, gate_scores_table(use_case))
    metrics = binary_of(gate.column("label").to_numpy(), gate.column("score").to_numpy(), threshold)
    assert metrics.probabilities is not None
    assert card["gate_metrics"]["brier"] == pytest.approx(metrics.probabilities.brier)
    assert card["gate_metrics"]["threshold"] == threshold
    assert card["gate_metrics"]["accuracy"] == pytest.approx(metrics.confusion.accuracy)
    # Spark, the graph, the bundle: rows of the training set.
    rows = read(spark, decided.lake, training_sets_table(use_case))
    features = [f.name for f in use_case.features]
    scored = with_score(model, rows, "binary").select(*features, "score").toArrow()
    raw = with_score(PipelineModel(stages=model.stages[:-1]), rows, "binary").select("score").toArrow()
    expected = scored.column("score").to_numpy()
    assert expected == pytest.approx(known.apply(raw.column("score").to_numpy()), abs=1e-12)
    graph = load_checked(registry.fetch(version, GRAPH_FOLDER, tmp_path))
    outputs, predictions = graph.told(scored)
    assert outputs.ravel() == pytest.approx(expected, abs=1e-9)
    assert predictions.tolist() == (outputs.ravel() >= threshold).tolist()  # the threshold is in the graph
    write_bundle(registry, version, tmp_path / "edge")
    assert json.loads((tmp_path / "edge" / "schema.json").read_text("utf-8"))["threshold"] == threshold
    assert load_checked(tmp_path / "edge").score(scored) == pytest.approx(expected, abs=1e-9)
    # The predictions of the batch.
    predicted = read_arrow(decided.lake, predictions_table(use_case)).to_pylist()
    assert {row["prediction"] for row in predicted} == {0.0, 1.0}
    assert all(row["prediction"] == float(row["score"] >= threshold) for row in predicted)
    assert any(0.5 <= row["score"] < threshold for row in predicted)  # whom 0.5 would have decided otherwise


def test_calibration_and_threshold_are_made_again(decided: Shop) -> None:
    code, summary = decided.run("reproduce", "--version", "1")
    assert code == 0, summary
    found = json.loads((decided.root / "runs" / summary["run_id"] / "reproduction.json").read_text("utf-8"))
    assert found["equal"] is True
    assert found["threshold"]["card"] == found["threshold"]["again"] != 0.5


def test_a_search_by_trials_ends_with_them_too(decided: Shop) -> None:
    code, summary = decided.run("train", "--as-of", AS_OF, "--set", "train.automl.trials=2")
    assert code == 0, summary
    registry = Registry(decided.root)
    card = registry.document(registry.version("shop", summary["model"]["version"]), "card.json")
    assert summary["model"]["version"] == "2"
    assert (card["calibration"]["kind"], card["decision"]["by"]) == ("platt", "ByCost")
