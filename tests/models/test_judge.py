"""The gate fits judged in one pass: each scoring, the rows of the fit, and slices with a floor."""

import numpy as np
import pytest
from pyspark.sql import SparkSession
from stats.scored import assert_same
from tidemill.core.errors import TidemillError
from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    Entity,
    FeatureView,
    Grid,
    Label,
    LogisticRegression,
    NoEventIn,
    Source,
    UseCase,
    days,
)
from tidemill.models.judge import judge
from tidemill.stats.binary import Binary, binary_of

WHO = Entity("who")
VISITS = Source("visits", "visits.yaml", WHO)


def _use_case(*slices: str) -> UseCase:
    features = (Aggregate("last_text", "plan"), Aggregate("last_text", "country"))
    return UseCase(
        "visitors",
        views=(FeatureView("visits_of", 1, WHO, VISITS, features, cadence=days(1), ttl=days(1)),),
        label=Label("gone", days(10), ActiveWithin(VISITS, days(10)), NoEventIn(VISITS)),
        task="binary",
        models=(LogisticRegression(),),
        grid=Grid("2024-01-01", every=days(10)),
        baseline="plan_last_text",
        slices=slices,
    )


def test_every_scoring_the_fit_and_the_slices(spark: SparkSession) -> None:
    dice = np.random.default_rng(13)
    schema = "label double, score double, plan_last_text string, country_last_text string"
    plans = [("basic", 250), ("team", 120), (None, 100), ("odd", 99)]
    rows = [
        (float(dice.random() < 0.3), float(dice.random()), plan, "DE" if dice.random() < 0.1 else "NL")
        for plan, size in plans
        for _ in range(size)
    ]
    short = "label double, score double"
    gate, worse = spark.createDataFrame(rows, schema), spark.createDataFrame([(0.0, 0.1), (1.0, 0.1)], short)
    train = spark.createDataFrame([(0.0, 0.1), (1.0, 0.9)], short)
    found = judge({"best": gate, "worse": worse}, train, _use_case("plan_last_text", "country_last_text"), 0.4)

    def of(kept: list[tuple[float, float, str | None, str]]) -> Binary:
        return binary_of(np.array([r[0] for r in kept]), np.array([r[1] for r in kept]), 0.4)

    for metrics, expected in (
        (found.gate["best"], of(rows)),
        (found.gate["worse"], binary_of(np.array([0, 1]), np.array([0.1, 0.1]), 0.4)),
        (found.train, binary_of(np.array([0, 1]), np.array([0.1, 0.9]), 0.4)),
    ):
        assert isinstance(metrics, Binary)
        assert_same(metrics, expected)
    countries = {name: sum(r[3] == name for r in rows) for name in ("DE", "NL")}
    assert [(s.column, s.value, s.rows) for s in found.slices] == [
        ("plan_last_text", "basic", 250),
        ("plan_last_text", "odd", 99),
        ("plan_last_text", "team", 120),
        ("plan_last_text", None, 100),
        ("country_last_text", "DE", countries["DE"]),
        ("country_last_text", "NL", countries["NL"]),
    ]
    for item in found.slices:
        if item.rows < 100:
            assert item.metrics is None
            continue
        assert isinstance(item.metrics, Binary)
        column = 2 if item.column == "plan_last_text" else 3
        assert_same(item.metrics, of([r for r in rows if r[column] == item.value]))


def test_a_slice_is_a_feature() -> None:
    with pytest.raises(TidemillError, match="the slice 'plan' is no feature") as raised:
        _use_case("plan")
    assert raised.value.code == "E_USE_CASE"
