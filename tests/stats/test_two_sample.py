"""Telling two samples apart: against scikit-learn, and quiet where there is nothing to tell."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tidemill.stats.two_sample import folds_of, separation


def test_every_fold_has_its_share_of_each_side() -> None:
    side = np.array([0] * 7 + [1] * 11)
    fold = folds_of(side, 3)
    assert [[int(((side == s) & (fold == f)).sum()) for f in range(3)] for s in (0, 1)] == [[3, 2, 2], [4, 4, 3]]


def test_the_mean_of_the_folds_is_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    side = np.repeat([0, 1], 200)
    score = rng.standard_normal(400) + side
    fold = folds_of(side, 4)
    found = separation(side, score, fold)
    expected = np.mean([roc_auc_score(side[fold == f], score[fold == f]) for f in range(4)])
    assert found.estimate == pytest.approx(expected, abs=1e-12)
    assert found.low < found.estimate < found.high


def test_the_interval_holds_a_half_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    side = np.repeat([0, 1], 150)
    fold = folds_of(side, 5)
    found = [separation(side, rng.standard_normal(300), fold) for _ in range(400)]
    assert 0.92 <= np.mean([one.low <= 0.5 <= one.high for one in found]) <= 0.98


def test_a_fold_without_a_side_is_refused() -> None:
    with pytest.raises(ValueError, match="the fold 1 lacks rows of a side"):
        separation(np.array([0, 1, 0, 1, 0, 0]), np.arange(6.0), np.array([0, 0, 0, 0, 1, 1]))
