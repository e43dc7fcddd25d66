"""What the judging of stored predictions, and joint drift, make of frames."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_absolute_error, root_mean_squared_error
from tidemill.core.errors import TidemillError
from tidemill.features.declarations import Feature
from tidemill.models.baseline import Baseline
from tidemill.models.class_baseline import ClassBaseline
from tidemill.monitoring.joint import build_joint
from tidemill.monitoring.matured import judge_scores

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from tidemill.models.use_case import UseCase

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
REGRESSION = cast(
    "UseCase",
    SimpleNamespace(task="regression", metric="rmse", slices=("plan",), entity=SimpleNamespace(key="who")),
)
CLASSES = cast(
    "UseCase",
    SimpleNamespace(task="multiclass", metric="log_loss", slices=("plan",), entity=SimpleNamespace(key="who")),
)
ALONE = Baseline(0.0, "alone", 1.0, 0.0)


def frame(spark: SparkSession, rows: list[tuple[Any, ...]]) -> DataFrame:
    return spark.createDataFrame(
        rows, "who string, event_timestamp timestamp, label double, score double, plan string, alone double"
    )


def drawn(day: int, number: int = 30) -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(day)
    label, at = rng.standard_normal(number), FIRST + timedelta(days=day)
    score, plans = label + rng.standard_normal(number), ["a"] * (number - 12) + ["b"] * 8 + [None] * 4
    return [
        (f"e{n}", at, float(label[n]), float(score[n]), plans[n], float(label[n]) / 2 if n else None)
        for n in range(number)
    ]


def test_a_regression_is_judged_at_each_time_and_slice_in_one_pass(spark: SparkSession) -> None:
    rows = drawn(0) + drawn(1)
    first, second = judge_scores(frame(spark, rows), REGRESSION, ALONE, 0.5, floor=5)
    assert (first.at, second.at) == (FIRST, FIRST + timedelta(days=1))
    label, score = ([row[place] for row in rows[:30]] for place in (2, 3))
    primary = first.outcomes[0]
    assert (primary.metric, primary.column, primary.rows, primary.positive_rate) == ("rmse", None, 30, None)
    assert primary.value == pytest.approx(root_mean_squared_error(label, score), abs=1e-12)
    alone = [0.0 if row[5] is None else row[5] for row in rows[:30]]
    assert primary.baseline == pytest.approx(root_mean_squared_error(label, alone), abs=1e-12)
    assert primary.low is not None
    assert primary.low < (primary.value or 0.0)
    found = {(o.column, o.value_of, o.metric): o.value for o in first.outcomes}
    assert found[None, None, "mae"] == pytest.approx(mean_absolute_error(label, score), abs=1e-12)
    assert found["plan", "b", "rmse"] == pytest.approx(root_mean_squared_error(label[18:26], score[18:26]), abs=1e-12)
    assert {(o.column, o.value_of) for o in first.outcomes} == {(None, None), ("plan", "a"), ("plan", "b")}


def test_several_classes_are_judged_by_log_loss(spark: SparkSession) -> None:
    rng = np.random.default_rng(3)
    shares, label = rng.dirichlet(np.ones(3), 40), rng.integers(3, size=40)
    rows = [(f"e{n}", FIRST, float(label[n]), shares[n].tolist(), "a" if n < 30 else None, float(n)) for n in range(40)]
    schema = (
        "who string, event_timestamp timestamp, label double, probabilities array<double>, plan string, alone double"
    )
    alone = ClassBaseline((0.5, 0.25, 0.25), "alone", (19.0,), ((0.2, 0.3, 0.5), (0.6, 0.2, 0.2), (1 / 3,) * 3))
    (found,) = judge_scores(spark.createDataFrame(rows, schema), CLASSES, alone, 0.5, floor=20)
    primary, *others = found.outcomes
    assert (primary.metric, primary.rows, primary.positive_rate) == ("log_loss", 40, None)
    assert primary.value == pytest.approx(log_loss(label, shares), abs=1e-9)
    told = np.array([alone.shares[int(n > 19)] for n in range(40)])
    assert primary.baseline == pytest.approx(log_loss(label, told), abs=1e-9)
    assert primary.low is not None
    assert primary.low < (primary.value or 0.0) < (primary.high or 0.0)
    by = {(o.column, o.value_of, o.metric): o.value for o in others}
    assert by[None, None, "accuracy"] == pytest.approx(np.mean(shares.argmax(axis=1) == label))
    assert by["plan", "a", "log_loss"] == pytest.approx(log_loss(label[:30], shares[:30]), abs=1e-9)
    assert ("plan", None, "log_loss") not in by  # ten rows are too few
    assert found.digest.endswith("-40")


def test_the_digest_is_of_what_was_judged_in_any_order(spark: SparkSession) -> None:
    rows = drawn(0)

    def digest(rows: list[tuple[Any, ...]]) -> str:
        (found,) = judge_scores(frame(spark, rows), REGRESSION, None, 0.5, floor=100)
        assert found.outcomes[0].baseline is None
        return found.digest

    assert digest(rows) == digest(rows[::-1])
    (who, at, label, *rest), *others = rows
    assert digest(rows) != digest([(who, at, label + 1, *rest), *others])
    assert digest(rows).endswith("-30")


def test_a_label_that_is_no_number_stops_the_judging(spark: SparkSession) -> None:
    (who, at, _, *rest), *others = drawn(0)
    with pytest.raises(TidemillError) as stopped:
        judge_scores(frame(spark, [(who, at, float("nan"), *rest), *others]), REGRESSION, None, 0.5, floor=100)
    assert stopped.value.code == "E_LABEL_VALUE"


def test_joint_drift_of_frames_is_found_and_the_same_each_time(spark: SparkSession) -> None:
    rng = np.random.default_rng(7)

    def rows(day: int, together: float) -> list[tuple[Any, ...]]:
        a = rng.standard_normal(150)
        b = together * a + np.sqrt(1 - together**2) * rng.standard_normal(150)
        return [(f"{day} {n}", FIRST + timedelta(days=day), float(a[n]), float(b[n]), "x") for n in range(150)]

    schema = "who string, event_timestamp timestamp, a double, b double, plan string"
    trained = spark.createDataFrame(rows(0, 0.9) + rows(1, 0.9), schema)
    scored = spark.createDataFrame(rows(2, -0.9), schema)
    features = [Feature("a", "double"), Feature("b", "double"), Feature("plan", "string")]
    found = build_joint(trained, scored, features, "who", FIRST + timedelta(days=1), 120)
    again = build_joint(trained.repartition(3), scored.repartition(2), features, "who", FIRST + timedelta(days=1), 120)
    assert found is not None
    assert found == again
    assert (found.rows, found.found.low > 0.6, set(found.features[:2])) == (120, True, {"a", "b"})
    assert build_joint(trained, scored.limit(10), features, "who", FIRST, 120) is None
