"""Explainers of saved pipelines: contributions add up to the margin, in terms of the inputs, with and without Spark."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.classification import DecisionTreeClassifier, LogisticRegression, MultilayerPerceptronClassifier
from pyspark.ml.feature import StringIndexer, VectorAssembler
from tidemill.features.declarations import Feature
from tidemill.models.logistic import logistic_stages
from tidemill.models.onnx_export import export
from tidemill.models.pipelines import unfitted, with_score
from tidemill.models.preparation import preprocessing
from tidemill.models.reasons import Explainer, load_explainer, pack_trees, read_parts, unpack_trees
from tidemill.models.reasons_export import write_explainer
from tidemill.models.reasons_rows import importance
from tidemill.models.tables import SCORE
from tidemill.models.trees import LEAF, Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

FEATURES = (
    Feature("amount", "double"),
    Feature("days", "double"),
    Feature("plan", "string"),
    Feature("still", "double"),
)
LINEAR_FAMILIES = {"logistic_regression", "linear_regression", "scikit_logistic", "scikit_ridge"}
SCHEMA = "id string, amount double, days double, plan string, still double, label double"


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    chance = random.Random(3)  # noqa: S311
    made = []
    for number in range(300):
        amount = None if chance.random() < 0.1 else chance.gauss(20, 30)
        days, plan = float(chance.randrange(12)), chance.choice(["basic", "plus", "max", None])
        told = (amount or 0.0) / 30 + (1.0 if plan == "plus" else 0.0) - days / 10 + chance.gauss(0, 0.5)
        made.append((f"r{number:03d}", amount, days, plan, 2.5, 1.0 if told > 0.3 else 0.0))
    return spark.createDataFrame(made, SCHEMA).repartition(1).persist()


def packaged(model: Any, folder: Path) -> Path:
    """The folder of a fitted pipeline's graph, as training leaves it, without the proof of the graph."""
    model.write().save(str(folder / "sparkml"))
    graph = folder / "graph"
    graph.mkdir()
    assert write_explainer(folder / "sparkml", export(folder / "sparkml").null_text, graph) == bool(read_parts(graph))
    return graph


@pytest.fixture
def explained(rows: DataFrame, tmp_path: Path) -> Callable[..., Explainer]:
    """Fits a pipeline, packages it, and holds the sum of contributions against the score that Spark gives."""

    def run(task: str, stages: Pipeline, within: float = 1e-12) -> Explainer:
        model = stages.fit(rows)
        explainer = load_explainer(packaged(model, tmp_path))
        assert explainer is not None
        scored = with_score(model, rows, task).select(*[f.name for f in FEATURES], SCORE).toArrow()
        score = scored[SCORE].to_numpy()
        margin = np.log(score / (1 - score)) if explainer.unit == "log-odds" else score
        assert np.abs(explainer.explain(scored).sum(axis=1) + explainer.base - margin).max() <= within
        return explainer

    return run


@pytest.mark.parametrize(
    ("task", "family", "parameters", "unit", "within"),
    [
        ("binary", "logistic_regression", {"regParam": 0.01}, "log-odds", 1e-9),
        ("binary", "logistic_regression", {"family": "multinomial", "regParam": 0.01}, "log-odds", 1e-9),
        ("binary", "random_forest", {"numTrees": 6}, "probability", 1e-12),
        ("binary", "gbt", {"maxIter": 4}, "log-odds", 1e-9),
        ("binary", "scikit_logistic", {"C": 0.5}, "log-odds", 1e-9),
        ("regression", "linear_regression", {}, "value", 1e-9),
        ("regression", "scikit_ridge", {"alpha": 3.0}, "value", 1e-9),
    ],
)
def test_contributions_add_up_to_the_margin(
    explained: Callable[..., Explainer],
    rows: DataFrame,
    task: str,
    family: str,
    parameters: dict[str, Any],
    unit: str,
    within: float,
) -> None:
    explainer = explained(task, unfitted(task, FEATURES, family, parameters, 7), within)
    assert (explainer.unit, set(explainer.inputs)) == (unit, {f.name for f in FEATURES})
    found = explainer.explain(rows.toArrow())
    assert np.abs(found[:, explainer.inputs.index("still")]).max() == 0.0  # it never changes, and moves nothing
    if family in LINEAR_FAMILIES:  # what is expected is the mean, and a gap is filled by it
        assert np.abs(found.mean(axis=0)).max() <= 1e-9
        gaps = rows.toArrow()["amount"].is_null().to_numpy()
        assert np.abs(found[gaps, explainer.inputs.index("amount")]).max() <= 1e-12


def test_an_input_is_explained_as_one_whatever_columns_are_made_of_it(
    explained: Callable[..., Explainer],
) -> None:
    explainer = explained("binary", unfitted("binary", FEATURES, "logistic_regression", {}, 7), 1e-9)
    plans = ["basic", "plus", "max", None, "unseen"]
    same: dict[str, Any] = {"amount": [10.0] * 5, "days": [3.0] * 5, "still": [2.5] * 5}
    found = explainer.explain(pa.table({**same, "plan": plans}))
    others = [place for place, name in enumerate(explainer.inputs) if name != "plan"]
    assert np.ptp(found[:, others], axis=0).tolist() == [0.0, 0.0, 0.0]
    plan = found[:, explainer.inputs.index("plan")]
    assert plan[1] == max(plan)
    assert plan[3] == plan[4]  # both are of the place that no category has


def test_categories_as_places_and_a_column_of_several_inputs(explained: Callable[..., Explainer]) -> None:
    stages: list[Any] = [
        StringIndexer(inputCol="plan", outputCol="place", handleInvalid="keep"),
        VectorAssembler(inputCols=["place", "days"], outputCol="features"),
        DecisionTreeClassifier(),
    ]
    assert explained("binary", Pipeline(stages=stages)).inputs == ("plan", "days")


@pytest.mark.parametrize(
    "last",
    [
        lambda: MultilayerPerceptronClassifier(featuresCol="features", layers=[7, 2], maxIter=2, seed=1),
        lambda: LogisticRegression(featuresCol="features", maxIter=2),
    ],
    ids=["perceptron", "linear, of features whose means nobody kept"],
)
def test_a_model_of_another_kind_has_no_explainer(rows: DataFrame, tmp_path: Path, last: Callable[[], Any]) -> None:
    model = Pipeline(stages=[*preprocessing(FEATURES), last()]).fit(rows)
    graph = packaged(model, tmp_path)
    assert load_explainer(graph) is None
    assert importance(rows, read_parts(graph)) is None


def test_importance_is_the_mean_size_of_contributions(rows: DataFrame, tmp_path: Path) -> None:
    assembler = VectorAssembler(inputCols=["days", "still"], outputCol="features")
    model = Pipeline(stages=[assembler, *logistic_stages({"regParam": 0.1}, 7)]).fit(rows)
    graph = packaged(model, tmp_path)
    parts, explainer = read_parts(graph), load_explainer(graph)
    assert explainer is not None
    assert explainer.inputs == ("days", "still")
    alone = explainer.explain(rows.toArrow())
    said = importance(rows.repartition(3), parts)
    assert said is not None
    assert said["features"][0] == {"name": "days", "mean": pytest.approx(float(np.abs(alone[:, 0]).mean()), rel=1e-12)}
    assert (said["rows"], said["features"][1]) == (300, {"name": "still", "mean": 0.0})


def test_reasons_are_ordered_and_say_nothing_of_what_did_not_move() -> None:
    explainer = Explainer(("a", "b", "c"), 0.0, "value", None, (0, 1, 2), lambda rows: rows)  # type: ignore[arg-type]
    values = np.array([[1.0, -2.0, 2.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0], [np.nan, 1.0, -3.0]])
    names, moved = explainer.reasons(values, 2)
    assert names.to_pylist() == [["b", "c"], ["c"], [], ["c", "b"]]
    assert moved.to_pylist() == [[-2.0, 2.0], [0.5], [], [-3.0, 1.0]]


def test_trees_are_packed_and_unpacked() -> None:
    def tree(members: dict[int, list[float]]) -> Tree:
        one = np.array([1, LEAF, LEAF])
        numbers = np.array([1.0, 2.0, 3.0])
        return Tree(one, one + 1, np.zeros(3, int), numbers, members, numbers, np.zeros(3, bool), numbers)

    given = [tree({}), tree({0: [1.0, 4.0]}), tree({})]
    for before, after in zip(given, unpack_trees(pack_trees(given)), strict=True):
        assert repr(before) == repr(after)


def test_parts_are_what_a_folder_holds(tmp_path: Path) -> None:
    assert read_parts(tmp_path) is None
    (tmp_path / "reasons.json").write_text(json.dumps({}))
    assert read_parts(tmp_path) == {"reasons.json": b"{}"}
