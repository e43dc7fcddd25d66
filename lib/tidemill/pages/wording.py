"""The sentences of the report: what a reader should take away from each section, in plain words."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from tidemill.pages.numerals import count, metric, moment, share
from tidemill.pages.values import Balance, Candidate, DriftRow, Expected, Metric, PerformancePoint, Verdict

VERDICT_WORDS: Final[dict[Verdict, str]] = {
    "ok": "OK",
    "warn": "Warning",
    "alert": "Alert",
    "insufficient": "Not enough data",
}
_ADVICE: Final[dict[Verdict, str]] = {
    "ok": "Nothing needs doing now.",
    "warn": "Please look at what is marked {place} before the next run.",
    "alert": "Please look at what is marked {place} before anyone acts on these scores.",
    "insufficient": "Too few rows to judge by: wait for more, or widen the window.",
}


def advice(verdict: Verdict, place: str = "below") -> str:
    """Tell what to do about a verdict.

    Args:
        verdict: Of a report.
        place: Where it is marked what the verdict is about.

    Returns:
        One sentence.
    """
    return _ADVICE[verdict].format(place=place)


def known(value: float | None) -> bool:
    """Say whether there is a number to talk about.

    Args:
        value: A measurement, or None.

    Returns:
        False for None and NaN.
    """
    return value is not None and not math.isnan(value)


def performance_sentence(points: Sequence[PerformancePoint], measure: Metric) -> str:
    """Tell how the newest scores with known outcomes turned out.

    Args:
        points: In time order; may be empty.
        measure: What `PerformancePoint.metric` holds.

    Returns:
        One or two sentences.
    """
    judged = [point for point in points if known(point.metric)]
    if not judged:
        return (
            "No outcomes are known yet for the scored rows, so nothing can be said about how the scores turned out. "
            "A later run of the same command adds it."
        )
    newest = judged[-1]
    told = (
        f"The newest scores with known outcomes are those of {moment(newest.as_of)}: {measure.label} "
        f"{metric(newest.metric)} on {count(newest.rows)} rows"
    )
    return f"{told}, {_compared(newest.metric, newest.baseline, measure, 'the baseline')}."


def expected_sentence(found: Expected, measure: Metric) -> str:
    """Tell what the newest scores let one expect before their outcomes are known."""
    if not known(found.metric):
        return f"Before outcomes are known, {measure.label} is not estimated; {found.reason}."
    between = f"{metric(found.low)} to {metric(found.high)}"
    return f"Before outcomes are known, {measure.label} is put at {metric(found.metric)} ({between}): {found.reason}."


def candidates_sentence(candidates: Sequence[Candidate], measure: Metric) -> str:
    """Tell which model was chosen and how far it lies from the best baseline on the gate rows.

    Args:
        candidates: Models and baselines.
        measure: What the metrics of a candidate hold.

    Returns:
        One sentence.
    """
    if not candidates:
        return "No model was trained in this run."
    chosen = next((one for one in candidates if one.chosen), None)
    if chosen is None:
        return f"{_things(len(candidates), 'candidate')} were tried and none was chosen."
    told = f"Chosen out of {_things(len(candidates), 'candidate')}: {chosen.family}"
    if not known(chosen.gate_metric):
        return f"{told}, which has no {measure.label} on the gate rows yet."
    baselines = [one.gate_metric for one in candidates if one.baseline and one is not chosen]
    figures = [figure for figure in baselines if figure is not None and not math.isnan(figure)]
    best = (max if measure.higher_is_better else min)(figures) if figures else None
    told = f"{told}, with {measure.label} {metric(chosen.gate_metric)} on the gate rows"
    return f"{told}, {_compared(chosen.gate_metric, best, measure, 'the best baseline')}."


def drift_sentence(rows: Sequence[DriftRow]) -> str:
    """Tell how many features moved.

    Args:
        rows: One per feature.

    Returns:
        One sentence.
    """
    if not rows:
        return "Drift was not measured in this run."
    tally = Counter(row.verdict for row in rows)
    if tally["ok"] == len(rows):
        return f"None of {_things(len(rows), 'feature')} moved noticeably."
    found: dict[Verdict, str] = {
        "alert": "with an alert",
        "warn": "with a warning",
        "insufficient": "without enough data",
        "ok": "fine",
    }
    parts = [f"{count(tally[verdict])} {words}" for verdict, words in found.items() if tally[verdict]]
    return f"Of {_things(len(rows), 'feature')}: {', '.join(parts)}."


def balance_sentence(balance: Balance) -> str:
    """Tell what became of the landed rows, and whether the account closes.

    Args:
        balance: The account.

    Returns:
        One or two sentences.
    """
    told = (
        f"{count(balance.read)} rows read = {count(balance.accepted)} accepted + {count(balance.quarantined)} "
        f"quarantined + {count(balance.duplicates)} duplicates."
    )
    if balance.missing > 0:
        return f"{told} This does not add up: {_things(balance.missing, 'row')} unaccounted for."
    if balance.missing < 0:
        return f"{told} This does not add up: {_things(-balance.missing, 'row')} too many."
    part = share(balance.quarantined / balance.read) if balance.read else "none"
    return f"{told} It adds up; {part} of the rows were set aside."


def _compared(value: float | None, other: float | None, measure: Metric, name: str) -> str:
    if value is None or other is None or not known(other):
        return f"with no figure of {name} to compare it with"
    if value == other:
        return f"the same as {name}"
    better = (value > other) == measure.higher_is_better
    return f"{metric(abs(value - other), 2)} {'better' if better else 'worse'} than {name} ({metric(other)})"


def _things(number: int, noun: str) -> str:
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"
