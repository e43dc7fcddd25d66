"""As-of times as the level axis of a chart."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from tidemill.pages.markup import shortened
from tidemill.pages.numerals import moment

Points = tuple[tuple[float, float], ...]


def line(places: Sequence[float], values: Sequence[float | None]) -> Points:
    """The points of a curve; a missing value leaves a gap."""
    return tuple((place, math.nan if value is None else value) for place, value in zip(places, values, strict=True))


def places_of(times: Sequence[str]) -> list[float]:
    """Lay times out to scale, in days; one that is no ISO 8601 time makes them evenly spaced instead."""
    try:
        moments = [datetime.fromisoformat(time) for time in times]
    except ValueError:
        return [float(index) for index in range(len(times))]
    aware = [one if one.tzinfo else one.replace(tzinfo=UTC) for one in moments]
    return [(one - aware[0]).total_seconds() / 86_400 for one in aware]


def time_ticks(places: Sequence[float], times: Sequence[str]) -> tuple[tuple[float, str], ...]:
    """Label the first and the last time, and the one nearest the middle where there is room between them."""
    first, last = places[0], places[-1]
    middle = min(range(len(places)), key=lambda index: abs(places[index] - (first + last) / 2))
    roomy = first + (last - first) / 3 < places[middle] < last - (last - first) / 3
    labelled = (0, middle, len(times) - 1) if roomy else (0, len(times) - 1)
    return tuple((places[index], shortened(moment(times[index]), 16)) for index in labelled)
