"""Metrics against scikit-learn, many groups in one call."""

import random

import numpy as np
import pytest
from pyspark.sql import SparkSession
from sklearn.metrics import mean_absolute_error, mean_squared_error, roc_auc_score
from tidemill.models.evaluate import build_metrics

SCHEMA = "day int, label double, score double"
Rows = list[tuple[int, float, float]]


def test_roc_auc_is_that_of_scikit_learn(spark: SparkSession) -> None:
    dice = random.Random(7)  # noqa: S311
    rows: Rows = []
    for day in range(40):
        scores = dice.choice([[0.5], [0.1, 0.9], [n / 7 for n in range(8)], [dice.random() for _ in range(500)]])
        share = dice.choice([1.0, 0.0, *[0.3] * 6])  # of ones: a day of one class only has no curve
        rows += [(day, float(dice.random() < share), dice.choice(scores)) for _ in range(dice.choice([1, 2, 10, 200]))]
    rows += [(98, float(n % 2), 0.25) for n in range(10)]  # constant
    rows += [
        (99, 1.0, float("inf")),
        (99, 0.0, 1e300),
        (99, 0.0, -1e300),
        (99, 1.0, 5e-324),
        (99, 0.0, -0.0),
        (99, 1.0, 0.0),
    ]
    found = {
        r["day"]: r for r in build_metrics(spark.createDataFrame(rows, SCHEMA), "binary", ["day"]).toLocalIterator()
    }
    ones = 0
    for day in sorted({r[0] for r in rows}):
        labels = np.array([r[1] for r in rows if r[0] == day])
        values = np.array([min(r[2], 1e305) for r in rows if r[0] == day])
        row = found.pop(day)
        assert (row["rows"], row["positive_rate"]) == (len(labels), pytest.approx(labels.mean(), abs=1e-15))
        if len(set(labels)) == 1:
            assert row["roc_auc"] is None
            ones += 1
        else:
            assert row["roc_auc"] == pytest.approx(roc_auc_score(labels, values), abs=1e-12)
    assert found == {}
    assert ones > 3


def test_constant_scores_rank_nobody(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1, float(n % 3 == 0), 0.7) for n in range(30)], SCHEMA)
    row = next(build_metrics(frame, "binary", []).toLocalIterator())
    assert (row["rows"], row["roc_auc"]) == (30, 0.5)


def test_errors_are_those_of_scikit_learn(spark: SparkSession) -> None:
    dice = random.Random(8)  # noqa: S311
    rows = [(day, dice.gauss(100, 50), dice.gauss(100, 50)) for day in range(5) for _ in range(100 if day else 1)]
    frame = build_metrics(spark.createDataFrame(rows, SCHEMA), "regression", ["day"])
    for row in frame.toLocalIterator():
        labels = [r[1] for r in rows if r[0] == row["day"]]
        scores = [r[2] for r in rows if r[0] == row["day"]]
        assert row["rows"] == len(labels)
        assert row["rmse"] == pytest.approx(mean_squared_error(labels, scores) ** 0.5, rel=1e-12)
        assert row["mae"] == pytest.approx(mean_absolute_error(labels, scores), rel=1e-12)
