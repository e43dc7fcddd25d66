"""Whether a model surely does worse on matured labels than one feature alone, than was promised, or expected. Pure.

What falls short of the promise may come from rows that are harder to tell apart, which the scores themselves foretell.
What falls short of the expectation does not: there the outcome depends on the features otherwise than on the gate rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tidemill.core.time import format_time
from tidemill.models.specs import HIGHER_IS_BETTER, better, shortfall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tidemill.core.config_monitor import Monitor
    from tidemill.stats.intervals import Interval

Against = Literal["baseline", "promised", "expected"]
AGAINST: Final[tuple[Against, ...]] = ("baseline", "promised", "expected")
BASELINE, PROMISED, EXPECTED = AGAINST
_SAID: Final[Mapping[Against, str]] = {
    "baseline": "one feature alone has {}",
    "promised": "the gate had promised {}",
    "expected": "{} had been expected, so expected and realised part ways: the outcome no longer depends on the"
    " features as on the gate rows",
}


@dataclass(frozen=True)
class Turned:
    """How the scores of one as-of time turned out, and what they are held against.

    Args:
        at: the as-of time.
        rows: with a label.
        realised: the primary metric.
        against: the same of the baseline on the same rows (a point), of the gate rows of the version that made the
            scores, and as the scores let expect it before labels; what is not known is left out.
    """

    at: datetime
    rows: int
    realised: Interval
    against: Mapping[Against, Interval]


@dataclass(frozen=True)
class Shortfall:
    """That the newest scores with matured labels surely fall short of something.

    Args:
        against: of what.
        times: as-of times in a row on which scores did, with the newest.
        severity: `alert` where they did so `monitor.persistence` times in a row, and below the baseline at once.
        text: a sentence without its stop.
    """

    against: Against
    times: int
    severity: Literal["warn", "alert"]
    text: str


def find_shortfalls(metric: str, turned: Sequence[Turned], limits: Monitor) -> tuple[Shortfall, ...]:
    """What the newest scores surely fall short of.

    Surely is: the 95 % interval of what was realised, rows taken as independent, lies wholly beyond that of what it is
    held against, and the values are apart by more than `monitor.least.performance`, the baseline's by anything.

    Args:
        metric: the primary one.
        turned: of as-of times in order, the newest last.
        limits: the settings; fewer rows than a verdict needs tell nothing.
    """
    found = []
    for against in AGAINST:
        times = 0
        for one in reversed(turned):
            if not _short(metric, one, against, limits):
                break
            times += 1
        if times:
            sure = against == BASELINE or times >= limits.persistence
            text = _text(metric, turned[-1], against, times)
            found.append(Shortfall(against, times, "alert" if sure else "warn", text))
    return tuple(found)


def judged_against(turned: Sequence[Turned], limits: Monitor) -> tuple[Against, ...]:
    """What the newest scores were held against; nothing where they have too few rows."""
    if not turned or turned[-1].rows < limits.minimum_rows:
        return ()
    return tuple(against for against in AGAINST if against in turned[-1].against)


def _short(metric: str, one: Turned, against: Against, limits: Monitor) -> bool:
    other = one.against.get(against)
    if other is None or one.rows < limits.minimum_rows:
        return False
    nearest = (one.realised.high, other.low) if HIGHER_IS_BETTER[metric] else (one.realised.low, other.high)
    if not better(metric, nearest[1], nearest[0]):
        return False
    return against == BASELINE or shortfall(metric, other.estimate, one.realised.estimate) > limits.least.performance


def _text(metric: str, newest: Turned, against: Against, times: int) -> str:
    told = f"{metric} {_figures(newest.realised)} on {newest.rows:,} labels of {format_time(newest.at)[:10]}"
    often = f", {times} times in a row" if times > 1 else ""
    return f"{told}; {_SAID[against].format(_figures(newest.against[against]))}{often}"


def _figures(found: Interval) -> str:
    value = f"{found.estimate:.4g}"
    return value if found.low == found.high else f"{value} ({found.low:.4g} to {found.high:.4g})"
