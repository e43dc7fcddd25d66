"""Promotion: whether a challenger takes the champion's place, decided on the same rows, with reasons. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.models.specs import better

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

PROMOTE, KEEP = "promote", "keep"


@dataclass(frozen=True)
class Evidence:
    """The values of one metric on the gate rows.

    Args:
        metric: the primary metric.
        challenger: of the challenger's gate fit.
        baseline: of the one-feature baseline.
        champion: of the champion, or None where there is none.
    """

    metric: str
    challenger: float
    baseline: float
    champion: float | None


@dataclass(frozen=True)
class Decision:
    """What is decided, and why."""

    decision: str
    reasons: tuple[str, ...]


def decide(evidence: Evidence) -> Decision:
    """Promotes a challenger that beats the one-feature baseline and, where there is one, the champion; strictly."""
    reasons = []
    name = evidence.metric
    beats_baseline = better(name, evidence.challenger, evidence.baseline)
    verb = "beats" if beats_baseline else "does not beat"
    reasons.append(f"{name} {evidence.challenger:.4f} {verb} the one-feature baseline's {evidence.baseline:.4f}")
    if evidence.champion is None:
        reasons.append("there is no champion yet")
        return Decision(PROMOTE if beats_baseline else KEEP, tuple(reasons))
    beats_champion = better(name, evidence.challenger, evidence.champion)
    verb = "beats" if beats_champion else "does not beat"
    reasons.append(f"{name} {evidence.challenger:.4f} {verb} the champion's {evidence.champion:.4f} on the same rows")
    return Decision(PROMOTE if beats_baseline and beats_champion else KEEP, tuple(reasons))


def champion_at(promotions: Iterable[dict[str, Any]], use_case: str, at: datetime) -> str | None:
    """The version that is champion at a moment: that of the newest promotion with an as-of time up to it."""
    made = [p for p in promotions if p["use_case"] == use_case and p["decision"] == PROMOTE and p["as_of"] <= at]
    newest = max(made, key=lambda p: (p["as_of"], p["decided_at"]), default=None)
    return None if newest is None else str(newest["challenger_version"])
