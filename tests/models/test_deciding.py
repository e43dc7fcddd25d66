"""Calibrated models in Spark: what validation rows decide, and the gate's do not; the pipeline beside its graph."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import functions as F
from tidemill.core.config import load_config
from tidemill.core.errors import TidemillError
from tidemill.core.frozen import freeze, thaw
from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    ByCapacity,
    ByCost,
    Entity,
    FeatureView,
    Grid,
    Label,
    LogisticRegression,
    NoEventIn,
    Preparation,
    Source,
    Splits,
    UseCase,
    ValueAt,
    days,
)
from tidemill.models.calibrated import Calibrated, calibrate
from tidemill.models.calibrating import UNDECIDED
from tidemill.models.candidates import Candidate
from tidemill.models.deciding import count_parts, decide
from tidemill.models.divisions import gate_rows
from tidemill.models.folds import Folds
from tidemill.models.onnx_export import TOLERANCE_SINGLE, export
from tidemill.models.onnx_proof import prove
from tidemill.models.pipelines import unfitted, with_score
from tidemill.models.splits import plan_splits
from tidemill.stats.calibration import Isotonic, Platt
from tidemill.stats.counted import count, pooled

if TYPE_CHECKING:
    from typing import Any

    from pyspark.sql import DataFrame, SparkSession
    from tidemill.models.calibrating import Decided
    from tidemill.models.splits import Plan

WHO = Entity("who")
VISITS = Source("visits", "visits.yaml", WHO)
SETTINGS = load_config(Path(__file__).resolve().parents[2] / "conf", "local").train
RECIPE = Candidate("logistic_regression-0", "logistic_regression", {"regParam": 0.01})
WEIGHTED = Preparation(class_weights="balanced")


def use_case(**changed: Any) -> UseCase:
    counts = (Aggregate("count", windows=(days(5), days(9))),)
    declared = {
        "views": (FeatureView("visits_of", 1, WHO, VISITS, counts, cadence=days(1), ttl=days(1)),),
        "label": Label("gone", days(30), ActiveWithin(VISITS, days(10)), NoEventIn(VISITS)),
        "task": "binary",
        "models": (LogisticRegression(),),
        "grid": Grid("2024-01-01", every=days(30)),
        "baseline": "events_count_5d",
        "splits": Splits(folds=2),
    }
    return UseCase("visitors", **{**declared, **changed})


PLAN = plan_splits(
    use_case().grid.times(datetime(2024, 8, 1, tzinfo=UTC)), use_case().splits, days(30), use_case().grid
)


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """A fifth of the rows is positive, as a sigmoid of both features says."""
    dice = np.random.default_rng(11)
    made = []
    for at in PLAN.final:
        for number in range(150):
            few, many = float(dice.poisson(3)), float(dice.poisson(6))
            told = 1 / (1 + np.exp(few - 0.2 * many - 0.3))
            made.append((f"w{number}", at, few, many, float(dice.random() < told)))
    schema = "who string, event_timestamp timestamp, events_count_5d double, events_count_9d double, label double"
    return spark.createDataFrame(made, schema).repartition(1).persist()


def decided(rows: DataFrame, asked: UseCase, plan: Plan = PLAN) -> Decided:
    with closing(Folds(rows, asked, plan, SETTINGS)) as folds:
        return decide(folds, RECIPE, asked)


def test_the_labels_of_the_gate_have_no_part_in_it(rows: DataFrame) -> None:
    asked = use_case(calibration="platt", decision=ByCost(false_negative=4), preparation=WEIGHTED)
    of_gate = F.expr(gate_rows(PLAN, "who"))
    other_gate = rows.withColumn("label", F.when(of_gate, 1 - F.col("label")).otherwise(F.col("label")))
    other_folds = rows.withColumn("label", F.when(of_gate, F.col("label")).otherwise(1 - F.col("label")))
    known = decided(rows, asked)
    assert rows.where(of_gate).count() == 150
    assert decided(other_gate, asked) == known
    assert decided(other_folds, asked) != known
    said = known.description["calibration"]
    assert said["rows"] == 150 * len(PLAN.folds)
    # Weights had made as many positives as negatives; what follows the model gives them their share again.
    assert isinstance(known.calibration, Platt)
    assert known.calibration.offset < -0.5
    assert said["validation"]["platt"]["brier"] < said["validation"]["none"]["brier"]
    assert 0.1 < known.threshold < 0.35  # a missed one costs four times as much: about 1 in 5


def test_nothing_is_fitted_where_nothing_is_declared(rows: DataFrame) -> None:
    assert decided(rows, use_case()) is UNDECIDED


def test_scores_are_counted_where_they_are(spark: SparkSession) -> None:
    dice = np.random.default_rng(5)
    score = np.concatenate([[0.0, 1.0, 0.5, 0.5, 1e-12, 1e-4], dice.random(500)])
    label = (dice.random(len(score)) < 0.4).astype(float)
    made = [(f"w{place % 90}", float(y), float(s)) for place, (y, s) in enumerate(zip(label, score, strict=True))]
    parts = count_parts(spark.createDataFrame(made, "who string, label double, score double"), "who")
    assert len(parts) == 5
    assert all(part.totals.rows > 30 for part in parts)
    whole, exact = pooled(parts), count(label, score)
    assert (whole.totals, whole.scores[0]) == (exact.totals, 0.0)
    # As many rows lie at or above a score that stands for several as at or above the least of them.
    for stands in whole.scores:
        above = whole.scores >= stands
        assert (exact.scores >= stands).dot(exact.positives + exact.negatives) == (
            above.dot(whole.positives + whole.negatives)
        )
    with pytest.raises(TidemillError, match="1 scores are null or not numbers") as refused:
        count_parts(spark.createDataFrame([("w", 0.0, float("nan"))], "who string, label double, score double"), "who")
    assert refused.value.code == "E_SCORE_VALUE"


@pytest.mark.parametrize(
    ("family", "known"),
    [
        ("logistic_regression", Platt(0.6, -1.0)),
        ("gbt", Isotonic((0.05, 0.2, 0.21, 0.9), (0.0, 0.1, 0.3, 0.8))),
        ("xgboost", Platt(1.7, 0.4)),
    ],
)
def test_a_calibrated_model_is_saved_loaded_and_proved(
    rows: DataFrame, tmp_path: Path, family: str, known: Platt | Isotonic
) -> None:
    parameters = {"gbt": {"maxIter": 3}, "xgboost": {"n_estimators": 10}}.get(family, {})
    raw = unfitted("binary", use_case().features, family, parameters, 7).fit(rows)
    model = calibrate(raw, known)
    model.write().save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    assert isinstance(loaded.stages[-1], Calibrated)
    exported = export(tmp_path / "model")
    proof = prove(exported, loaded, rows, "binary")
    assert (proof.training_rows, proof.adversarial_rows) == (rows.count(), 4000)
    assert proof.difference <= (1e-6 if family == "xgboost" else 1e-9)
    assert exported.tolerance == (TOLERANCE_SINGLE if family == "xgboost" else 1e-9) * max(1.0, known.steepest)
    before, after = (
        np.array(with_score(m, rows, "binary").select("score").toArrow().column("score")) for m in (raw, loaded)
    )
    assert np.array_equal(after, known.apply(before))
    assert calibrate(raw, None) is raw


def test_what_is_declared_is_kept_and_checked() -> None:
    plain = use_case()
    assert not {"calibration", "decision"} & set(freeze(plain))
    asked = use_case(calibration="best", decision=ByCapacity(0.2))
    assert thaw(freeze(asked)) == asked
    assert len({plain.digest, asked.digest, use_case(calibration="best").digest}) == 3
    with pytest.raises(TidemillError, match="no calibration 'plat'") as refused:
        use_case(calibration="plat")
    assert refused.value.code == "E_USE_CASE"
    assert refused.value.next_step == "did you mean 'platt'? known: best, isotonic, platt"
    amount = Label("amount", days(30), ActiveWithin(VISITS, days(10)), ValueAt(VISITS, "amount", days(1)))
    for declared in ({"calibration": "platt"}, {"decision": ByCost()}):
        with pytest.raises(TidemillError, match="only a binary task has scores to calibrate"):
            use_case(task="regression", label=amount, **declared)
