"""The sentences of the report."""

import math

import pytest
from tidemill.pages.values import RMSE, ROC_AUC, Balance, Candidate, DriftRow, PerformancePoint, Verdict
from tidemill.pages.wording import balance_sentence, candidates_sentence, drift_sentence, performance_sentence


def drift(feature: str, value: float | None, verdict: Verdict = "ok") -> DriftRow:
    return DriftRow(feature, value, verdict)


@pytest.mark.parametrize(
    ("value", "baseline", "told"),
    [
        (0.75, 0.70, "0.050 better than the baseline (0.7000)."),
        (0.65, 0.70, "0.050 worse than the baseline (0.7000)."),
        (0.70, 0.70, "the same as the baseline."),
        (0.70, None, "with no figure of the baseline to compare it with."),
        (0.70, math.nan, "with no figure of the baseline to compare it with."),
    ],
)
def test_performance_sentence(value: float, baseline: float | None, told: str) -> None:
    points = [PerformancePoint("2011-10-01", 5, value, baseline), PerformancePoint("2011-11-01", 5, None)]
    start = f"The newest scores with known outcomes are those of 2011-10-01: ROC AUC {value:.4f} on 5 rows, "
    assert performance_sentence(points, ROC_AUC) == start + told


def test_candidates_sentence_compares_with_the_best_baseline() -> None:
    baselines = (Candidate("Mean", "", None, 9.0, baseline=True), Candidate("Last", "", None, 8.0, baseline=True))
    chosen = Candidate("Linear", "", None, 8.5, chosen=True)
    assert candidates_sentence((chosen, *baselines), RMSE) == (
        "Chosen out of 3 candidates: Linear, with RMSE 8.500 on the gate rows, "
        "0.50 worse than the best baseline (8.000)."
    )
    assert candidates_sentence(baselines, RMSE) == "2 candidates were tried and none was chosen."


def test_drift_sentence() -> None:
    assert drift_sentence([drift("a", 0.1)]) == "None of 1 feature moved noticeably."
    rows = [drift("a", 0.1), drift("b", 0.2, "warn"), drift("c", None, "insufficient"), drift("d", 1.0, "alert")]
    assert drift_sentence(rows) == ("Of 4 features: 1 with an alert, 1 with a warning, 1 without enough data, 1 fine.")


@pytest.mark.parametrize(
    ("balance", "told"),
    [
        (Balance(1000, 900, 90, 10), "It adds up; 9\u00a0% of the rows were set aside."),
        (Balance(0, 0, 0, 0), "It adds up; none of the rows were set aside."),
        (Balance(10, 8, 1, 0), "This does not add up: 1 row unaccounted for."),
        (Balance(10, 8, 4, 1), "This does not add up: 3 rows too many."),
    ],
)
def test_balance_sentence(balance: Balance, told: str) -> None:
    assert balance_sentence(balance).endswith(told)
