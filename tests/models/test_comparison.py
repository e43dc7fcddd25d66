"""Scores side by side: gains beside naive ones, intervals that hold what they promise, slices, calibration."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from tidemill.models.comparison import Asked, compare, from_text
from tidemill.models.gate_rows import compare_frame
from tidemill.models.paired import BLOCKS, BOOTSTRAP, DELONG, Resampling, Scored, gain
from tidemill.stats.consistency import error_by_chance
from tidemill.stats.counted import count
from tidemill.stats.delong import paired_auc
from tidemill.stats.probabilities import probabilities, probability_sums

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HOW = Resampling(0.95, 200, 1)
DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = Asked("roc_auc", "binary", ("plan",), 100, HOW, DAY)


def scored(rows: int, seed: int, each: int = 1) -> Scored:
    """Labels drawn from the first score; the second is the first with noise; so many rows an entity."""
    dice = np.random.default_rng(seed)
    one = dice.random(rows)
    label = (dice.random(rows) < one).astype(float)
    return Scored(label, one, np.clip(one + dice.normal(0, 0.3, rows), 0, 1), np.arange(rows) // each)


def test_a_gain_of_roc_auc_is_delongs_where_rows_are_independent() -> None:
    rows = scored(800, 3)
    found, by_hand = gain("roc_auc", rows, HOW), paired_auc(rows.label, rows.one, rows.other)
    assert found is not None
    assert (found.one, found.other) == pytest.approx((by_hand.one, by_hand.other), abs=1e-12)
    assert (found.rows, found.method) == (800, DELONG)
    assert found.gain == pytest.approx(by_hand.one - by_hand.other)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.959964 * by_hand.variance**0.5, rel=1e-6)


def test_rows_of_one_entity_are_drawn_together() -> None:
    rows = scored(800, 3)
    apart = gain("roc_auc", replace(rows, unit=np.arange(800) // 2), HOW)
    label, one, other, unit = (np.repeat(values, 8) for values in (rows.label, rows.one, rows.other, rows.unit))
    copied = gain("roc_auc", Scored(label, one, other, unit), HOW)  # eight times the rows, and nothing new in them
    once = gain("roc_auc", rows, HOW)
    assert apart is not None and copied is not None and once is not None  # noqa: PT018
    assert (apart.method, copied.method) == (BOOTSTRAP, BOOTSTRAP)
    assert copied.gain == pytest.approx(once.gain, abs=1e-12)
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.2)  # type: ignore[operator]


def test_of_an_error_less_is_a_gain() -> None:
    dice = np.random.default_rng(5)
    label = dice.normal(0, 1, 400)
    rows = Scored(label, label + dice.normal(0, 1, 400), label + dice.normal(0, 2, 400), np.arange(400))
    found = gain("rmse", rows, HOW)
    assert found is not None
    assert (found.one, found.other) == pytest.approx(
        [np.sqrt(np.mean((score - label) ** 2)) for score in (rows.one, rows.other)]
    )
    assert found.gain == pytest.approx(found.other - found.one)
    assert found.low is not None
    assert 0 < found.low < found.gain


def test_what_too_few_rows_cannot_say() -> None:
    nobody = Scored(np.empty(0), np.empty(0), np.empty(0), np.empty(0))
    assert gain("rmse", nobody, HOW) is None
    one_class = Scored(np.ones(5), np.arange(5.0), np.arange(5.0), np.arange(5))
    assert gain("roc_auc", one_class, HOW) is None
    one_entity = Scored(np.array([0.0, 1.0]), np.array([0.1, 0.9]), np.array([0.9, 0.1]), np.zeros(2))
    found = gain("roc_auc", one_entity, HOW)
    assert found is not None
    assert (found.gain, found.low, found.high) == (1.0, None, None)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_no_gain_over_oneself(seed: int) -> None:
    rows = scored(60, seed)
    found = gain("brier", replace(rows, other=rows.one), replace(HOW, draws=20))
    assert found is not None
    assert (found.gain, found.low, found.high) == (0.0, 0.0, 0.0)


def test_an_interval_of_equally_good_scores_holds_zero_as_often_as_it_says() -> None:
    inside = 0
    for seed in range(200):
        dice = np.random.default_rng(seed)
        truth = dice.normal(0, 1, 300)
        label = (dice.normal(0, 1, 300) < truth).astype(float)
        rows = Scored(label, truth + dice.normal(0, 1, 300), truth + dice.normal(0, 1, 300), np.arange(300))
        found = gain("roc_auc", rows, HOW)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0 <= found.high
    assert 180 <= inside <= 199  # 190 expected


def table(champion: bool = True) -> pa.Table:
    rows = scored(900, 11)
    plans = np.array(["basic", "team", None], dtype=object)[np.arange(900) % 3]
    plans[:50] = "odd"
    # In one slice the challenger tells the classes apart the wrong way round.
    one = np.where(plans == "team", 1 - rows.one, rows.one)
    return pa.table(
        {
            "entity__": rows.unit.astype(str),
            "time__": pa.array([START] * 900, pa.timestamp("us", "UTC")),
            "label__": rows.label,
            "challenger__": one,
            "champion__": pa.array(rows.other if champion else [None] * 900, pa.float64()),
            "baseline__": np.zeros(900),
            "plan": pa.array(plans.tolist(), pa.string()),
        }
    )


def column(rows: pa.Table, name: str) -> Any:
    return rows.column(name).to_numpy(zero_copy_only=False)


def test_the_gate_rows_side_by_side() -> None:
    rows = table()
    found = compare(rows, ASKED)
    label, one, other = (column(rows, f"{name}__") for name in ("label", "challenger", "champion"))
    assert found.champion is not None
    assert found.brier is not None
    assert found.champion.gain == pytest.approx(roc_auc_score(label, one) - roc_auc_score(label, other))
    assert found.brier.gain == pytest.approx(brier_score_loss(label, other) - brier_score_loss(label, one))
    assert found.baseline.other == 0.5
    assert [(s.column, s.value, s.gain.rows) for s in found.slices] == [
        ("plan", "basic", 283),
        ("plan", "team", 283),
        ("plan", None, 284),
    ]
    by_value = {s.value: s.gain for s in found.slices}
    kept = column(rows, "plan") == "team"
    assert by_value["team"].one == pytest.approx(roc_auc_score(label[kept], one[kept]))
    assert by_value["team"].high is not None
    assert by_value["team"].high < 0
    assert by_value["basic"].low is not None
    assert by_value["basic"].low > 0
    alone = gain("roc_auc", Scored(label[kept], one[kept], other[kept], np.arange(kept.sum())), HOW)
    assert alone is not None
    wider = (by_value["team"].high - by_value["team"].low) / (alone.high - alone.low)  # type: ignore[operator]
    assert wider == pytest.approx(2.3940 / 1.9600, rel=1e-3)  # three slices share the doubt


def test_without_a_champion_slices_are_held_against_the_baseline() -> None:
    found = compare(table(champion=False), ASKED)
    assert (found.champion, found.brier) == (None, None)
    assert {s.gain.other for s in found.slices} == {0.5}


def test_a_regression_has_no_calibration() -> None:
    found = compare(table(), Asked("rmse", "regression", (), 100, HOW, DAY))
    assert (found.calibration, found.brier, found.slices) == (None, None, ())
    assert found.champion is not None
    assert found.champion.method == BOOTSTRAP


def of_classes(champion: bool = True) -> pa.Table:
    """Three classes: labels are drawn from the challenger's probabilities, and the champion's are blurred."""
    dice = np.random.default_rng(4)
    one = dice.dirichlet(np.ones(3), 600)
    label = np.array([dice.choice(3, p=shares) for shares in one]).astype(float)
    other = (one + 0.5) / 2.5
    return pa.table(
        {
            "entity__": [str(n) for n in range(600)],
            "time__": pa.array([START] * 600, pa.timestamp("us", "UTC")),
            "label__": label,
            "challenger__": pa.array(one.tolist(), pa.list_(pa.float64())),
            "champion__": pa.array(other.tolist() if champion else [None] * 600, pa.list_(pa.float64())),
            "baseline__": pa.array([[1 / 3] * 3] * 600, pa.list_(pa.float64())),
        }
    )


CLASSES = Asked("log_loss", "multiclass", (), 100, HOW, DAY)


def test_several_classes_are_compared_by_log_loss() -> None:
    rows = of_classes()
    found = compare(rows, CLASSES)
    label, one, other = (np.array(rows.column(f"{n}__").to_pylist()) for n in ("label", "challenger", "champion"))
    assert found.champion is not None
    assert found.champion.one == pytest.approx(log_loss(label, one), abs=1e-9)
    assert found.champion.gain == pytest.approx(log_loss(label, other) - log_loss(label, one), abs=1e-9)
    assert found.champion.method == BOOTSTRAP
    assert found.champion.low is not None
    assert 0 < found.champion.low < found.champion.gain
    assert found.baseline.other == pytest.approx(np.log(3))
    true = np.eye(3)[label.astype(int)]
    briers = [np.mean(np.sum((scores - true) ** 2, axis=1)) for scores in (one, other)]
    assert found.brier is not None
    assert (found.brier.one, found.brier.other) == pytest.approx(briers)
    # Calibration is that of the predicted class.
    right, confidence = one.argmax(axis=1) == label, one.max(axis=1)
    counted = count(right, confidence)
    told = probabilities(probability_sums(counted), counted.totals)
    assert told is not None
    assert found.calibration is not None
    assert found.calibration.error == pytest.approx(told.expected_calibration_error)
    assert found.calibration.error < found.calibration.by_chance  # they are the very probabilities


def test_several_classes_without_a_champion_or_a_score() -> None:
    alone = compare(of_classes(champion=False), CLASSES)
    assert (alone.champion, alone.brier) == (None, None)
    assert alone.baseline.gain > 0
    rows = of_classes()
    holes = [None, *rows.column("champion__").to_pylist()[1:]]
    rows = rows.set_column(4, "champion__", pa.array(holes, pa.list_(pa.float64())))
    with pytest.raises(ValueError, match="a gate row lacks its label or a score"):
        compare(rows, CLASSES)


def hours(entities: int, count: int, seed: int) -> pa.Table:
    """Hourly rows of some entities with two equally good scores, whose errors last for hours."""
    dice = np.random.default_rng(seed)

    def errors() -> Any:
        found = dice.normal(0, 1, (entities, count))
        for at in range(1, count):
            found[:, at] += 0.7 * found[:, at - 1]
        return found.ravel()

    label = dice.normal(0, 5, entities * count)
    times = [START + timedelta(hours=at) for _ in range(entities) for at in range(count)]
    return pa.table(
        {
            "entity__": [f"E{e}" for e in range(entities) for _ in range(count)],
            "time__": pa.array(times, pa.timestamp("us", "UTC")),
            "label__": label,
            "challenger__": label + errors(),
            "champion__": label + errors(),
            "baseline__": np.zeros(entities * count),
        }
    )


def test_of_few_entities_blocks_of_time_are_drawn() -> None:
    asked = Asked("rmse", "regression", (), 100, HOW, DAY)
    inside = 0
    for seed in range(100):
        found = compare(hours(1, 720, seed), asked).champion
        assert found is not None
        assert (found.rows, found.method) == (720, BLOCKS)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0 <= found.high
    assert 88 <= inside <= 99  # 95 expected
    found = compare(hours(12, 48, 1), asked).champion  # two days are fewer than twelve entities
    assert found is not None
    assert found.method == BOOTSTRAP
    found = compare(hours(30, 48, 1), asked).champion
    assert found is not None
    assert found.method == BOOTSTRAP


def test_a_block_grows_with_the_third_root_of_the_times() -> None:
    rows = hours(1, 1000, 3)
    of_an_hour = Asked("rmse", "regression", (), 100, HOW, timedelta(hours=1))
    ten_hours = replace(of_an_hour, block=timedelta(hours=10))
    assert compare(rows, of_an_hour) == compare(rows, ten_hours) != compare(rows, replace(of_an_hour, block=DAY))


def test_a_row_without_a_score_ends_the_comparison() -> None:
    rows = table()
    holes = [None, *column(rows, "champion__")[1:].tolist()]
    rows = rows.set_column(4, "champion__", pa.array(holes, pa.float64()))
    with pytest.raises(ValueError, match="a gate row lacks its label or a score"):
        compare(rows, ASKED)


def test_a_comparison_survives_as_text() -> None:
    for found in (compare(table(), ASKED), compare(table(champion=False), ASKED)):
        assert from_text(json.dumps(asdict(found))) == found


def test_a_frame_is_compared_as_its_rows_are(spark: SparkSession) -> None:
    rows = table()
    assert compare_frame(spark.createDataFrame(rows), ASKED) == compare(
        rows.sort_by([(name, "ascending") for name in rows.column_names[:1]]), ASKED
    )
    several = of_classes()
    assert compare_frame(spark.createDataFrame(several), CLASSES) == compare(several.sort_by("entity__"), CLASSES)


def test_calibrated_scores_stay_below_the_error_of_chance() -> None:
    below = 0
    for seed in range(200):
        rows = scored(500, seed)
        counted = count(rows.label, rows.one)
        found = probabilities(probability_sums(counted), counted.totals)
        assert found is not None
        below += found.expected_calibration_error <= error_by_chance(rows.one, 200, 1)
    assert 180 <= below <= 199


def test_the_error_of_chance_shrinks_with_the_rows() -> None:
    dice = np.random.default_rng(0)
    few, many = (error_by_chance(dice.random(n), 1_000, 1) for n in (100, 10_000))
    assert few == pytest.approx(10 * many, rel=0.15)
    assert error_by_chance(np.array([0.0, 1.0, 1.0]), 10, 1) == 0.0
