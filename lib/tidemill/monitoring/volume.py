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

_LEAST = 0.2  # of the usual rows
_TAIL = 1e-3


def odd_volume(quiet: Sequence[Day], newest: Sequence[Day], season: int, limits: Monitor) -> str | None:
    """What is odd about the number of rows of the newest day, in a sentence; None where nothing is.

    The logarithm of a day's rows is held against its own variation over the quiet days; changes of less than a fifth
    are never reported.

    Args:
        quiet: days when nothing was wrong; too few of them tell nothing.
        newest: judged days, the one that is judged last.
        season: days after which the same may be expected again.
        limits: the settings.
    """
    days = [d for d in quiet if d.rows]
    if len(days) < limits.quiet_days or not newest:
        return None
    values, places = np.log([d.rows for d in days]), np.array([d.place for d in days])
    usual = variation_of(values, places, 1 / float(np.mean([d.rows for d in days])), season)
    day = newest[-1]
    apart, tail = usual.tail(np.log([max(day.rows, 1)]), np.array([day.place]), 1 / max(day.rows, 1))
    if tail > _TAIL or abs(math.expm1(apart)) < _LEAST:
        return None
    foretold = max(day.rows, 1) * math.exp(-apart)
    return f"{day.rows:,} rows were scored, and {foretold:,.0f} are usual"
