"""Promotion: strictly better than the baseline and the champion, with reasons; and who was champion when."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tidemill.core.errors import TidemillError
from tidemill.models.promotion import Evidence, champion_at, decide
from tidemill.models.specs import GradientBoosting, ModelSpec


@pytest.mark.parametrize(
    ("metric", "challenger", "baseline", "champion", "decision"),
    [
        ("roc_auc", 0.80, 0.70, None, "promote"),
        ("roc_auc", 0.70, 0.70, None, "keep"),
        ("roc_auc", 0.69, 0.70, None, "keep"),
        ("roc_auc", 0.80, 0.70, 0.79, "promote"),
        ("roc_auc", 0.80, 0.70, 0.80, "keep"),
        ("roc_auc", 0.80, 0.70, 0.81, "keep"),
        ("roc_auc", 0.80, 0.85, 0.79, "keep"),
        ("rmse", 1.0, 2.0, None, "promote"),
        ("rmse", 2.0, 2.0, None, "keep"),
        ("rmse", 1.0, 2.0, 1.5, "promote"),
        ("rmse", 1.5, 2.0, 1.0, "keep"),
        ("roc_auc", float("nan"), 0.5, None, "keep"),
        ("rmse", float("nan"), 0.5, None, "keep"),
    ],
)
def test_who_is_promoted(
    metric: str, challenger: float, baseline: float, champion: float | None, decision: str
) -> None:
    assert decide(Evidence(metric, challenger, baseline, champion)).decision == decision


def test_a_decision_says_why() -> None:
    assert decide(Evidence("roc_auc", 0.8, 0.7, None)).reasons == (
        "roc_auc 0.8000 beats the one-feature baseline's 0.7000",
        "there is no champion yet",
    )
    assert decide(Evidence("rmse", 1.5, 2.0, 1.0)).reasons == (
        "rmse 1.5000 beats the one-feature baseline's 2.0000",
        "rmse 1.5000 does not beat the champion's 1.0000 on the same rows",
    )


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


def row(version: str, as_of: int, decided: int, **others: Any) -> dict[str, Any]:
    facts = {"use_case": "churn", "decision": "promote", **others}
    return {"challenger_version": version, "as_of": day(as_of), "decided_at": day(decided), **facts}


def test_the_champion_is_that_of_the_newest_promotion_up_to_a_moment() -> None:
    ledger = [
        row("3", 20, 25),
        row("1", 5, 6),
        row("4", 10, 30),  # an older as-of time, decided last
        row("2", 10, 11),
        row("5", 25, 26, decision="keep"),
        row("9", 1, 2, use_case="other"),
    ]
    assert [champion_at(ledger, "churn", day(n)) for n in (4, 5, 9, 10, 19, 20, 31)] == [
        None,
        "1",
        "1",
        "4",
        "4",
        "3",
        "3",
    ]
    assert champion_at([], "churn", day(1)) is None


def test_candidates_are_every_combination() -> None:
    spec = GradientBoosting(maxIter=5, grid={"maxDepth": (2, 3), "stepSize": (0.1,)})
    assert spec.candidates() == (
        {"maxIter": 5, "maxDepth": 2, "stepSize": 0.1},
        {"maxIter": 5, "maxDepth": 3, "stepSize": 0.1},
    )
    assert GradientBoosting().candidates() == ({},)
    with pytest.raises(TidemillError) as caught:
        ModelSpec("gtb")
    assert (caught.value.code, caught.value.exit_code) == ("E_FAMILY", 78)
    assert "did you mean 'gbt'?" in caught.value.next_step
