"""Platt's sigmoid and isotonic regression against scikit-learn, and on data that have nothing to fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from stats.scored import Rows, scored
from tidemill.stats.binary import binary_of
from tidemill.stats.calibration import Isotonic, Platt, fit_isotonic, fit_platt
from tidemill.stats.counted import count


@given(scored(), st.lists(st.floats(0, 1), max_size=5))
def test_isotonic_is_that_of_scikit_learn(rows: Rows, more: list[float]) -> None:
    label, score = rows
    asked = np.array([*score, *more])
    if np.diff(np.unique(score)).min(initial=1.0) < 1e-9:  # scikit-learn takes scores that are so near for equal
        return
    expected = IsotonicRegression(out_of_bounds="clip").fit(score, label).predict(asked)
    assert fit_isotonic(count(label, score)).apply(asked) == pytest.approx(expected, abs=1e-9)


def test_isotonic_of_many_rows() -> None:
    dice = np.random.default_rng(7)
    score = dice.random(50_000)
    label = (dice.random(50_000) < score**2).astype(float)
    found = fit_isotonic(count(label, score))
    assert found.apply(score) == pytest.approx(IsotonicRegression().fit(score, label).predict(score), abs=1e-9)
    assert len(found.scores) < 1_000
    after = binary_of(label, np.clip(found.apply(score), 0, 1)).probabilities
    before = binary_of(label, score).probabilities
    assert before is not None
    assert after is not None
    assert after.expected_calibration_error < 0.01 < 0.1 < before.expected_calibration_error


def test_platt_is_the_regression_on_platts_targets() -> None:
    dice = np.random.default_rng(8)
    score = np.round(dice.beta(2, 3, 4_000), 3).clip(0.001, 0.999)
    odds = np.log(score / (1 - score))
    label = (dice.random(4_000) < 1 / (1 + np.exp(-(0.6 * odds - 1)))).astype(float)
    high, low = (label.sum() + 1) / (label.sum() + 2), 1 / ((1 - label).sum() + 2)
    weight = np.where(label == 1, high, low)
    twice = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(
        np.tile(odds, 2)[:, None], np.repeat([1, 0], 4_000), np.concatenate([weight, 1 - weight])
    )
    found = fit_platt(count(label, score))
    assert (found.slope, found.offset) == pytest.approx((twice.coef_[0, 0], twice.intercept_[0]), abs=1e-5)
    assert (found.slope, found.offset) == pytest.approx((0.6, -1), abs=0.1)


def test_what_is_calibrated_already_hardly_changes() -> None:
    dice = np.random.default_rng(9)
    score = dice.random(100_000)
    found = fit_platt(count((dice.random(100_000) < score).astype(float), score))
    assert (found.slope, found.offset) == pytest.approx((1, 0), abs=0.03)
    assert Platt(1, 0).apply(score) == pytest.approx(score, abs=1e-12)


@given(scored())
def test_any_rows_give_probabilities_that_do_not_fall(rows: Rows) -> None:
    counted = count(*rows)
    asked = np.linspace(0, 1, 101)
    platt: Platt | Isotonic
    for platt in (fit_platt(counted), fit_isotonic(counted)):
        values = platt.apply(asked)
        assert ((values >= 0) & (values <= 1)).all()
        assert (np.diff(values) >= -1e-15).all()


def test_classes_far_apart_do_not_make_the_sigmoid_infinitely_steep() -> None:
    label = np.repeat([0.0, 1.0], 50)
    found = fit_platt(count(label, np.where(label == 1, 0.9, 0.1)))
    assert found.apply(np.array([0.1, 0.9])) == pytest.approx([1 / 52, 51 / 52], abs=1e-9)


def test_scores_that_point_the_wrong_way_tell_nothing() -> None:
    label = np.tile([0.0, 1.0], 100)
    found = fit_platt(count(label, np.where(label == 1, 0.2, 0.8)))
    assert found.slope == 0.0
    assert found.offset == pytest.approx(0.0, abs=1e-12)
    assert fit_isotonic(count(label, np.where(label == 1, 0.2, 0.8))).values == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize("score", [[], [0.5, 1.5], [-1.0, 0.5]])
def test_what_is_no_probability_is_refused(score: list[float]) -> None:
    counted = count(np.zeros(len(score)), np.array(score))
    for fit in (fit_platt, fit_isotonic):
        with pytest.raises(ValueError, match="probabilities"):
            fit(counted)
