"""Guardrails: what stops a challenger however good its metric is, each a function from evidence to a verdict. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.models.specs import better

if TYPE_CHECKING:
    from tidemill.core.gate_config import Promote
    from tidemill.models.comparison import Comparison, SliceGain

_OF_CONSTANTS = ("roc_auc", "log_loss")  # what a constant reaches of these is a measure of knowing nothing


@dataclass(frozen=True)
class Packaged:
    """What became of the packaged model in a process of its own.

    Args:
        rows: that it scored.
        difference: the largest one from Spark's scores, or None where it did not score.
        tolerance: how large it may be.
        error: why it did not load or score, or None.
    """

    rows: int
    difference: float | None
    tolerance: float
    error: str | None = None


@dataclass(frozen=True)
class Evidence:
    """All that the gate looks at.

    Args:
        metric: the primary one.
        challenger, baseline: its value on all gate rows: of the challenger's gate fit, of the one-feature baseline.
        trivial: that of a constant.
        train: of the gate fit on the rows that it was fitted on.
        compared: the scores of the gate rows, side by side.
        moved: how far the share of positives of the gate is from that of the rows of the fit; of several classes the
            total variation of their shares; 0 for regression.
        leaks: features that the leakage audit of its training rows found to leak; None where no audit is known.
        packaged: the registered model, loaded elsewhere.
        numbers: that its graph holds; None where the packaged model cannot be used.
        champion_numbers: that the champion's holds; None without a champion.
    """

    metric: str
    challenger: float
    baseline: float
    trivial: float
    train: float
    compared: Comparison
    moved: float
    leaks: tuple[str, ...] | None
    packaged: Packaged
    numbers: int | None
    champion_numbers: int | None


@dataclass(frozen=True)
class Check:
    """One verdict: its name, whether it passed, why in a sentence, and the value beside the limit where it has them."""

    name: str
    passed: bool
    reason: str
    value: float | None = None
    limit: float | None = None


def check_all(evidence: Evidence, limits: Promote) -> tuple[Check, ...]:
    """The verdicts of all guardrails."""
    return tuple(rail(evidence, limits) for rail in (calibration, brier, slices, overfit, leakage, package))


def calibration(evidence: Evidence, limits: Promote) -> Check:
    """The expected calibration error stays below the limit, or below what chance alone makes of so few rows.

    Shares of classes that have moved since the fit are no fault of the model: that is allowed on top.
    """
    found = evidence.compared.calibration
    if found is None:
        return Check("calibration", True, "its scores are no probabilities")
    limit = max(limits.calibration_error, found.by_chance) + evidence.moved
    said = f"its probabilities are off by {found.error:.4f} on average (expected calibration error)"
    if found.error > limit:
        return Check("calibration", False, f"it is mis-calibrated: {said}, more than {limit:.4f}", found.error, limit)
    return Check("calibration", True, said, found.error, limit)


def brier(evidence: Evidence, _: Promote) -> Check:
    """The Brier score is not worse than the champion's by more than the paired interval."""
    found = evidence.compared.brier
    if found is None:
        return Check("brier", True, "there is no Brier score to compare")
    said = f"Brier score {found.one:.4f} against the champion's {found.other:.4f}"
    if found.high is not None and found.high < 0:
        return Check("brier", False, f"it is worse calibrated: {said}, more than chance", found.gain, 0.0)
    return Check("brier", True, said, found.gain, 0.0)


def slices(evidence: Evidence, limits: Promote) -> Check:
    """No declared slice of enough rows is worse than before by more than its paired interval."""
    found = evidence.compared.slices
    worse = [item for item in found if item.gain.high is not None and item.gain.high < 0]
    if worse:
        rival = "champion" if evidence.compared.champion is not None else "one-feature baseline"
        said = "; ".join(_of_slice(item, evidence.metric, rival) for item in worse)
        return Check("slices", False, f"it breaks a slice: {said}", min(s.gain.gain for s in worse), 0.0)
    said = f"none of {len(found)} slices of at least {limits.slice_rows} rows is worse"
    return Check("slices", True, said, min((s.gain.gain for s in found), default=None), 0.0)


def overfit(evidence: Evidence, limits: Promote) -> Check:
    """Of what the fit reached on its own rows, no more than a share is lost on the gate rows."""
    lost = lost_share(evidence.metric, evidence.train, evidence.challenger, evidence.trivial)
    said = f"{evidence.metric} {evidence.train:.4f} on the rows of the fit is {evidence.challenger:.4f} on the gate"
    if lost > limits.overfit:
        said = f"it is over-fitted: {said}, which loses {lost:.0%} of it, more than {limits.overfit:.0%}"
        return Check("overfit", False, said, lost, limits.overfit)
    return Check("overfit", True, said, lost, limits.overfit)


def leakage(evidence: Evidence, _: Promote) -> Check:
    """The leakage audit of its training rows is known and found nothing."""
    if evidence.leaks is None:
        return Check("leakage", False, "no leakage audit of its training rows is known")
    if evidence.leaks:
        return Check("leakage", False, f"it leaks: the audit names {', '.join(evidence.leaks)}")
    return Check("leakage", True, "the leakage audit of its training rows found nothing that was not known in time")


def package(evidence: Evidence, _: Promote) -> Check:
    """The registered model loads in a clean process, without Java, and scores as Spark does."""
    found = evidence.packaged
    if found.difference is None:
        return Check("package", False, f"the packaged model cannot be used: {found.error}", None, found.tolerance)
    said = f"{found.rows} rows scored by a clean process differ from Spark's scores by {found.difference:.1e} at most"
    if found.difference > found.tolerance:
        said = f"the packaged model is another one: {said}, more than {found.tolerance:.0e}"
        return Check("package", False, said, found.difference, found.tolerance)
    return Check("package", True, said, found.difference, found.tolerance)


def lost_share(metric: str, train: float, gate: float, trivial: float) -> float:
    """The share of the training result that is lost on other rows.

    Of a ROC AUC or a log loss, the part of its distance from what a constant reaches: (train - gate) / (train -
    trivial). Of an error in the label's unit, the part of it that the training rows do not show: (gate - train) / gate.
    Below 0 where the gate is better.
    """
    if metric in _OF_CONSTANTS:
        beyond = abs(train - trivial)
        return abs(train - gate) / beyond * (1 if better(metric, train, gate) else -1) if beyond > 0 else 0.0
    return (gate - train) / gate if gate > 0 else 0.0


def _of_slice(found: SliceGain, metric: str, rival: str) -> str:
    value = "null" if found.value is None else repr(found.value)
    gain = found.gain
    said = f"where {found.column} is {value}, {metric} {gain.one:.4f} against the {rival}'s {gain.other:.4f}"
    return f"{said} on {gain.rows:,} rows"
