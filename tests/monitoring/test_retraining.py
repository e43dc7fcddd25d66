"""The policy: each trigger alone, each brake alone, every reason said."""

from dataclasses import replace
from typing import Any

import pytest
from tidemill.core.config_monitor import Retraining
from tidemill.monitoring.retraining import Decision, Signals, decide

QUIET = Signals(("ok", "ok", "ok"), 0.0, "roc_auc", None, None, None, 0.8, 0, 10.0, (10.0, 40.0))
POLICY = Retraining(
    mode="advise", every_days=30, drift_of=2, drift_in=3, least_importance=0.2, worse_than_promised=0.1,
    new_times=2, cool_down_days=7, budget_days=60, budget=3, promote=True,
)  # fmt: skip


def test_nothing_fires_on_a_quiet_day() -> None:
    assert decide(QUIET, POLICY) == Decision("none", ("no drift alert, no loss of performance and no new labels",))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"age": 31.0}, "the model is 31 days old, and is trained every 30"),
        (
            {"drift": ("alert", "ok", "alert"), "drifted": 0.5},
            "the scored population has drifted in 2 of the last 3 decisions: 50% of the importance is in alert",
        ),
        ({"realised": 0.79, "baseline": 0.795}, "one feature alone did better than the model on matured labels"),
        ({"realised": 0.74}, "the realised roc_auc of 0.74 is 20% worse than the gate promised"),
        # what an earlier version reached is held against what that one had promised
        (
            {"realised": 0.78, "promised_then": 0.9},
            "the realised roc_auc of 0.78 is 30% worse than the gate promised",
        ),
        ({"expected": 0.71}, "the expected roc_auc of 0.71 is 30% worse than the gate promised"),
        ({"new_times": 2}, "labels of 2 as-of time(s) have matured since it was trained"),
    ],
)  # fmt: skip
def test_each_trigger(changed: dict[str, Any], reason: str) -> None:
    fired = replace(QUIET, **changed)
    assert decide(fired, POLICY) == Decision("retrain_and_promote", (reason,))
    assert decide(fired, POLICY.model_copy(update={"promote": False})).action == "retrain"


@pytest.mark.parametrize(
    "changed",
    [
        {"drift": ("alert", "ok", "ok"), "drifted": 0.5},
        {"drift": ("alert", "alert", "ok", "ok", "alert"), "drifted": 0.5},
        {"drift": ("alert", "alert", "alert"), "drifted": 0.1},
        {"realised": 0.78, "baseline": 0.7},
        {"realised": 0.74, "promised_then": 0.75},
        {"new_times": 1},
    ],
)
def test_what_is_not_enough(changed: dict[str, Any]) -> None:
    assert decide(replace(QUIET, **changed), POLICY).action == "none"


@pytest.mark.parametrize(
    ("trained", "brake"),
    [
        ((5.0,), "but the last training is 5 days old, and 7 lie between two"),
        ((10.0, 20.0, 59.0), "but 3 trainings in 60 days are all that is allowed"),
    ],
)
def test_each_brake_holds_what_fired_and_says_both(trained: tuple[float, ...], brake: str) -> None:
    found = decide(replace(QUIET, new_times=4, trained=trained), POLICY)
    assert found.action == "none"
    assert found.reasons == ("labels of 4 as-of time(s) have matured since it was trained", brake)


@pytest.mark.parametrize(
    ("unlearnt", "least", "had"), [(0, 1, "no new as-of time"), (1, 2, "only 1 new as-of time(s)")]
)
def test_too_few_new_labels_are_a_brake(unlearnt: int, least: int, had: str) -> None:
    fired = replace(QUIET, age=31.0, unlearnt=unlearnt)
    policy = POLICY.model_copy(update={"least_new_times": least})
    brake = f"but labels of {had} have matured since the last training, and {least} are needed"
    assert decide(fired, policy) == Decision("none", ("the model is 31 days old, and is trained every 30", brake))
    assert decide(replace(fired, unlearnt=least), policy).action == "retrain_and_promote"
    assert decide(fired, policy.model_copy(update={"least_new_times": 0})).action == "retrain_and_promote"


def test_a_regression_falls_short_upwards() -> None:
    worse = replace(QUIET, metric="rmse", promised=10.0, realised=11.5)
    assert decide(worse, POLICY).reasons == ("the realised rmse of 11.5 is 15% worse than the gate promised",)
    assert decide(replace(worse, realised=9.0), POLICY).action == "none"


def test_triggers_can_be_left_out() -> None:
    bare = POLICY.model_copy(update={"every_days": None, "worse_than_promised": None, "new_times": None})
    assert decide(replace(QUIET, age=900.0, realised=0.5, new_times=9), bare).action == "none"
