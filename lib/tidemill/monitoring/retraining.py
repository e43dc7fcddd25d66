"""Whether to retrain, with reasons. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tidemill.models.specs import better
from tidemill.monitoring.drift import ALERT

Action = Literal["none", "retrain"]
NONE: Action = "none"
RETRAIN: Action = "retrain"


@dataclass(frozen=True)
class Signals:
    """What the decision looks at.

    Args:
        drift: the verdict over all features.
        metric: the primary metric.
        realised: its value on matured labels of scored rows, or None before any.
        baseline: that of the one-feature baseline on the same rows, or None.
        promised: the champion's value on its gate rows.
        new_times: as-of times that matured since the model was trained.
    """

    drift: str
    metric: str
    realised: float | None
    baseline: float | None
    promised: float
    new_times: int


@dataclass(frozen=True)
class Decision:
    """An action, `none` or `retrain`, and its reasons."""

    action: Action
    reasons: tuple[str, ...]


def decide(signals: Signals) -> Decision:
    """Advises retraining on new labels, on drift, or where the model no longer beats its baseline."""
    reasons = []
    if signals.drift == ALERT:
        reasons.append("the scored population has drifted from the training rows")
    realised, baseline = signals.realised, signals.baseline
    if realised is not None and baseline is not None and better(signals.metric, baseline, realised):
        reasons.append("one feature alone did better than the model on labels that have matured since")
    if signals.new_times:
        reasons.append(f"labels of {signals.new_times} as-of time(s) have matured since it was trained")
    if reasons:
        return Decision(RETRAIN, tuple(reasons))
    return Decision(NONE, ("no drift alert, no loss of performance and no new labels",))
