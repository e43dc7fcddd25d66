"""Exported graphs against Spark's own transform: every family and task, ordinary and adversarial rows, odd shapes."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pytest
import scipy.special
from pyspark.ml import Pipeline
from pyspark.ml.classification import (
    DecisionTreeClassifier,
    LogisticRegression,
    MultilayerPerceptronClassifier,
    RandomForestClassifier,
)
from pyspark.ml.feature import Bucketizer, MinMaxScaler, StringIndexer, VectorAssembler, VectorIndexer
from pyspark.ml.regression import DecisionTreeRegressor
from pyspark.sql import functions as F
from tidemill.core.errors import TidemillError
from tidemill.declare import Preparation
from tidemill.features.declarations import Feature
from tidemill.models.onnx_export import Export, export
from tidemill.models.onnx_graph import Graph
from tidemill.models.onnx_linear import softmax
from tidemill.models.onnx_proof import Proof, differences, prove
from tidemill.models.onnx_scoring import make_scorer
from tidemill.models.pipelines import unfitted
from tidemill.models.preparation import preprocessing, with_classes, with_halves, with_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    Prove = Callable[..., tuple[Export, Proof]]

NAN = float("nan")
FEATURES = (
    Feature("amount", "double"),
    Feature("days", "double"),
    Feature("steady", "double"),
    Feature("plan", "string"),
    Feature("größe, odd", "string"),
)
SCHEMA = "amount double, days double, steady double, plan string, `größe, odd` string, cls double, reg double"
LABELS = {
    "binary": "cls",
    "regression": "reg",
    "multiclass": "case when reg < -400 then 0D when reg < 500 then 1D else 2D end",
}
PLANS = ("basic", "Basic", "basic ", "prö", "\N{SNOWMAN}", "<null>", None)


def made(count: int, seed: int) -> list[tuple[Any, ...]]:
    """Rows of gaps, categories that differ by case or a blank, a feature that never changes, and labels with noise."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    rows = []
    for _ in range(count):
        amount = chance.choice([None, NAN]) if chance.random() < 0.1 else chance.gauss(20, 30)
        days = None if chance.random() < 0.2 else float(chance.randrange(12))
        plan, size = chance.choice(PLANS), chance.choice(["s", "m", None])
        told = (amount or 0.0) / 30 if amount == amount else 0.0
        told += (1.0 if plan in ("Basic", "prö") else 0.0) - (days or 5.0) / 10 + chance.gauss(0, 0.7)
        rows.append((amount, days, 2.5, plan, size, 1.0 if told > 0.3 else 0.0, 1000 * told))
    return rows


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(made(600, 1), SCHEMA).repartition(1).persist()


@pytest.fixture
def proved(tmp_path: Path) -> Prove:
    """Fits a pipeline, saves it, exports what was saved, and proves the two equal."""

    def run(rows: DataFrame, task: str, stages: Pipeline) -> tuple[Export, Proof]:
        labelled = with_classes(rows.withColumn("label", F.expr(LABELS[task])), 3 if task == "multiclass" else 0)
        model = stages.fit(labelled)
        model.write().overwrite().save(str(tmp_path / "model"))
        exported = export(tmp_path / "model", 0.4 if task == "binary" else None)
        return exported, prove(exported, model, rows, task)

    return run


@pytest.mark.parametrize(
    ("task", "family", "parameters"),
    [
        ("binary", "logistic_regression", {}),
        ("binary", "logistic_regression", {"elasticNetParam": 1.0, "regParam": 0.05}),
        ("binary", "logistic_regression", {"family": "multinomial", "regParam": 0.01}),
        ("binary", "random_forest", {"numTrees": 8}),
        ("binary", "gbt", {"maxIter": 4}),
        ("binary", "xgboost", {"n_estimators": 20}),
        ("binary", "perceptron", {"hidden": (5, 3), "maxIter": 10}),
        ("binary", "scikit_logistic", {"C": 0.5}),
        ("multiclass", "logistic_regression", {}),
        ("multiclass", "logistic_regression", {"elasticNetParam": 1.0, "regParam": 0.05}),
        ("multiclass", "random_forest", {"numTrees": 8}),
        ("multiclass", "random_forest", {"numTrees": 3, "maxDepth": 0}),
        ("multiclass", "perceptron", {"hidden": (5, 3), "maxIter": 10}),
        ("multiclass", "scikit_logistic", {"C": 0.5}),
        ("multiclass", "xgboost", {"n_estimators": 20}),
        ("multiclass", "xgboost", {"n_estimators": 5, "booster": "dart", "rate_drop": 0.5, "one_drop": True}),
        ("regression", "linear_regression", {}),
        ("regression", "linear_regression", {"elasticNetParam": 1.0, "regParam": 300.0}),
        ("regression", "random_forest", {"numTrees": 8}),
        ("regression", "gbt", {"maxIter": 4}),
        ("regression", "xgboost", {"n_estimators": 20}),
        ("regression", "scikit_ridge", {"alpha": 2.0}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())) or "plain",
)
def test_every_family_scores_as_spark_does(
    rows: DataFrame, proved: Prove, task: str, family: str, parameters: dict[str, Any]
) -> None:
    exported, proof = proved(rows, task, unfitted(task, FEATURES, family, parameters, 7))
    assert (proof.training_rows, proof.adversarial_rows) == (600, 4000)
    assert proof.difference <= (1e-6 if family == "xgboost" else 1e-12)
    assert exported.inputs == {f.name: f.type for f in FEATURES}
    assert exported.null_text == "<<null>>"  # one of the categories is called <null>
    assert set(proof.example) == {f.name for f in FEATURES}
    scorer = make_scorer(exported.graph, exported.description())
    assert (len(proof.sample["rows"]), len(proof.sample["scores"])) == (32, 32)
    kept = json.loads(json.dumps(proof.sample, allow_nan=False))
    found = scorer.outputs_of_rows(kept["rows"]).reshape(np.shape(kept["scores"]))
    assert differences(np.array(kept["scores"]), found).max() <= exported.tolerance
    assert (scorer.told(kept["rows"])[1] == np.array(kept["predictions"], float)).sum() > 20  # null: at the threshold
    several = task == "multiclass"
    assert (exported.classes, exported.output) == ((3, "probabilities") if several else (0, "score"))
    assert found.shape == ((32, 3) if several else (32,))


@pytest.mark.parametrize(
    ("task", "stages"),
    [
        ("binary", lambda: [*preprocessing(FEATURES), DecisionTreeClassifier()]),
        ("regression", lambda: [*preprocessing(FEATURES), DecisionTreeRegressor()]),
        ("binary", lambda: [*preprocessing(FEATURES), DecisionTreeClassifier(maxDepth=0)]),
        (
            "binary",
            lambda: [
                *preprocessing(FEATURES),
                MinMaxScaler(inputCol="features", outputCol="small", min=-1.0, max=1.0),
                MultilayerPerceptronClassifier(
                    featuresCol="small", labelCol="label", layers=[13, 4, 2], maxIter=10, seed=1
                ),
            ],
        ),
        (
            "binary",
            lambda: [
                *preprocessing(FEATURES),
                MinMaxScaler(inputCol="features", outputCol="small", min=-1.0, max=1.0),
                LogisticRegression(featuresCol="small", labelCol="label"),
            ],
        ),
        (  # categories as places, without columns of their own: a node asks whether a category is one of several
            "binary",
            lambda: [
                StringIndexer(inputCol="plan", outputCol="place", handleInvalid="keep"),
                VectorAssembler(inputCols=["place"], outputCol="features"),
                RandomForestClassifier(numTrees=5, seed=3),
            ],
        ),
    ],
    ids=["tree", "regression tree", "leaf", "perceptron", "minmax", "categories"],
)
def test_other_stages_score_as_spark_does(
    rows: DataFrame, proved: Prove, task: str, stages: Callable[[], list[Any]]
) -> None:
    _, proof = proved(rows, task, Pipeline(stages=stages()))
    assert proof.difference <= 1e-12


@pytest.mark.parametrize(
    ("preparation", "family"),
    [
        (Preparation(constant=True, correlated=0.5, chi_square=0.2), "gbt"),
        (Preparation(constant=True, scaling="min_max", class_weights="balanced"), "scikit_logistic"),
        (Preparation(scaling="standard", components=3, class_weights="balanced"), "xgboost"),
        (Preparation(scaling="standard", components=4), "logistic_regression"),
        (Preparation(constant=True, stable=0.9), "xgboost"),
    ],
    ids=["selection", "min_max", "weights", "components", "stable"],
)
def test_prepared_features_score_as_spark_does(
    rows: DataFrame, tmp_path: Path, preparation: Preparation, family: str
) -> None:
    labelled = with_weights(rows.withColumn("label", F.col("cls")), preparation)
    labelled = with_halves(labelled, preparation, "amount")
    parameters = {"xgboost": {"n_estimators": 5}, "gbt": {"maxIter": 2}}.get(family, {})
    model = unfitted("binary", FEATURES, family, parameters, 7, preparation).fit(labelled)
    model.write().overwrite().save(str(tmp_path / "model"))
    proof = prove(export(tmp_path / "model"), model, rows, "binary")
    assert proof.difference <= (1e-6 if family == "xgboost" else 1e-9)
    assert proof.adversarial_rows == 4000


@pytest.mark.parametrize("family", ["logistic_regression", "gbt", "xgboost"])
@pytest.mark.parametrize(
    "features",
    [FEATURES[:1], FEATURES[3:], FEATURES[2:3]],
    ids=["one number", "texts only", "a constant"],
)
def test_few_features_score_as_spark_does(
    rows: DataFrame, proved: Prove, features: Sequence[Feature], family: str
) -> None:
    parameters = {"gbt": {"maxIter": 2}, "xgboost": {"n_estimators": 3}}.get(family, {})
    exported, proof = proved(rows, "binary", unfitted("binary", features, family, parameters, 7))
    assert proof.difference <= (1e-6 if family == "xgboost" else 1e-12)
    assert list(exported.inputs) == [f.name for f in features]


def test_a_graph_that_differs_is_refused(rows: DataFrame, spark: SparkSession, tmp_path: Path) -> None:
    labelled = rows.withColumn("label", F.col("cls"))
    one, other = (
        unfitted("binary", FEATURES, "logistic_regression", {"regParam": r}, 7).fit(labelled) for r in (0.1, 0.2)
    )
    other.write().save(str(tmp_path / "other"))
    exported = export(tmp_path / "other")
    with pytest.raises(TidemillError) as caught:
        prove(exported, one, rows, "binary")
    assert (caught.value.code, caught.value.exit_code) == ("E_EXPORT", 65)
    assert caught.value.what.startswith("the exported graph scores 0.")
    assert "they may differ by 1e-09" in caught.value.what
    assert '"plan"' in caught.value.where
    prove(replace(exported, tolerance=1.0), one, rows, "binary")  # it is the difference that was refused
    with pytest.raises(TidemillError, match=r"predicts \d+ rows otherwise than its scores say") as caught:
        prove(replace(exported, threshold=0.5), other, rows, "binary")
    assert caught.value.code == "E_EXPORT"


@pytest.mark.parametrize(
    ("stages", "what"),
    [
        (
            lambda: [
                Bucketizer(inputCol="steady", outputCol="part", splits=[0.0, 1.0, 3.0]),
                VectorAssembler(inputCols=["part"], outputCol="features"),
                LogisticRegression(),
            ],
            "a stage Bucketizer has no graph",
        ),
        (
            lambda: [VectorAssembler(inputCols=["steady"], outputCol="features"), VectorIndexer(inputCol="features")],
            "a model VectorIndexerModel has no graph",
        ),
        (
            lambda: [
                StringIndexer(inputCol="plan", outputCol="place", handleInvalid="skip"),
                VectorAssembler(inputCols=["place"], outputCol="features"),
                LogisticRegression(),
            ],
            "StringIndexerModel with handleInvalid='skip' has no graph",
        ),
    ],
)
def test_what_has_no_exact_graph_is_refused(
    rows: DataFrame, tmp_path: Path, stages: Callable[[], list[Any]], what: str
) -> None:
    labelled = rows.where("plan is not null").withColumn("label", F.col("cls"))
    Pipeline(stages=stages()).fit(labelled).write().save(str(tmp_path / "model"))
    with pytest.raises(TidemillError) as caught:
        export(tmp_path / "model")
    assert (caught.value.code, caught.value.what) == ("E_EXPORT", what)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("family", ["logistic_regression", "random_forest", "xgboost"])
def test_a_row_scores_alike_alone_and_among_others(rows: DataFrame, proved: Prove, task: str, family: str) -> None:
    exported, _ = proved(rows, task, unfitted(task, FEATURES, family, {}, 7))
    scorer = make_scorer(exported.graph, exported.description())
    table = rows.select(*exported.inputs).toArrow()
    together = scorer.outputs(table)
    alone = [scorer.outputs(table.slice(at, 1))[0].tolist() for at in range(table.num_rows)]
    assert together.tolist() == alone


def test_a_forest_is_no_more_than_certain(rows: DataFrame, proved: Prove) -> None:
    """Twenty leaves that are sure of a class add up to 1, and not to a little more."""
    sure = rows.withColumn("cls", F.expr("double(plan is null)")).withColumn("reg", F.col("cls") * 2000)
    for task in ("binary", "multiclass"):
        whole = {"numTrees": 20, "featureSubsetStrategy": "all", "subsamplingRate": 1.0}
        exported, _ = proved(sure, task, unfitted(task, FEATURES, "random_forest", whole, 7))
        scorer = make_scorer(exported.graph, exported.description())
        assert scorer.outputs(sure.select(*exported.inputs).toArrow()).max() == 1.0


def test_a_softmax_of_infinite_margins_is_that_of_mllib() -> None:
    """Of finite margins SciPy's; the first infinite one takes all, and what it is multiplied by 0 stays none."""
    inf = float("inf")
    margins = [
        [0.0, 0.0, 0.0],
        [1.0, -2.0, 700.0],
        [-900.0, -901.0, -902.0],
        [-inf, 0.0, 1.0],
        [1.0, inf, -5.0],
        [inf, inf, 0.0],
        [-inf, -inf, -inf],
        [NAN, 0.0, 1.0],
        [NAN, inf, 1.0],
    ]
    graph = Graph()
    read = graph.join([graph.read(name, "double") for name in ("a", "b", "c")])
    session = ort.InferenceSession(graph.serialise(softmax(graph, read.tensor, 3), 3))
    values = np.array(margins)
    found = session.run(None, {name: values[:, [place]] for place, name in enumerate("abc")})[0]
    expected = scipy.special.softmax(values[:4], axis=1)
    assert np.abs(found[:4] - expected).max() <= 1e-15
    nothing = [NAN] * 3
    rest = [[0.0, 1.0, 0.0], [1.0, NAN, 0.0], nothing, nothing, [NAN, 1.0, 0.0]]
    assert differences(found[4:], np.array(rest)).max() == 0


def test_differences() -> None:
    inf = float("inf")
    spark = np.array([1.0, NAN, inf, -inf, 0.5, NAN, 0.5, inf, inf, 200.0, 0.0])
    graph = np.array([1.0, NAN, inf, -inf, 0.25, 0.5, NAN, 1.0, -inf, 100.0, -0.0])
    assert differences(spark, graph).tolist() == [0.0, 0.0, 0.0, 0.0, 0.25, inf, inf, inf, inf, 0.5, 0.0]
