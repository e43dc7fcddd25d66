"""Evaluation of tables and frames with Spark: by files, in plain Spark and in NumPy all the same."""

from collections.abc import Callable

import numpy as np
import pytest
from deltalake import DeltaTable, TableFeatures
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn import metrics as sklearn
from stats.scored import assert_same
from tidemill.core.errors import TidemillError
from tidemill.data.commit import commit
from tidemill.data.files import data_files
from tidemill.data.tables import Lake, Table
from tidemill.data.write import Batch
from tidemill.models.evaluate import build_metrics
from tidemill.models.evaluate_files import sums_of_files
from tidemill.models.evaluate_groups import sums_by_group
from tidemill.models.evaluate_sums import Metrics, metrics_of
from tidemill.models.evaluation import evaluate_table
from tidemill.models.metric_values import as_values, scalars
from tidemill.stats.binary import Binary, binary_of
from tidemill.stats.residuals import Regression, regression, residual_sums

SCORES = Table(
    "gold",
    "scores",
    (("name", "string"), ("label", "double"), ("score", "double"), ("part", "string")),
    partitions=("part",),
)
Values = list[tuple[float | None, float | None]]
Write = Callable[[str, Values], None]
DICE = np.random.default_rng(11)


def _rows(count: int) -> Values:
    score = np.where(DICE.random(count) < 0.5, np.round(DICE.random(count), 1), DICE.random(count) ** 3)
    return [(float(DICE.random() < s), float(s)) for s in score]


CASES: dict[str, Values] = {
    "plain": _rows(900),
    "ranked only": [(label, score * 8 - 4) for label, score in _rows(300) if label is not None and score is not None],
    "infinite": [(1.0, float("inf")), (0.0, 1e300), (0.0, -1e300), (1.0, 5e-324), (0.0, -0.0), (1.0, 0.0)],
    "constant": [(float(n % 3 == 0), 0.7) for n in range(30)],
    "positives": [(1.0, n / 10) for n in range(10)],
    "negatives": [(0.0, n / 10) for n in range(10)],
    "one": [(1.0, 0.25)],
    "edges": [(float(n % 2), n / 10) for n in range(11)],
}


@pytest.fixture
def write(lake: Lake, spark: SparkSession) -> Write:
    def commit_rows(part: str, values: Values) -> None:
        rows = [(str(number), *value, part) for number, value in enumerate(values)]
        frame = spark.createDataFrame(rows, "name string, label double, score double, part string")
        commit(lake, SCORES, Batch(part, {"part": part}), frame)

    return commit_rows


def _pure(values: Values) -> Binary:
    label, score = (np.array(side, np.float64) for side in zip(*values, strict=True))
    return binary_of(label, score)


def in_spark(frame: DataFrame, task: str) -> Metrics:
    return metrics_of(sums_by_group(frame, task, [], 0.5)[()], 0.5, "here")


def test_groups_are_those_of_numpy(spark: SparkSession) -> None:
    rows = [(name, *value) for name, values in CASES.items() for value in values]
    frame = spark.createDataFrame(rows, "name string, label double, score double").repartition(3)
    found = {
        group: metrics_of(sums, 0.5, "here") for group, sums in sums_by_group(frame, "binary", ["name"], 0.5).items()
    }
    assert {name for (name,) in found} == set(CASES)
    light = {row["name"]: row for row in build_metrics(frame, "binary", ["name"]).toLocalIterator()}
    for name, values in CASES.items():
        metrics = found[name,]
        assert isinstance(metrics, Binary)
        assert_same(metrics, _pure(values))
        assert metrics.ranking.roc_auc == light[name]["roc_auc"]


def test_a_table_by_files_and_in_plain_spark(lake: Lake, spark: SparkSession, write: Write) -> None:
    for part, values in CASES.items():
        write(part, values)
    for part in ("plain", "ranked only", "infinite", "positives"):
        found = evaluate_table(spark, lake, SCORES, {"part": part}, "binary", 0.5)
        assert found.path == "files"
        assert isinstance(found.metrics, Binary)
        assert_same(found.metrics, _pure(CASES[part]))
    everything = [value for values in CASES.values() for value in values]
    files = data_files(lake, SCORES, {})
    assert sum(file.rows for file in files) == len(everything)
    cut = metrics_of(sums_of_files(spark, files, "binary", 0.5, "here", range_rows=200), 0.5, "here")
    assert isinstance(cut, Binary)
    assert_same(cut, _pure(everything))
    DeltaTable(str(lake.path(SCORES))).alter.add_feature(
        [TableFeatures.DeletionVectors], allow_protocol_versions_increase=True
    )
    twin = evaluate_table(spark, lake, SCORES, {"part": "plain"}, "binary", 0.5)
    assert twin.path == "gold.scores has deletionVectors"
    assert isinstance(twin.metrics, Binary)
    assert_same(twin.metrics, _pure(CASES["plain"]))


def test_rows_that_cannot_be_judged_are_refused(lake: Lake, spark: SparkSession, write: Write) -> None:
    write("label", [(1.0, 0.5), (None, 0.5), (3.0, 0.5), (0.0, 0.1)])
    write("score", [(1.0, None), (1.0, float("nan")), (0.0, 0.1)])
    refused = {"label": ("E_LABEL_VALUE", "2 labels"), "score": ("E_SCORE_VALUE", "2 scores")}
    for part, (code, said) in refused.items():
        with pytest.raises(TidemillError, match=said) as raised:
            evaluate_table(spark, lake, SCORES, {"part": part}, "binary", 0.5)
        assert (raised.value.code, raised.value.where) == (code, "gold.scores")
        with pytest.raises(TidemillError, match=said):
            sums_of_files(spark, data_files(lake, SCORES, {"part": part}), "binary", 0.5, "here", range_rows=1)
        frame = spark.read.format("delta").load(str(lake.path(SCORES))).where(F.col("part") == part)
        with pytest.raises(TidemillError, match=said):
            in_spark(frame, "binary")
    with pytest.raises(TidemillError, match="no scored row"):
        evaluate_table(spark, lake, SCORES, {"part": "absent"}, "binary", 0.5)
    with pytest.raises(TidemillError, match="no scored row"):
        in_spark(spark.createDataFrame([], "label double, score double"), "binary")


def test_errors_of_values(lake: Lake, spark: SparkSession, write: Write) -> None:
    rows: Values = [(float(a), float(b)) for a, b in DICE.normal(10, 3, (500, 2))]
    write("values", rows)
    label, score = (np.array(side, np.float64) for side in zip(*rows, strict=True))
    expected = regression(residual_sums(label, score))
    by_files = evaluate_table(spark, lake, SCORES, {}, "regression", 0.5).metrics
    frame = spark.createDataFrame(rows, "label double, score double")
    assert isinstance(expected, Regression)
    for found in (by_files, in_spark(frame, "regression")):
        assert scalars(found) == pytest.approx(scalars(expected), rel=1e-12)
    assert scalars(expected)["r2"] == pytest.approx(sklearn.r2_score(label, score), abs=1e-12)
    write("infinite", [(1.0, float("inf"))])
    with pytest.raises(TidemillError, match="1 scores are null"):
        evaluate_table(spark, lake, SCORES, {}, "regression", 0.5)


def test_values_for_the_card() -> None:
    found = as_values(_pure(CASES["plain"]))
    assert found["rows"] == 900
    assert found["roc_auc_low"] < found["roc_auc"] < found["roc_auc_high"]
    assert found["precision_low"] < found["precision"] < found["precision_high"]
    assert [row["rows"] for row in found["lift"]] == [9, 18, 45, 90, 180, 270, 360, 450, 540, 630, 720, 810, 900]
    assert sum(row["rows"] for row in found["calibration"]) == 900
    assert set(found["confusion"]) == {"true_positives", "false_positives", "false_negatives", "true_negatives"}
    one_class = as_values(_pure(CASES["positives"]))
    assert "roc_auc" not in one_class
    assert "calibration" not in as_values(_pure(CASES["ranked only"]))
