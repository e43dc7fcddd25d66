"""Several classes in Spark: metrics of groups beside NumPy's, baselines, weights, classes that a fit has not seen."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from class_twin import classes_in_numpy
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from tidemill.core.errors import TidemillError
from tidemill.data.commit import commit
from tidemill.data.tables import Table
from tidemill.data.write import Batch
from tidemill.declare import Preparation
from tidemill.features.declarations import Feature
from tidemill.models.class_baseline import baseline_probabilities, constant_probabilities, fit_class_baseline
from tidemill.models.class_columns import with_probabilities
from tidemill.models.evaluate import build_metrics
from tidemill.models.evaluate_groups import sums_by_group
from tidemill.models.evaluate_sums import metrics_of
from tidemill.models.evaluation import evaluate_table
from tidemill.models.metric_values import as_values, scalars
from tidemill.models.pipelines import families_of, family_stages, unfitted, with_score
from tidemill.models.preparation import class_count, with_classes, with_weights
from tidemill.models.scikit import fit_scaled

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from tidemill.data.tables import Lake
    from tidemill.stats.classes import Classes

SCHEMA = "name string, label double, probabilities array<double>"
NAN = float("nan")


def scored(rows: int, seed: int, shape: str) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    label = np.full(rows, 1) if shape == "one class" else dice.integers(3, size=rows)
    scores = np.ones((rows, 3)) if shape == "constant" else dice.dirichlet(np.ones(3), rows)
    if shape == "ties":
        scores = np.round(scores * 4) + 1
    if shape == "certain":
        scores = np.eye(3)[dice.integers(3, size=rows)]
    return label, scores / scores.sum(axis=1, keepdims=True)


CASES = {
    "ordinary": scored(400, 1, "ordinary"),
    "one class": scored(50, 2, "one class"),
    "ties": scored(200, 3, "ties"),
    "constant": scored(30, 4, "constant"),
    "certain": scored(60, 5, "certain"),
    "one": scored(1, 6, "ordinary"),
}


def frame_of(spark: SparkSession, cases: dict[str, tuple[np.ndarray, np.ndarray]]) -> DataFrame:
    rows = [
        (name, float(one), row.tolist())
        for name, (label, scores) in cases.items()
        for one, row in zip(label, scores, strict=True)
    ]
    return spark.createDataFrame(rows, SCHEMA)


def in_numpy(label: np.ndarray, scores: np.ndarray) -> Classes:
    found = classes_in_numpy(label, scores)
    assert found is not None
    return found


def flat(values: Any) -> Any:
    """Nested figures by their places, so that they can be compared approximately."""
    if isinstance(values, dict):
        return {f"{name}.{k}" if k else name: v for name, value in values.items() for k, v in flat(value).items()}
    if isinstance(values, list | tuple):
        return flat(dict(enumerate(values)))
    return {"": values}


def same(found: Any, expected: Any) -> None:
    assert flat(asdict(found)) == pytest.approx(flat(asdict(expected)), abs=1e-9)


def test_groups_are_those_of_numpy(spark: SparkSession) -> None:
    found = sums_by_group(frame_of(spark, CASES).repartition(3), "multiclass", ["name"], 0.5)
    assert {name for (name,) in found} == set(CASES)
    for name, case in CASES.items():
        same(metrics_of(found[name,], 0.5, "here"), in_numpy(*case))


def test_the_primary_metric_is_the_same_number_whoever_adds_it_up(spark: SparkSession) -> None:
    frame = frame_of(spark, CASES)
    by_cells = sums_by_group(frame, "multiclass", ["name"], 0.5)
    light = {row["name"]: row for row in build_metrics(frame.repartition(5), "multiclass", ["name"]).toLocalIterator()}
    for name, (label, scores) in CASES.items():
        value = scalars(metrics_of(by_cells[name,], 0.5, "here"))
        assert light[name]["log_loss"] == value["log_loss"]
        assert light[name]["log_loss"] == pytest.approx(log_loss(label, scores, labels=range(3)), abs=1e-9)
        assert light[name]["accuracy"] == pytest.approx(value["accuracy"])
        lost = -np.log(np.clip(scores[np.arange(len(label)), label], 2.0**-52, 1))
        spread = float(np.std(lost, ddof=1)) if len(label) > 1 else None
        assert light[name]["log_loss_deviation"] == (None if spread is None else pytest.approx(spread, abs=1e-9))


def test_a_probability_of_none_costs_all_and_one_that_is_no_number_has_no_loss(spark: SparkSession) -> None:
    sure, rows = [0.25, 0.5, 0.25], []
    for name, given in (("zero", [0.0, 0.5, 0.5]), ("nan", [NAN, 0.5, 0.5]), ("null", None), ("narrow", [])):
        rows += [(name, 0.0, given), (name, 1.0, sure)]
    found = build_metrics(spark.createDataFrame(rows, SCHEMA), "multiclass", ["name"]).toLocalIterator()
    losses = {row["name"]: row["log_loss"] for row in found}
    assert losses == {"zero": pytest.approx((52 + 1) * math.log(2) / 2), "nan": None, "null": None, "narrow": None}


def test_rows_that_cannot_be_judged_are_counted_and_refused(spark: SparkSession) -> None:
    good = [0.5, 0.25, 0.25]
    rows: list[tuple[Any, ...]] = [
        ("label", 3.0, good),
        ("label", -1.0, good),
        ("label", 0.5, good),
        ("label", None, good),
        ("label", NAN, good),
        ("label", 1.0, good),
        ("score", 1.0, None),
        ("score", 1.0, [0.5, None, 0.5]),
        ("score", None, [0.5, NAN, 0.5]),
        ("score", 1.0, good),
        ("nothing", None, None),
    ]
    found = sums_by_group(spark.createDataFrame(rows, SCHEMA), "multiclass", ["name"], 0.5)
    counts = {name: (sums.bad_labels, sums.bad_scores, sums.rows) for (name,), sums in found.items()}
    assert counts == {"label": (5, 0, 1), "score": (0, 3, 1), "nothing": (0, 1, 0)}
    for name, code in (("label", "E_LABEL_VALUE"), ("score", "E_SCORE_VALUE"), ("nothing", "E_SCORE_VALUE")):
        with pytest.raises(TidemillError) as caught:
            metrics_of(found[name,], 0.5, "here")
        assert caught.value.code == code


def test_a_table_is_evaluated_too(spark: SparkSession, lake: Lake) -> None:
    columns = (("name", "string"), ("label", "double"), ("probabilities", "array<double>"))
    table = Table("gold", "kept", columns, partitions=("name",))
    commit(lake, table, Batch("one", {"one": 1}), frame_of(spark, CASES))
    found = evaluate_table(spark, lake, table, {"name": "ordinary"}, "multiclass", 0.5)
    assert found.path == "several classes"
    same(found.metrics, in_numpy(*CASES["ordinary"]))
    with pytest.raises(TidemillError) as caught:
        evaluate_table(spark, lake, table, {"name": "nobody"}, "multiclass", 0.5)
    assert (caught.value.code, caught.value.exit_code) == ("E_NO_ROWS", 66)


def test_metrics_are_json_values() -> None:
    found = in_numpy(*CASES["ordinary"])
    values = as_values(found)
    assert values["confusion_matrix"] == [list(row) for row in found.confusion]
    assert [one["rows"] for one in values["classes"]] == np.bincount(CASES["ordinary"][0]).tolist()
    assert sum(one["rows"] for one in values["calibration"]) == values["rows"] == 400
    assert values["accuracy_low"] < values["accuracy"] < values["accuracy_high"]
    assert values["log_loss_low"] < values["log_loss"] < values["log_loss_high"]
    assert "macro_roc_auc" not in scalars(in_numpy(*CASES["one class"]))


def test_the_predicted_class_is_the_first_of_the_most_probable(spark: SparkSession) -> None:
    rows = [([0.2, 0.4, 0.4],), ([0.5, 0.5, 0.0],), ([0.1, 0.2, 0.7],)]
    found = with_probabilities(spark.createDataFrame(rows, "p array<double>"), F.col("p")).toLocalIterator()
    assert [(row["score"], row["prediction"]) for row in found] == [(0.4, 1.0), (0.5, 0.0), (0.7, 2.0)]


def test_the_baseline_knows_how_often_each_class_is_in_its_bin(spark: SparkSession) -> None:
    rows: list[tuple[float | None, float]] = [(float(n), float(n >= 50)) for n in range(100)]
    rows += [(None, 2.0)] * 9 + [(None, 0.0)]
    frame = spark.createDataFrame(rows, "x double, label double")
    found = fit_class_baseline(frame, "x", F.col("x"), 3)
    usual = (52 / 113, 51 / 113, 10 / 113)  # 51, 50 and 9 rows, with one more of each
    assert found.constant == pytest.approx(usual)
    assert found.edges == (9.0, 19.0, 29.0, 39.0, 49.0, 59.0, 69.0, 79.0, 89.0)
    new = spark.createDataFrame([(-5.0,), (9.0,), (9.5,), (1000.0,), (None,)], "x double")
    told = [row["p"] for row in new.select(baseline_probabilities(found, F.col("x")).alias("p")).toLocalIterator()]
    first = [(10 + usual[0]) / 11, usual[1] / 11, usual[2] / 11]
    last = [usual[0] / 11, (10 + usual[1]) / 11, usual[2] / 11]
    missing = [(1 + usual[0]) / 11, usual[1] / 11, (9 + usual[2]) / 11]
    assert flat(told) == pytest.approx(flat([first, first, first, last, missing]))
    assert all(math.isclose(sum(shares), 1.0) for shares in found.shares)
    constant = new.select(constant_probabilities(found).alias("p")).first()
    assert constant is not None
    assert constant["p"] == list(found.constant)


def test_a_baseline_without_a_value_is_the_constant(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(None, 0.0), (None, 2.0)], "x double, label double")
    found = fit_class_baseline(frame, "x", F.col("x"), 3)
    assert (found.edges, len(found.shares)) == ((), 2)
    assert found.shares[1] == pytest.approx(tuple((n + p) / 3 for n, p in zip((1, 0, 1), found.constant, strict=True)))
    with pytest.raises(ValueError, match="no training row"):
        fit_class_baseline(frame.limit(0), "x", F.col("x"), 3)


def test_balanced_weights_give_each_class_that_has_rows_the_same_sum(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(n, float(n % 10 > 6) * 2) for n in range(100)], "n int, label double")
    found = with_weights(rows, Preparation(class_weights="balanced"), 3)
    sums = {row["label"]: row["total"] for row in found.groupBy("label").agg(F.sum("weight").alias("total")).collect()}
    assert sums == {0.0: pytest.approx(50), 2.0: pytest.approx(50)}
    assert with_weights(rows, Preparation(), 3) is rows


FEATURES = (Feature("x", "double"), Feature("y", "double"), Feature("plan", "string"))
FAMILIES: dict[str, dict[str, Any]] = {
    "logistic_regression": {"regParam": 0.01},
    "random_forest": {"numTrees": 5, "maxDepth": 3},
    "perceptron": {"hidden": (4,), "maxIter": 30},
    "scikit_logistic": {},
    "xgboost": {"n_estimators": 5},
}


@pytest.fixture(scope="module")
def told_apart(spark: SparkSession) -> DataFrame:
    """Four classes, of which x and y tell three; class 3, the last one, and class 1 lie wide apart."""
    dice = np.random.default_rng(8)
    label = dice.integers(4, size=400)
    places = np.array([[0, 0], [3, 0], [0, 3], [3, 3]])[label] + dice.normal(0, 0.8, (400, 2))
    rows = [
        (float(x), float(y), "ab"[n % 2], float(c)) for n, ((x, y), c) in enumerate(zip(places, label, strict=True))
    ]
    return spark.createDataFrame(rows, "x double, y double, plan string, label double").repartition(1).persist()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("unseen", [None, 3, 1], ids=["all", "without the last", "without one between"])
def test_every_family_tells_all_classes_also_those_that_it_has_not_seen(
    told_apart: DataFrame, family: str, unseen: int | None
) -> None:
    preparation = Preparation() if family == "perceptron" else Preparation(class_weights="balanced", chi_square=0.5)
    train = told_apart if unseen is None else told_apart.where(F.col("label") != unseen)
    prepared = with_classes(with_weights(train, preparation, 4), 4)
    assert class_count(prepared) == 4
    model = unfitted("multiclass", FEATURES, family, FAMILIES[family], 7, preparation).fit(prepared)
    found = (
        with_score(model, told_apart, "multiclass").select("label", "score", "prediction", "probabilities").toArrow()
    )
    shares = np.array(found["probabilities"].to_pylist())
    assert shares.shape == (400, 4)
    assert shares.sum(axis=1) == pytest.approx(np.ones(400), abs=1e-6)
    assert found["score"].to_numpy().tolist() == shares.max(axis=1).tolist()
    assert found["prediction"].to_numpy().tolist() == shares.argmax(axis=1).tolist()
    label, seen = found["label"].to_numpy(), found["label"].to_numpy() != unseen
    assert (shares.argmax(axis=1) == label)[seen].mean() > 0.8
    if unseen is not None:
        assert shares[:, unseen].max() < 0.2


def test_of_two_classes_that_came_scikit_learn_tells_two(told_apart: DataFrame) -> None:
    rows = told_apart.where("label in (0, 2)").select("x", "y", "label").toArrow()
    values, label = np.column_stack([rows["x"], rows["y"]]), rows["label"].to_numpy()
    fitted = fit_scaled(LogisticRegression(max_iter=1000), values, label, None, 4)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    margins = scaled @ np.array(fitted.slopes).T + fitted.intercepts
    expected = LogisticRegression(max_iter=1000).fit(scaled, label).predict_proba(scaled)
    assert np.isneginf(margins[:, [1, 3]]).all()
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    assert (powers / powers.sum(axis=1, keepdims=True))[:, [0, 2]] == pytest.approx(expected, abs=1e-9)


def test_boosted_trees_of_mllib_tell_two_classes_only() -> None:
    assert families_of("multiclass") == list(FAMILIES)
    with pytest.raises(TidemillError, match="the family 'gbt' has no form for multiclass tasks") as caught:
        family_stages("multiclass", "gbt", {}, 1)
    assert (caught.value.code, caught.value.exit_code) == ("E_FAMILY", 78)
