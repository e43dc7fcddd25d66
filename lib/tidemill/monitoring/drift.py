"""Drift: each column of the scored rows against the training rows, and one verdict over all. Pure.

With a quiet period a column is held against its own variation, and of many columns only so many are believed as keeps
false discoveries few. Without one, the population stability index is held against stated limits, and the reason says
so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from tidemill.monitoring.calibration import learn, oddest
from tidemill.monitoring.figures import MISSING, SHARE, Day
from tidemill.stats.bins import OTHER, TEXT
from tidemill.stats.distances import population_stability_index
from tidemill.stats.tails import discoveries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from tidemill.core.config_monitor import Monitor
    from tidemill.monitoring.calibration import Odd
    from tidemill.stats.bins import Bins
    from tidemill.stats.sketch import Sketch

_WORTH_TELLING: Final = 0.005
VerdictName = Literal["ok", "warn", "alert", "insufficient"]
OK: VerdictName = "ok"
WARN: VerdictName = "warn"
ALERT: VerdictName = "alert"
INSUFFICIENT: VerdictName = "insufficient"
# What a finding is of: features that moved, by missing values, by values that were rare or unknown; and what came out.
MOVED, MISSING_VALUES, NEW_VALUES = "drift", "missing_values", "new_values"
PREDICTIONS, LABELS = "prediction_drift", "label_drift"


@dataclass(frozen=True, eq=False)
class Watched:
    """All that is known of one column.

    Args:
        bins: that every histogram of it is on.
        reference: the training rows.
        current: the scored rows.
        quiet: the training rows by day, oldest first; empty where days are not told apart.
        newest: scored days, the one that is judged last; those of known events left out.
        reported: on how many judged days directly before it was reported.
        event: why it may do as it likes on the judged day, or empty.
        kind: `drift` of a feature, `prediction_drift` or `label_drift`.
        table: that it is a column of, as `layer.name`.
        day: which day is judged.
    """

    bins: Bins
    reference: Sketch
    current: Sketch
    quiet: tuple[Day, ...] = ()
    newest: tuple[Day, ...] = ()
    reported: int = 0
    event: str = ""
    kind: str = MOVED
    table: str = ""
    day: date | None = None


@dataclass(frozen=True, eq=False)
class Drift:
    """The drift of one column.

    Args:
        bins, reference, current: what was compared.
        psi: population stability index over the bins and the nulls, or None where a side has no row.
        tail: the probability of something so odd on a quiet day, or None without a quiet period.
        verdict: `ok`, `warn`, `alert` or `insufficient`.
        reason: the verdict in a sentence.
        kind: `drift`, of a feature also `missing_values` or `new_values`; `prediction_drift` or `label_drift`.
        table: that it is a column of, as `layer.name`.
        day: which day was judged.
    """

    bins: Bins
    reference: Sketch
    current: Sketch
    psi: float | None
    tail: float | None
    verdict: VerdictName
    reason: str
    kind: str = MOVED
    table: str = ""
    day: date | None = None


@dataclass(frozen=True)
class Verdict:
    """The verdict over all columns, with its reason."""

    verdict: VerdictName
    reason: str


def day_of_sketch(place: int, found: Sketch) -> Day:
    """A day's histogram from a sketch that was counted on bins."""
    if found.counts is None:
        raise ValueError("the sketch was not counted on bins")
    return Day(place, tuple(found.counts.tolist()), found.nulls)


def compare(watched: Sequence[Watched], season: int, limits: Monitor, year: float = math.inf) -> list[Drift]:
    """The drift of each column.

    Args:
        watched: the columns.
        season: judged days after which the same may be expected again; 1 for none.
        limits: the settings.
        year: judged days of a year; infinite for no course over the year.
    """
    judged: dict[int, Odd] = {}
    for place, column in enumerate(watched):
        if column.event or not _enough(column, limits) or len(column.quiet) < limits.quiet_days:
            continue
        usual = learn(column.bins, column.quiet, season, year)
        if usual is not None and column.newest:
            judged[place] = oddest(usual, column.newest, limits.least)
    believed = dict(
        zip(judged, discoveries([odd.tail for odd in judged.values()], limits.false_discoveries), strict=True)
    )
    return [
        _by_variation(column, judged[place], believed[place], limits) if place in judged else _by_limits(column, limits)
        for place, column in enumerate(watched)
    ]


def decide(
    found: Sequence[Drift], limits: Monitor, importance: Mapping[str, float] | None = None, effect: str = ""
) -> Verdict:
    """The verdict over all columns: an alert where enough of what the model relies on is, else a warning.

    Args:
        found: the columns.
        limits: the settings.
        importance: of each column for the model, at least 0, in any unit; None where all count alike.
        effect: on the metric, as expected, in words that go on with the reason; or empty.
    """
    verdict = _over_all(found, limits, importance)
    return Verdict(verdict.verdict, f"{verdict.reason}; {effect}") if effect else verdict


def _over_all(found: Sequence[Drift], limits: Monitor, importance: Mapping[str, float] | None) -> Verdict:
    by = {v: [d.bins.column for d in found if d.verdict == v] for v in (ALERT, WARN, INSUFFICIENT)}
    if len(by[INSUFFICIENT]) == len(found):
        return Verdict(INSUFFICIENT, "there are too few scored rows to judge")
    share = share_in_alert(found, importance)
    told = "" if importance is None else f", {share:.0%} of the model's importance"
    if by[ALERT] and share >= limits.alert_share:
        return Verdict(ALERT, f"{len(by[ALERT])} of {len(found)} features have moved far{told}: {_some(by[ALERT])}")
    if by[ALERT] or by[WARN]:
        moved = by[ALERT] + by[WARN]
        return Verdict(WARN, f"{len(moved)} of {len(found)} features have moved: {_some(moved)}")
    return Verdict(OK, f"none of {len(found)} features has moved beyond what is usual")


def share_in_alert(found: Sequence[Drift], importance: Mapping[str, float] | None = None) -> float:
    """The share of the columns that is in alert, each weighed by its importance for the model; all alike without."""
    weights = [1.0 if importance is None else importance.get(d.bins.column, 0.0) for d in found]
    alerting = sum(weight for weight, d in zip(weights, found, strict=True) if d.verdict == ALERT)
    return alerting / (sum(weights) or 1.0)


def _enough(column: Watched, limits: Monitor) -> bool:
    return column.current.rows >= limits.minimum_rows and column.reference.rows > 0


def _by_limits(column: Watched, limits: Monitor) -> Drift:
    if not _enough(column, limits):
        reason = f"{column.current.rows} rows are fewer than the {limits.minimum_rows} that a verdict needs"
        return _drift(column, None, None, INSUFFICIENT, reason)
    psi, chance = _psi(column), _by_chance(column)
    if column.event:
        return _drift(column, psi, None, OK, f"not judged on a day of a known event: {column.event}")
    days = len(column.quiet)
    few = f"{days} quiet days are fewer than {limits.quiet_days}"
    known = f"; {few if days < limits.quiet_days else 'no quiet day has a value'}, so that stated limits decide"
    beyond = f" beyond the {chance:.3f} that so few rows make" if chance >= _WORTH_TELLING else ""
    for limit, verdict in ((limits.alert, ALERT), (limits.warn, WARN)):
        if psi - chance >= limit:
            reason = f"index {psi:.3f} is at least {limit:g}{beyond}{known}"
            return _drift(column, psi, None, verdict, reason, *_most_moved(column))
    return _drift(column, psi, None, OK, f"index {psi:.3f} is below {limits.warn:g}{beyond}{known}")


def _by_variation(column: Watched, odd: Odd, believed: bool, limits: Monitor) -> Drift:
    psi = _psi(column)
    if not believed:
        return _drift(column, psi, odd.tail, OK, f"within what {len(column.quiet)} quiet days show")
    days = column.reported + 1
    if odd.large or days >= limits.persistence:
        lasting = f", the {days}. day in a row" if days > 1 else ", too far to wait for another day"
        return _drift(column, psi, odd.tail, ALERT, odd.reason + lasting, odd.what, odd.name)
    return _drift(column, psi, odd.tail, WARN, odd.reason, odd.what, odd.name)


def _psi(column: Watched) -> float:
    sides = [day_of_sketch(0, side) for side in (column.reference, column.current)]
    return population_stability_index(*((*side.counts, side.nulls) for side in sides))


def _by_chance(column: Watched) -> float:
    """What the index of two samples of one distribution is on average: a chi-square over rows, by its freedom."""
    used = sum(1 for rows in (*_counts(column.reference), column.reference.nulls) if rows)
    return (used - 1) * (1 / column.reference.rows + 1 / column.current.rows) if used else 0.0


def _most_moved(column: Watched) -> tuple[str, str]:
    """Whose share has changed most, as a kind of figure and a name: missing values, a text's value, or neither."""
    sides = [
        np.array([*_counts(side), side.nulls], np.float64) / side.rows for side in (column.reference, column.current)
    ]
    most = int(np.argmax(np.abs(sides[1] - sides[0])))
    if most == column.bins.size:
        return MISSING, ""
    return (SHARE, column.bins.labels[most]) if column.bins.kind == TEXT else ("", "")


def _counts(side: Sketch) -> tuple[int, ...]:
    return day_of_sketch(0, side).counts


def _drift(
    column: Watched,
    psi: float | None,
    tail: float | None,
    verdict: VerdictName,
    reason: str,
    what: str = "",
    name: str = "",
) -> Drift:
    kind = MISSING_VALUES if column.kind == MOVED and what == MISSING else column.kind
    if kind == MOVED and (what, name, column.bins.kind) == (SHARE, OTHER, TEXT):
        kind = NEW_VALUES
    sides = (column.reference, column.current)
    return Drift(column.bins, *sides, psi, tail, verdict, reason, kind, column.table, column.day)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
