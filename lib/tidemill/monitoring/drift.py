"""Drift: each feature of the scored rows against the training rows, and one verdict over all. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tidemill.stats.distances import population_stability_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.core.config import Monitor
    from tidemill.monitoring.profile import Profile

VerdictName = Literal["ok", "warn", "alert", "insufficient"]
OK: VerdictName = "ok"
WARN: VerdictName = "warn"
ALERT: VerdictName = "alert"
INSUFFICIENT: VerdictName = "insufficient"


@dataclass(frozen=True)
class Drift:
    """The drift of one feature.

    Args:
        reference, current: its profiles on the same bins.
        psi: population stability index over the bins and the nulls, or None where a side has no row.
        verdict: `ok`, `warn`, `alert` or `insufficient`.
        reason: the verdict in a sentence.
    """

    reference: Profile
    current: Profile
    psi: float | None
    verdict: VerdictName
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The verdict over all features, with its reason."""

    verdict: VerdictName
    reason: str


def compare(reference: Profile, current: Profile, limits: Monitor) -> Drift:
    """Compares two profiles of one feature on the same bins."""
    if current.rows < limits.minimum_rows or not reference.rows:
        reason = f"{current.rows} rows are fewer than the {limits.minimum_rows} that a verdict needs"
        return Drift(reference, current, None, INSUFFICIENT, reason)
    psi = population_stability_index((*reference.counts, reference.nulls), (*current.counts, current.nulls))
    if psi >= limits.alert:
        return Drift(reference, current, psi, ALERT, f"index {psi:.3f} is at least {limits.alert:g}")
    if psi >= limits.warn:
        return Drift(reference, current, psi, WARN, f"index {psi:.3f} is at least {limits.warn:g}")
    return Drift(reference, current, psi, OK, f"index {psi:.3f} is below {limits.warn:g}")


def decide(found: Sequence[Drift], limits: Monitor) -> Verdict:
    """The verdict over all features: an alert where enough of them are in alert, a warning where any stands out."""
    by = {v: [d.reference.bins.feature for d in found if d.verdict == v] for v in (ALERT, WARN, INSUFFICIENT)}
    if len(by[INSUFFICIENT]) == len(found):
        return Verdict(INSUFFICIENT, "there are too few scored rows to judge")
    if len(by[ALERT]) >= max(1, limits.alert_share * len(found)):
        return Verdict(ALERT, f"{len(by[ALERT])} of {len(found)} features have moved far: {_some(by[ALERT])}")
    if by[ALERT] or by[WARN]:
        return Verdict(
            WARN, f"{len(by[ALERT] + by[WARN])} of {len(found)} features have moved: {_some(by[ALERT] + by[WARN])}"
        )
    return Verdict(OK, f"none of {len(found)} features has moved beyond the limits")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
