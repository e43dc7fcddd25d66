"""Every metric of a binary score against scikit-learn, whole and from parts."""

import dataclasses
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.calibration import calibration_curve
from stats.scored import ANY, Rows, assert_same, scored
from tidemill.stats.binary import binary, binary_of, binary_sums, merge_binary_sums
from tidemill.stats.counted import Counted, Totals, count
from tidemill.stats.ranking import roc_auc

NEAR = 1e-9


def _order(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """The same order and ties, without the infinities that scikit-learn refuses."""
    return np.unique(score, return_inverse=True)[1]


@given(scored(ANY), st.sampled_from([0.5, 0.3, -1.0, float("inf")]))
def test_ranking_and_decisions(rows: Rows, threshold: float) -> None:
    label, score = rows
    found = binary_of(label, score, threshold)
    order, decided = _order(score), (score >= threshold).astype(float)
    ranking, confusion = found.ranking, found.confusion
    if len(set(label)) == 2:
        assert ranking.roc_auc == pytest.approx(metrics.roc_auc_score(label, order), abs=NEAR)
        false, true, _ = metrics.roc_curve(label, order, drop_intermediate=False)
        assert ranking.ks == pytest.approx(np.abs(true - false).max(), abs=NEAR)
    else:
        assert (ranking.roc_auc, ranking.ks, ranking.roc_auc_variance) == (None, None, None)
    if label.any():
        assert ranking.average_precision == pytest.approx(metrics.average_precision_score(label, order), abs=NEAR)
    else:
        assert ranking.average_precision is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert confusion.accuracy == pytest.approx(metrics.accuracy_score(label, decided), abs=NEAR)
        assert confusion.precision == pytest.approx(metrics.precision_score(label, decided, zero_division=0), abs=NEAR)
        assert confusion.recall == pytest.approx(metrics.recall_score(label, decided, zero_division=0), abs=NEAR)
        for beta in (0.5, 1, 2):
            expected = metrics.fbeta_score(label, decided, beta=beta, zero_division=0)
            assert confusion.f_beta(beta) == pytest.approx(expected, abs=NEAR)
    table = metrics.confusion_matrix(label, decided, labels=[0, 1])
    assert dataclasses.astuple(confusion) == (table[1, 1], table[0, 1], table[1, 0], table[0, 0])
    assert confusion.majority_rate == max(np.mean(label == 1), np.mean(label == 0))


@given(scored())
def test_probabilities(rows: Rows) -> None:
    label, score = rows
    found = binary_of(label, score).probabilities
    assert found is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found.log_loss == pytest.approx(metrics.log_loss(label, score, labels=[0, 1]), abs=NEAR)
        assert found.brier == pytest.approx(metrics.brier_score_loss(label, score, pos_label=1), abs=NEAR)
        observed, predicted = calibration_curve(label, score, n_bins=10)
    held = [b for b in found.calibration if b.rows]
    assert [b.positive_rate for b in held] == pytest.approx(observed.tolist(), abs=NEAR)
    assert [b.mean_score for b in held] == pytest.approx(predicted.tolist(), abs=NEAR)
    gaps = [b.rows * abs(o - p) for b, o, p in zip(held, observed, predicted, strict=True)]
    assert found.expected_calibration_error == pytest.approx(sum(gaps) / len(label), abs=NEAR)


@given(scored(ANY))
def test_lift_is_the_mean_over_all_orders_of_equal_rows(rows: Rows) -> None:
    label, score = rows
    found = binary_of(label, score)
    # Every row gets the share of positives among the rows of its score: the mean over their orders.
    shares = np.array([label[score == s].mean() for s in np.sort(score)[::-1]])
    for item in found.lift:
        assert item.positives == pytest.approx(shares[: item.rows].sum(), abs=NEAR)
        assert item.precision == pytest.approx(shares[: item.rows].mean(), abs=NEAR)
        if label.any():
            assert item.recall == pytest.approx(shares[: item.rows].sum() / label.sum(), abs=NEAR)
            assert item.lift == pytest.approx(shares[: item.rows].mean() / label.mean(), abs=NEAR)
    assert found.lift[-1].rows == len(label)


@given(scored(ANY, least=4))
def test_variance_is_that_of_the_placements(rows: Rows) -> None:
    label, score = rows
    found = binary_of(label, score).ranking.roc_auc_variance
    positives, negatives = score[label == 1], score[label == 0]
    if min(len(positives), len(negatives)) < 2:
        assert found is None
        return
    wins = (positives[:, None] > negatives[None, :]) + 0.5 * (positives[:, None] == negatives[None, :])
    expected = wins.mean(axis=1).var(ddof=1) / len(positives) + wins.mean(axis=0).var(ddof=1) / len(negatives)
    assert found == pytest.approx(expected, abs=1e-12)


@given(scored(ANY), st.sets(st.integers(0, 60)))
def test_parts_make_the_whole(rows: Rows, cuts: set[int]) -> None:
    whole = count(*rows)
    total = whole.totals
    ends = [0, *sorted(c for c in cuts if c < len(whole.scores)), len(whole.scores)]
    parts = []
    for a, b in pairwise(ends):
        part = Counted(whole.scores[a:b], whole.positives[a:b], whole.negatives[a:b])
        above = Totals(int(whole.positives[b:].sum()), int(whole.negatives[b:].sum()))
        parts.append(binary_sums(part, above, total, 0.5))
    assert_same(binary(merge_binary_sums(parts), total, 0.5), binary_of(*rows))


def test_a_large_random_case() -> None:
    dice = np.random.default_rng(3)
    score = np.round(dice.beta(2, 5, 20_000), 4)
    label = (dice.random(20_000) < score).astype(float)
    found = binary_of(label, score)
    assert found.ranking.roc_auc == pytest.approx(metrics.roc_auc_score(label, score), abs=1e-12)
    assert found.ranking.average_precision == pytest.approx(metrics.average_precision_score(label, score), abs=1e-12)
    assert found.probabilities is not None
    assert found.probabilities.log_loss == pytest.approx(metrics.log_loss(label, score), abs=1e-12)
    assert found.probabilities.expected_calibration_error < 0.02


def test_scores_that_are_no_probabilities_are_only_ranked() -> None:
    found = binary_of(np.array([0, 1, 1]), np.array([-3.0, 2.0, 7.0]))
    assert found.probabilities is None
    assert found.ranking.roc_auc == 1.0


@pytest.mark.parametrize(
    ("label", "score"), [([0, 2], [0.1, 0.2]), ([0, np.nan], [0.1, 0.2]), ([0, 1], [0.1, np.nan]), ([0], [0.1, 0.2])]
)
def test_what_cannot_be_judged_is_refused(label: list[float], score: list[float]) -> None:
    with pytest.raises(ValueError, match="label"):
        binary_of(np.array(label), np.array(score))


@given(scored(ANY))
def test_counting_is_that_of_numpy(rows: Rows) -> None:
    label, score = rows
    found = count(label, score)
    scores, place = np.unique(score, return_inverse=True)
    assert np.array_equal(found.scores, scores)
    assert found.positives.tolist() == np.bincount(place, weights=label, minlength=len(scores)).tolist()
    assert found.negatives.tolist() == np.bincount(place, weights=1 - label, minlength=len(scores)).tolist()


def test_zeros_of_either_sign_are_one_score() -> None:
    assert count(np.array([1, 0]), np.array([-0.0, 0.0])).scores.tolist() == [0.0]
    assert roc_auc(np.array([1, 0]), np.array([-0.0, 0.0])) == 0.5
