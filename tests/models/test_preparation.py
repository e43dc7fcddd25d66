"""What comes before a family: against literals, SciPy and scikit-learn; rows of which other tools make an error."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import OneHotEncoder
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F
from scipy.stats import chi2_contingency
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tidemill.core.errors import TidemillError
from tidemill.declare import Preparation
from tidemill.features.declarations import Feature
from tidemill.models import selection
from tidemill.models.categories import Categories
from tidemill.models.pipelines import family_stages, unfitted, with_score
from tidemill.models.preparation import preprocessing, usable_features, with_halves, with_weights
from tidemill.models.selection import HALVES, first_of_each
from tidemill.models.stability import stable_shares
from tidemill.models.tables import SCORE

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

NAN = float("nan")
NUMBERS = (Feature("a", "double"), Feature("twice", "double"), Feature("still", "double"), Feature("noise", "double"))
KIND = Feature("kind", "string")
SCHEMA = "a double, twice double, still double, noise double, kind string, label double"


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    chance, made = random.Random(3), []  # noqa: S311 - no secret
    for number in range(300):
        a = chance.gauss(0, 1)
        label = 1.0 if a + chance.gauss(0, 1) > 0.7 else 0.0
        kind = ("yes" if label else "no") if number % 3 else chance.choice(["left", "right"])
        made.append((a, 2 * a + chance.gauss(0, 0.01), 4.0, chance.gauss(0, 1), kind, label))
    return spark.createDataFrame(made, SCHEMA).coalesce(1).persist()


def vectors(rows: DataFrame, preparation: Preparation, *features: Feature) -> np.ndarray[Any, Any]:
    fitted = Pipeline(stages=preprocessing(features, preparation)).fit(rows)
    found = fitted.transform(rows).select(vector_to_array(F.col("features")).alias("x")).toArrow()
    return np.array(found.column("x").to_pylist())


def test_columns_that_say_nothing_new_are_left_out(rows: DataFrame) -> None:
    everything = vectors(rows, Preparation(), *NUMBERS)
    assert np.array_equal(vectors(rows, Preparation(constant=True), *NUMBERS), everything[:, [0, 1, 3]])
    kept = vectors(rows, Preparation(constant=True, correlated=0.9), *NUMBERS)
    assert np.array_equal(kept, everything[:, [0, 3]])
    assert np.array_equal(vectors(rows, Preparation(correlated=0.9), *NUMBERS), everything[:, [0, 2, 3]])


def test_correlated_columns_go_one_after_the_other() -> None:
    # The second says what the first says. The third says what the second says, which is no longer there.
    matrix = np.array([[1.0, 0.95, 0.5, NAN], [0.95, 1.0, -0.95, NAN], [0.5, -0.95, 1.0, NAN], [NAN, NAN, NAN, 1.0]])
    assert first_of_each(matrix, 0.9).tolist() == [True, False, True, True]
    assert first_of_each(matrix, 0.96).tolist() == [True, True, True, True]
    assert first_of_each(matrix, 0.4).tolist() == [True, False, False, True]


def test_columns_of_stable_importance_stay(rows: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    preparation = Preparation(stable=0.7)
    assert with_halves(rows, Preparation(), "a") is rows
    halved = with_halves(rows, preparation, "a").persist()
    everything = vectors(rows, Preparation(), *NUMBERS)
    table = halved.select("label", HALVES).toArrow()
    halves = table.column(HALVES).to_numpy()
    shares = stable_shares(everything, table.column("label").to_numpy(), halves)
    assert (shares >= 0.7).tolist() == [True, False, False, False]  # the second says what the first says
    assert np.array_equal(vectors(halved, preparation, *NUMBERS), everything[:, [0]])
    noise = vectors(halved, preparation, Feature("noise", "double"))
    assert np.array_equal(noise, everything[:, [3]])  # the best there is
    # Of more values than one worker looks at, those of a share of the rows.
    monkeypatch.setattr(selection, "_MOST_VALUES", 600)
    vector = Pipeline(stages=preprocessing(NUMBERS)).fit(halved).transform(halved)
    looked_at = [selection._looked_at(vector, "features").count() for _ in range(2)]
    assert looked_at[0] == looked_at[1]
    assert 0.35 < looked_at[0] / 300 < 0.65
    assert np.array_equal(vectors(halved, preparation, *NUMBERS), everything[:, [0]])


def test_categories_are_tested_as_scipy_does(rows: DataFrame) -> None:
    table = rows.select("kind", "label").toArrow()
    kinds, label = table.column("kind").to_numpy(zero_copy_only=False), table.column("label").to_numpy()
    order = Categories(["kind"], ["place"]).fit(rows).labelsArray[0]
    told = []
    for name in order:
        counts = [[np.sum((kinds == name) & (label == v)), np.sum((kinds != name) & (label == v))] for v in (0.0, 1.0)]
        told.append(chi2_contingency(counts, correction=False).pvalue)
    assert min(told) < 1e-6 < 0.01 < max(told)
    everything = vectors(rows, Preparation(), KIND)
    kept = vectors(rows, Preparation(chi_square=0.01), KIND)
    assert np.array_equal(kept, everything[:, [place for place, p in enumerate(told) if p <= 0.01]])


def test_components_are_those_of_the_covariance(rows: DataFrame) -> None:
    scaled = vectors(rows, Preparation(scaling="standard"), *NUMBERS)
    assert np.allclose(scaled.mean(axis=0), 0)
    assert np.allclose(scaled.std(axis=0, ddof=1), [1, 1, 0, 1])
    found = vectors(rows, Preparation(scaling="standard", components=2), *NUMBERS)
    values, directions = np.linalg.eigh(np.cov(scaled.T))
    wanted = scaled @ directions[:, np.argsort(values)[::-1][:2]]
    assert np.allclose(np.abs(found), np.abs(wanted), atol=1e-9)


def test_balanced_weights_give_both_classes_the_same_sum(rows: DataFrame) -> None:
    balanced = with_weights(rows, Preparation(class_weights="balanced"))
    sums = {r["label"]: r["sum(weight)"] for r in balanced.groupBy("label").sum("weight").toLocalIterator()}
    assert sums[0.0] == pytest.approx(150)
    assert sums[1.0] == pytest.approx(150)
    assert with_weights(rows, Preparation()) is rows
    with pytest.raises(TidemillError, match="knows no weights"):
        family_stages("binary", "perceptron", {}, 1, Preparation(class_weights="balanced"))


@pytest.mark.parametrize("weights", [None, "balanced"])
def test_scikit_learn_is_scikit_learn(rows: DataFrame, tmp_path: Path, weights: str | None) -> None:
    preparation = Preparation(class_weights=weights)
    model = unfitted("binary", NUMBERS, "scikit_logistic", {"C": 0.3}, 5, preparation).fit(
        with_weights(rows, preparation)
    )
    model.write().save(str(tmp_path / "model"))
    table = with_score(PipelineModel.load(str(tmp_path / "model")), rows, "binary").toArrow()
    features = np.column_stack([table.column(f.name).to_numpy() for f in NUMBERS])
    own = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=1000, class_weight=weights))
    own.fit(features, table.column("label").to_numpy())
    # Both stop where a step changes little, and weights that differ by a factor make other steps.
    close = 1e-9 if weights is None else 1e-3
    assert np.abs(table.column(SCORE).to_numpy() - own.predict_proba(features)[:, 1]).max() < close


def test_scikit_learns_ridge_is_scikit_learns_ridge(rows: DataFrame) -> None:
    valued = rows.withColumn("label", F.expr("3 * label - coalesce(a, 0)"))
    model = unfitted("regression", NUMBERS, "scikit_ridge", {"alpha": 2.0}, 5).fit(valued)
    table = with_score(model, valued, "regression").toArrow()
    features = np.column_stack([table.column(f.name).to_numpy() for f in NUMBERS])
    own = make_pipeline(StandardScaler(), Ridge(alpha=2.0)).fit(features, table.column("label").to_numpy())
    assert np.abs(table.column(SCORE).to_numpy() - own.predict(features)).max() < 1e-9


def test_scikit_learn_is_for_few_rows(rows: DataFrame) -> None:
    with pytest.raises(TidemillError, match="more than 299 training rows") as refused:
        unfitted("binary", NUMBERS, "scikit_logistic", {"max_rows": 299}, 5).fit(rows)
    assert refused.value.code == "E_TOO_MANY_ROWS"
    with pytest.raises(TidemillError, match="a parameter is refused"):
        family_stages("binary", "scikit_logistic", {"regParam": 1.0}, 5)


def test_a_perceptron_learns_what_no_line_divides(spark: SparkSession) -> None:
    made = [(float(a), float(b), float(a != b)) for a in (0, 1) for b in (0, 1) for _ in range(10)]
    features = (Feature("a", "double"), Feature("b", "double"))
    rows = spark.createDataFrame(made, "a double, b double, label double").coalesce(1)
    model = unfitted("binary", features, "perceptron", {"hidden": (6,), "maxIter": 200}, 4).fit(rows)
    wrong = with_score(model, rows, "binary").where(F.abs(F.col("label") - F.col(SCORE)) > 0.2)
    assert wrong.count() == 0


def test_rare_and_empty_categories_share_the_place_of_unseen_ones(spark: SparkSession) -> None:
    made = [("b",)] * 3 + [("a",)] * 3 + [("",)] * 9 + [(None,)] * 9 + [("c",)] + [("often",)] * 5
    found = Categories(["kind"], ["place"], most=3).fit(spark.createDataFrame(made, "kind string"))
    assert list(found.labelsArray[0]) == ["often", "a", "b"]
    asked = spark.createDataFrame([(v,) for v in ("often", "a", "b", "c", "", None, "new")], "kind string")
    assert [r["place"] for r in found.transform(asked).toLocalIterator()] == [0, 1, 2, 3, 3, 3, 3]


def test_texts_may_have_different_numbers_of_categories(spark: SparkSession) -> None:
    made = spark.createDataFrame([("a", "x"), ("b", "x"), ("b", None), ("c", "x")], "many string, one string")
    encoder = OneHotEncoder(inputCols=["m", "o"], outputCols=["vm", "vo"], handleInvalid="keep")
    indexer = Categories(["many", "one"], ["m", "o"]).fit(made)
    assert [list(labels) for labels in indexer.labelsArray] == [["b", "a", "c"], ["x"]]
    found = encoder.fit(indexer.transform(made)).transform(indexer.transform(made))
    assert sorted((r["m"], r["o"], len(r["vm"]), len(r["vo"])) for r in found.toLocalIterator()) == [
        (0.0, 0.0, 4, 2), (0.0, 1.0, 4, 2), (1.0, 0.0, 4, 2), (2.0, 0.0, 4, 2),
    ]  # fmt: skip


def test_a_category_of_a_million_values_is_a_thousand_and_the_rest(spark: SparkSession) -> None:
    made = (
        spark.range(1_000_000)
        .selectExpr("cast(id as string) as kind")
        .unionByName(spark.range(5000).selectExpr("cast(id % 500 as string) as kind"))
    )
    found = Categories(["kind"], ["place"]).fit(made)
    assert len(found.labelsArray[0]) == 1000
    assert set(found.labelsArray[0][:500]) == {str(number) for number in range(500)}


def test_a_feature_without_a_value_is_left_out_and_none_at_all_is_refused(spark: SparkSession) -> None:
    features = (Feature("a", "double"), Feature("n", "double"), Feature("t", "string"), Feature("half", "double"))
    made = [(1.0, NAN, "", 1.0), (2.0, None, None, None)]
    rows = spark.createDataFrame(made, "a double, n double, t string, half double")
    assert [f.name for f in usable_features(rows, features)] == ["a", "half"]
    assert [f.name for f in usable_features(rows, features, 0.5)] == ["a", "half"]
    assert [f.name for f in usable_features(rows, features, 0.4)] == ["a"]
    with pytest.raises(TidemillError, match="none of 2 features has a value") as refused:
        usable_features(rows, features[1:3])
    assert refused.value.code == "E_NO_FEATURES"


def test_where_nothing_varies_there_is_nothing_to_learn_from(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1.0, 0.0), (1.0, 1.0)], "a double, label double")
    with pytest.raises(TidemillError, match="none varies") as refused:
        Pipeline(stages=preprocessing((Feature("a", "double"),), Preparation(constant=True))).fit(rows)
    assert refused.value.code == "E_NO_FEATURES"


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"nulls": 50}, "shares"),
        ({"correlated": -0.1}, "shares"),
        ({"components": 0}, "at least one"),
        ({"scaling": "standart"}, "did you mean 'standard'?"),
        ({"class_weights": "balance"}, "did you mean 'balanced'?"),
    ],
)
def test_a_preparation_that_makes_no_sense_is_refused_when_it_is_declared(wrong: dict[str, Any], hint: str) -> None:
    with pytest.raises(TidemillError) as refused:
        Preparation(**wrong)
    assert refused.value.code == "E_PREPARATION"
    assert hint in refused.value.next_step
