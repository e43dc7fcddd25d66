"""Expected performance against outcomes drawn by the scores, against a sum over all pairs, and where it is refused."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from tidemill.stats.curves import ScoreBin
from tidemill.stats.expected import (
    estimate_mean,
    estimate_rmse,
    estimate_roc_auc,
    expected_roc_auc,
    hanley_mcneil,
)


def test_the_expectation_is_that_of_all_pairs_of_rows() -> None:
    p = np.array([0.1, 0.1, 0.3, 0.6, 0.9])
    wins = pairs = 0.0
    for i, one in enumerate(p):
        for j, other in enumerate(p):
            if i != j:
                pairs += one * (1 - other)
                wins += one * (1 - other) * (1.0 if one > other else 0.5 if one == other else 0.0)
    assert math.isclose(expected_roc_auc([2, 1, 1, 1], [0.1, 0.3, 0.6, 0.9]).estimate, wins / pairs)


def binned(score: NDArray[np.float64], label: NDArray[np.float64]) -> list[ScoreBin]:
    place = np.minimum((score * 2000).astype(int), 1999)
    totals, ones, rows = (np.bincount(place, w, 2000) for w in (score, label, np.ones(len(score))))
    return [ScoreBin(t, o, n - o) for t, o, n in zip(totals, ones, rows, strict=True) if n]


def drawn(seed: int, shift: float = 0.0, power: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(2 - 1.2 * (rng.standard_normal(40_000) + shift)))
    return score, (rng.random(40_000) < score**power).astype(np.float64)


@pytest.mark.parametrize("power", [1.0, 1.4])
def test_outcomes_that_follow_the_scores_are_foretold(power: float) -> None:
    """Scores need not be probabilities: those of rows with labels tell what they mean."""
    known, label = drawn(1, power=power)
    score, outcome = drawn(2, shift=0.7, power=power)
    bins = binned(score, outcome)
    rows = [b.positives + b.negatives for b in bins]
    means = [b.total / (b.positives + b.negatives) for b in bins]
    found = estimate_roc_auc(binned(known, label), rows, means, float(roc_auc_score(label, known)))
    assert found.value is not None
    assert abs(found.value.estimate - roc_auc_score(outcome, score)) < 0.02
    if power == 1.0:  # the interval is that of chance alone, and knows nothing of a curve that fits badly
        assert found.value.low < roc_auc_score(outcome, score) < found.value.high


def test_scores_without_meaning_are_refused() -> None:
    known, label = drawn(1)
    turned = 1 - label  # the better the score, the fewer outcomes: no rising curve makes that right
    found = estimate_roc_auc(binned(known, turned), [10], [0.5], float(roc_auc_score(turned, known)))
    assert found.value is None
    assert found.reason.startswith("refused: of rows with labels it would have been")
    steps = np.where(known < 0.12, 0.0, np.where(known < 0.2, 1.0, np.where(known < 0.4, 0.0, 1.0)))
    bent = estimate_roc_auc(binned(known, steps), [10], [0.5], 0.8)
    assert bent.value is None


def test_scores_beyond_those_of_rows_with_labels_are_refused() -> None:
    rng = np.random.default_rng(7)
    known = np.concatenate([rng.uniform(0.1, 0.25, 20_000), rng.uniform(0.3, 0.4, 20_000)])
    label = (rng.random(40_000) < known).astype(np.float64)
    bins, realised = binned(known, label), float(roc_auc_score(label, known))
    for rows, scores, beyond in (
        ([50, 50], [0.9, 0.99], 1.0),
        ([80, 20], [0.2, 0.275], 0.2),
        ([80, 20], [0.2, 0.05], 0.2),
    ):
        found = estimate_roc_auc(bins, rows, scores, realised)
        assert found.value is None
        assert found.reason == f"refused: {beyond:.0%} of the scores are such as no row with a label had"
    assert estimate_roc_auc(bins, [95, 5], [0.2, 0.9], realised).value is not None


def test_the_interval_of_an_rmse_is_wide_where_either_side_has_few_rows() -> None:
    def width(known: int, scored: int) -> float:
        value = estimate_rmse([known], [4.0 * known], [scored]).value
        assert value is not None
        return value.high - value.low

    assert width(10_000, 100) > 0.9 * width(10**9, 100)
    assert math.isclose(width(100, 10_000), width(10_000, 100))
    assert width(10_000, 10_000) < 0.2 * width(10_000, 100)


def test_hanley_and_mcneil_are_near_delong() -> None:
    score, label = drawn(5)
    auc = float(roc_auc_score(label, score))
    exact = roc_auc_variance_of(score, label)
    assert math.isclose(hanley_mcneil(auc, label.sum(), (1 - label).sum()), exact, rel_tol=0.25)
    assert hanley_mcneil(0.7, 0, 5) == 0.0


def roc_auc_variance_of(score: NDArray[np.float64], label: NDArray[np.float64]) -> float:
    from tidemill.stats.binary import binary_of

    found = binary_of(label, score).ranking.roc_auc_variance
    assert found is not None
    return found


def test_errors_are_expected_as_large_as_they_were() -> None:
    found = estimate_rmse([100, 100, 0], [100.0, 400.0, 0.0], [0, 50, 0])
    assert found.value is not None
    assert found.value.estimate == 2.0
    assert found.value.low < 2.0 < found.value.high
    refused = estimate_rmse([100, 100, 0], [100.0, 400.0, 0.0], [10, 10, 20])
    assert refused.value is None
    assert refused.reason == "refused: 50% of the scores are such as no row with a label had"


def test_losses_are_expected_as_large_as_they_were() -> None:
    found = estimate_mean([100, 100, 0], [50.0, 200.0, 0.0], [30.0, 500.0, 0.0], [25, 75, 0])
    assert found.value is not None
    # Means of 0.5 and 2; squared deviations of 0.05 and 1; shares of 1 and 3 quarters.
    half = 1.959964 * math.sqrt(0.05 / 1600 + 9 / 1600 + (0.05 + 3) / 400)
    assert found.value.estimate == pytest.approx(0.25 * 0.5 + 0.75 * 2)
    assert (found.value.low, found.value.high) == pytest.approx((1.625 - half, 1.625 + half))
    refused = estimate_mean([100, 0], [50.0, 0.0], [30.0, 0.0], [10, 10])
    assert refused.value is None
    assert refused.reason == "refused: 50% of the scores are such as no row with a label had"


def test_the_interval_of_expected_losses_holds_what_comes() -> None:
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        bins, now = rng.integers(4, size=500), rng.integers(1, 4, size=300)
        losses, coming = rng.exponential(0.2 + bins), rng.exponential(0.2 + now)
        rows, totals, squares = (np.bincount(bins, weights, 4) for weights in (np.ones(500), losses, losses**2))
        value = estimate_mean(rows, totals, squares, np.bincount(now, minlength=4)).value
        assert value is not None
        inside += value.low <= coming.mean() <= value.high
    assert 180 <= inside <= 199  # 190 expected
