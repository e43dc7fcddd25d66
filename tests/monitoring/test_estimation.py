"""What is expected of scored rows of several classes before their labels are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyspark.sql import functions as F
from sklearn.metrics import log_loss
from tidemill.models.class_columns import with_probabilities
from tidemill.monitoring.estimation import estimate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def drawn(seed: int, sure: float, rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, surer or less sure, and labels that follow them."""
    dice = np.random.default_rng(seed)
    shares = dice.dirichlet(np.ones(3) / sure, rows)
    return shares, np.array([dice.choice(3, p=row) for row in shares])


def frame(spark: SparkSession, shares: np.ndarray, label: np.ndarray) -> DataFrame:
    rows = [(row.tolist(), float(one)) for row, one in zip(shares, label, strict=True)]
    return with_probabilities(spark.createDataFrame(rows, "p array<double>, label double"), F.col("p"))


def test_the_log_loss_of_surer_rows_is_foretold(spark: SparkSession) -> None:
    known, coming = drawn(1, 1.0), drawn(2, 2.0)
    realised = log_loss(known[1], known[0])
    found = estimate(frame(spark, *known), frame(spark, *coming).drop("label"), "multiclass", realised)
    assert found.value is not None, found.reason
    will_be = log_loss(coming[1], coming[0], labels=[0, 1, 2])
    assert will_be < realised - 0.1
    assert found.value.low <= will_be <= found.value.high
    assert found.reason.startswith("expected of the scores, if losses are as large as they were")


def test_what_says_nothing_of_the_rows_is_refused(spark: SparkSession) -> None:
    known = frame(spark, *drawn(1, 1.0, 200))
    few = estimate(known, known.limit(50), "multiclass", 1.0)
    assert (few.value, few.reason) == (None, "refused: fewer than 100 rows were scored")
    constant = frame(spark, np.full((200, 3), 1 / 3), np.zeros(200))
    assert (
        estimate(constant, known, "multiclass", 1.0).reason == "refused: the scores of rows with labels do not differ"
    )
    sure = frame(spark, *drawn(3, 1.0, 300)).where("score < 0.6")
    beyond = frame(spark, *drawn(4, 10.0, 300))
    assert estimate(sure, beyond, "multiclass", 1.0).reason.endswith("are such as no row with a label had")


def test_a_regression_is_estimated_from_the_same_bins(spark: SparkSession) -> None:
    rows = [(float(n % 100), float(n % 100) + (2.0 if n % 2 else -2.0)) for n in range(400)]
    known = spark.createDataFrame(rows, "score double, label double")
    found = estimate(known, known.drop("label"), "regression", 2.0)
    assert found.value is not None
    assert found.value.estimate == pytest.approx(2.0)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_of_rows_without_a_score_nothing_is_expected(spark: SparkSession, task: str) -> None:
    rows = [(float(n % 100) / 100, float(n % 2)) for n in range(400)]
    known = spark.createDataFrame(rows, "score double, label double")
    scored = known.select("score").unionByName(spark.createDataFrame([(None,)], "score double"))
    found = estimate(known, scored, task, 0.5)
    assert (found.value, found.reason) == (None, "refused: of some rows the model made no number")
