"""How models age: which times are trained at, and what is concluded from what they reached; without Spark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tidemill.models.backtest import Aged, conclusion, cutoffs, losses

if TYPE_CHECKING:
    from collections.abc import Mapping

DAYS = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=10 * n) for n in range(6)]


def test_a_model_is_trained_on_what_was_mature_then() -> None:
    found = cutoffs(DAYS, timedelta(days=15), 10)
    assert found == {DAYS[2]: (DAYS[0],), DAYS[3]: tuple(DAYS[:2]), DAYS[4]: tuple(DAYS[:3]), DAYS[5]: tuple(DAYS[:4])}
    assert list(cutoffs(DAYS, timedelta(days=15), 2)) == DAYS[4:]
    assert cutoffs(DAYS[:2], timedelta(days=15), 2) == {}


def aged(values: Mapping[tuple[int, int], float | None]) -> list[Aged]:
    return [Aged(trained, at, at - trained, 50, value) for (trained, at), value in values.items()]


def test_a_loss_is_measured_on_the_same_rows() -> None:
    """Times differ much more than ages do: 0.1 of ROC AUC from one to the next, and 0.02 from fresh to old."""
    month = [0.9, 0.6, 0.8, 0.7, 0.65]
    values = {(t, e): month[e] - 0.02 * (e - t) - 0.001 * (e % 2) * (e > t) for t in range(5) for e in range(t, 5)}
    found = losses(aged(values), "roc_auc")
    assert [loss.age for loss in found] == [0, 1, 2, 3, 4]
    assert [loss.times for loss in found] == [5, 4, 3, 2, 1]
    assert (found[0].loss, found[0].error, found[0].clear) == (0.0, None, False)
    assert found[1].loss == pytest.approx(0.0205)
    assert found[1].error == pytest.approx(0.00028867513459481)  # of 0.021, 0.020, 0.021, 0.020
    assert found[1].clear
    assert found[1].value == pytest.approx((0.6 + 0.8 + 0.7 + 0.65) / 4 - 0.0205)
    assert found[1].fresh == pytest.approx((0.6 + 0.8 + 0.7 + 0.65) / 4)
    assert (found[3].error, found[3].clear) == (None, False)  # of two times nothing is clear
    assert conclusion(found, "roc_auc") == (
        "from an age of 1 grid step(s) on a model does clearly worse than a fresh one: roc_auc 0.6670 beside 0.6875 "
        "over 4 times"
    )


def test_a_lower_error_is_the_better_one() -> None:
    values = {(t, e): 10.0 + (e - t) + 0.1 * (e % 2) for t in range(4) for e in range(t, 4)}
    values |= {(t, t): 10.0 for t in range(4)}
    assert [loss.loss for loss in losses(aged(values), "rmse")][:2] == [0.0, pytest.approx(1.0 + 0.2 / 3)]


def test_what_cannot_be_judged_is_left_out() -> None:
    values: dict[tuple[int, int], float | None] = {(0, 0): 0.7, (0, 1): 0.6, (1, 1): None, (0, 2): None, (2, 2): 0.8}
    found = losses(aged(values), "roc_auc")
    assert [(loss.age, loss.times) for loss in found] == [(0, 2)]
    assert conclusion(found, "roc_auc").startswith("there is only one time to judge at")


def test_chance_is_not_taken_for_age() -> None:
    values = {(t, e): 0.7 + (0.05 if (t * 7 + e * 3) % 2 else -0.05) for t in range(6) for e in range(t, 6)}
    assert conclusion(losses(aged(values), "roc_auc"), "roc_auc") == (
        "no model up to 5 grid step(s) old does clearly worse than a fresh one"
    )
