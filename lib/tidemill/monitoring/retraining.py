"""Whether to retrain, by declared triggers and brakes, with reasons. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tidemill.models.specs import better, shortfall
from tidemill.monitoring.drift import ALERT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.core.config_monitor import Retraining

Action = Literal["none", "retrain", "retrain_and_promote"]
NONE: Action = "none"
RETRAIN: Action = "retrain"
PROMOTE: Action = "retrain_and_promote"


@dataclass(frozen=True)
class Signals:
    """What the decision looks at.

    Args:
        drift: the verdict over all features, of the last decisions, the newest last.
        drifted: the share of the model's importance that is in alert now.
        metric: the primary metric.
        realised: its value on matured labels of scored rows, or None before any.
        expected: its value as estimated before labels, or None.
        baseline: that of the one-feature baseline on the rows with labels, or None.
        promised: the champion's value on its gate rows.
        new_times: as-of times that matured since the model was trained.
        age: days since the model was trained.
        trained: days since each training, of any version.
        promised_then: that of the model whose scores were realised, which may be an earlier one; None for the champion.
        unlearnt: as-of times with matured labels that the newest training, of any version, has not learnt from; None
            where nothing was trained.
    """

    drift: Sequence[str]
    drifted: float
    metric: str
    realised: float | None
    expected: float | None
    baseline: float | None
    promised: float
    new_times: int
    age: float
    trained: Sequence[float] = ()
    promised_then: float | None = None
    unlearnt: int | None = None


@dataclass(frozen=True)
class Decision:
    """What to do, and why: the triggers that fired and the brake that stopped them, if one did."""

    action: Action
    reasons: tuple[str, ...]


def decide(signals: Signals, policy: Retraining) -> Decision:
    """Retrains where a trigger fires and no brake holds; promotion, where allowed, still goes through the gate."""
    fired = tuple(_triggers(signals, policy))
    if not fired:
        return Decision(NONE, ("no drift alert, no loss of performance and no new labels",))
    held = tuple(_brakes(signals, policy))
    if held:
        return Decision(NONE, (*fired, *held))
    return Decision(PROMOTE if policy.promote else RETRAIN, fired)


def _triggers(signals: Signals, policy: Retraining) -> list[str]:
    found = []
    if policy.every_days is not None and signals.age >= policy.every_days:
        found.append(f"the model is {signals.age:.0f} days old, and is trained every {policy.every_days}")
    alerts = sum(1 for verdict in signals.drift[-policy.drift_in :] if verdict == ALERT)
    if alerts >= policy.drift_of and signals.drifted >= policy.least_importance:
        times = "" if policy.drift_of == 1 else f" in {alerts} of the last {policy.drift_in} decisions"
        found.append(f"the scored population has drifted{times}: {signals.drifted:.0%} of the importance is in alert")
    realised, baseline = signals.realised, signals.baseline
    if realised is not None and baseline is not None and better(signals.metric, baseline, realised):
        found.append("one feature alone did better than the model on matured labels")
    then = signals.promised if signals.promised_then is None else signals.promised_then
    for name, value, promised in (("realised", realised, then), ("expected", signals.expected, signals.promised)):
        short = None if value is None else shortfall(signals.metric, promised, value)
        if policy.worse_than_promised is not None and short is not None and short > policy.worse_than_promised:
            found.append(f"the {name} {signals.metric} of {value:.4g} is {short:.0%} worse than the gate promised")
    if policy.new_times is not None and signals.new_times >= policy.new_times:
        found.append(f"labels of {signals.new_times} as-of time(s) have matured since it was trained")
    return found


def _brakes(signals: Signals, policy: Retraining) -> list[str]:
    found = []
    if signals.unlearnt is not None and signals.unlearnt < policy.least_new_times:
        had = "no new as-of time" if signals.unlearnt == 0 else f"only {signals.unlearnt} new as-of time(s)"
        found.append(
            f"but labels of {had} have matured since the last training, and {policy.least_new_times} are needed"
        )
    newest = min(signals.trained, default=None)
    if newest is not None and newest < policy.cool_down_days:
        found.append(f"but the last training is {newest:.0f} days old, and {policy.cool_down_days} lie between two")
    spent = sum(1 for days in signals.trained if days < policy.budget_days)
    if spent >= policy.budget:
        found.append(f"but {spent} trainings in {policy.budget_days} days are all that is allowed")
    return found
