"""Whether as many rows were scored as usual. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tidemill.stats.variation import variation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.core.config_monitor import Monitor
    from tidemill.monitoring.figures import Day

ALL_ROWS = "all rows"  # what is said of their number stands beside what is said of columns
_LEAST = 0.2  # of the usual rows
_TAIL = 1e-3


def odd_volume(
    quiet: Sequence[Day], newest: Sequence[Day], season: int, limits: Monitor, what: str = "rows were scored"
) -> str | None:
    """What is odd about the number of rows of the newest day, in a sentence; None where nothing is.

    The logarithm of a day's rows is held against its own variation over the quiet days; changes of less than a fifth
    are never reported. Once there are as many judged days as a quiet period needs, it has to be odd among those, too:
    what has grown slowly is usual. Where fewer rows than a verdict needs are usual and found, nothing is said.

    Args:
        quiet: days when nothing was wrong; too few of them tell nothing.
        newest: judged days, the one that is judged last.
        season: days after which the same may be expected again.
        limits: the settings.
        what: the rows are, in words.
    """
    days, later = quiet, newest[:-1]
    if len(days) < limits.quiet_days or not newest:
        return None
    day, usual = newest[-1], _usual(days, newest[-1], season)
    if max(day.rows, usual) < limits.minimum_rows or not _odd(days, day, season):
        return None
    if len(later) >= limits.quiet_days and not _odd(later, day, season):
        return None
    return f"{day.rows:,} {what}, and {usual:,.0f} are usual"


def _odd(known: Sequence[Day], day: Day, season: int) -> bool:
    apart, tail = _apart(known, day, season)
    return tail <= _TAIL and abs(math.expm1(apart)) >= _LEAST


def _usual(known: Sequence[Day], day: Day, season: int) -> float:
    return max(day.rows, 1) * math.exp(-_apart(known, day, season)[0])


def _apart(known: Sequence[Day], day: Day, season: int) -> tuple[float, float]:
    """How far the logarithm of a day's rows lies from what other days foretell, and the tail of that."""
    rows, places = np.array([max(d.rows, 1) for d in known]), np.array([d.place for d in known])
    usual = variation_of(np.log(rows), places, 1 / float(np.mean(rows)), season)
    return usual.tail(np.log([max(day.rows, 1)]), np.array([day.place]), 1 / max(day.rows, 1))
