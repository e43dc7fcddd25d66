"""The promotion gate: whether a challenger takes the champion's place, on evidence and with reasons. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.models import guardrails
from tidemill.models.guardrails import Check
from tidemill.models.promotion import KEEP, PROMOTE, WAIT
from tidemill.models.specs import better

if TYPE_CHECKING:
    from tidemill.core.gate_config import Promote
    from tidemill.models.guardrails import Evidence

BASELINE, CHAMPION = "baseline", "champion"


@dataclass(frozen=True)
class Decision:
    """What is decided: `promote`, `wait` (for approval) or `keep`; why, in sentences; and every check behind it."""

    decision: str
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]


def decide(evidence: Evidence, limits: Promote) -> Decision:
    """Promotes a challenger that passes every check; where approval is asked for, it then waits for it.

    A challenger has to beat the one-feature baseline. It has to be better than the champion by more than the paired
    interval of the gain, or, where it is much simpler, not to be worse. And no guardrail may stop it.
    """
    gains = (_baseline(evidence), _champion(evidence, limits))
    rails = guardrails.check_all(evidence, limits)
    stopped = [check for check in rails if not check.passed]
    reasons = [check.reason for check in (*gains, *stopped)]
    if not stopped:
        reasons.append(f"no guardrail stops it: {', '.join(check.name for check in rails)}")
    passed = all(check.passed for check in (*gains, *rails))
    if passed and limits.approval:
        reasons.append("it waits for approval")
    decision = (WAIT if limits.approval else PROMOTE) if passed else KEEP
    return Decision(decision, tuple(reasons), (*gains, *rails))


def _baseline(evidence: Evidence) -> Check:
    name, value, baseline = evidence.metric, evidence.challenger, evidence.baseline
    passed = better(name, value, baseline)
    verb = "beats" if passed else "does not beat"
    return Check(
        BASELINE, passed, f"{name} {value:.4f} {verb} the one-feature baseline's {baseline:.4f}", value, baseline
    )


def _champion(evidence: Evidence, limits: Promote) -> Check:
    found = evidence.compared.champion
    if found is None:
        return Check(CHAMPION, True, "there is no champion yet")
    said = f"{evidence.metric} {found.one:.4f} against the champion's {found.other:.4f} on the same {found.rows:,} rows"
    said += f": a gain of {found.gain:+.4f}"
    if found.low is not None:
        said += f" ({found.low:+.4f} to {found.high:+.4f} at {limits.confidence:.0%})"
    if found.low is not None and found.low > 0:
        return Check(CHAMPION, True, f"{said}, which is more than chance", found.gain, 0.0)
    if found.gain >= 0 and _simpler(evidence, limits):
        sizes = f"its graph holds {evidence.numbers:,} numbers, the champion's {evidence.champion_numbers:,}"
        return Check(CHAMPION, True, f"{said}, not worse, and simpler: {sizes}", found.gain, 0.0)
    why = "which is not more than chance" if found.low is not None else "and its rows are too alike to tell chance"
    return Check(CHAMPION, False, f"{said}, {why}", found.gain, 0.0)


def _simpler(evidence: Evidence, limits: Promote) -> bool:
    """Whether the challenger's graph holds at most the configured share of the numbers that the champion's holds."""
    own, rival = evidence.numbers, evidence.champion_numbers
    return own is not None and rival is not None and own <= limits.simpler * rival
