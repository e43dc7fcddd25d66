"""Intervals with a formula: against other implementations, by their limits, and by how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from stats.scored import ANY, Rows, scored
from tidemill.stats.binary import binary_of
from tidemill.stats.delong import paired_auc
from tidemill.stats.intervals import difference, roc_auc_interval, wilson
from tidemill.stats.ranking import roc_auc


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_that_of_scipy(rows: int, share: float, confidence: float) -> None:
    successes = round(rows * share)
    found = wilson(successes, rows, confidence)
    expected = binomtest(successes, rows).proportion_ci(confidence, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


@given(scored(ANY, least=6), st.integers(0, 2**32 - 1))
def test_the_paired_variance_is_that_of_all_pairs(rows: Rows, seed: int) -> None:
    label, one = rows
    if min(label.sum(), (1 - label).sum()) < 2:
        with pytest.raises(ValueError, match="two rows"):
            paired_auc(label, one, one)
        return
    other = np.round(np.random.default_rng(seed).random(len(label)), 1)
    found = paired_auc(label, one, other)
    assert (found.one, found.other) == pytest.approx((roc_auc(label, one), roc_auc(label, other)), abs=1e-12)
    wins = [_wins(label, one), _wins(label, other)]
    between = wins[0] - wins[1]
    positives, negatives = between.shape
    expected = between.mean(axis=1).var(ddof=1) / positives + between.mean(axis=0).var(ddof=1) / negatives
    assert found.variance == pytest.approx(expected, abs=1e-12)
    assert paired_auc(label, one, one).variance == 0


def _wins(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    positives, negatives = score[label == 1][:, None], score[label == 0][None, :]
    return np.where(positives > negatives, 1.0, np.where(positives == negatives, 0.5, 0.0))


def test_an_interval_of_roc_auc_lies_within_0_and_1() -> None:
    found = roc_auc_interval(0.99, 0.01)
    assert 0 < found.low < 0.99 < found.high < 1
    assert roc_auc_interval(1.0, 0.0).low == 1.0
    wide, narrow = roc_auc_interval(0.7, 4e-4, 0.99), roc_auc_interval(0.7, 4e-4, 0.8)
    assert wide.low < narrow.low < 0.7 < narrow.high < wide.high
    assert (narrow.low, narrow.high) == pytest.approx((0.6738, 0.7250), abs=1e-4)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    dice = np.random.default_rng(21)
    truth, runs = 0.760250, 400  # of normal scores one standard deviation apart: the normal distribution at 1 / sqrt 2
    alone = paired = unpaired = 0
    for _ in range(runs):
        label = np.repeat([0.0, 1.0], [120, 80])
        common = dice.normal(size=200)
        one, other = (label + 0.8 * common + 0.6 * dice.normal(size=200) for _ in range(2))
        ranking = binary_of(label, one).ranking
        assert ranking.roc_auc is not None
        assert ranking.roc_auc_variance is not None
        interval = roc_auc_interval(ranking.roc_auc, ranking.roc_auc_variance)
        alone += interval.low <= truth <= interval.high
        both = paired_auc(label, one, other)
        within = difference(both.one, both.other, both.variance)
        paired += within.low <= 0 <= within.high
        independent = binary_of(label, label + dice.normal(size=200)).ranking
        assert independent.roc_auc is not None
        assert independent.roc_auc_variance is not None
        apart = difference(
            ranking.roc_auc, independent.roc_auc, ranking.roc_auc_variance + independent.roc_auc_variance
        )
        unpaired += apart.low <= 0 <= apart.high
        assert within.high - within.low < apart.high - apart.low  # what both scores share, pairing takes out
    for held in (alone, paired, unpaired):
        assert 0.92 <= held / runs <= 0.98
