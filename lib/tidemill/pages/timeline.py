"""Performance over as-of times: values laid out to scale by their times."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from tidemill.pages import svg
from tidemill.pages.markup import shortened
from tidemill.pages.numerals import moment
from tidemill.pages.values import Curve, Metric


def over_time(lines: Mapping[str, Sequence[tuple[str, float | None]]], measure: Metric) -> Markup:
    """Draw lines over as-of times.

    Args:
        lines: (as-of time, value) in rising order, by the name in the legend; a time that a line lacks leaves no gap
            in it, a value of None does.
        measure: What the values are.

    Returns:
        An ``svg`` element, or a sentence where no point can be drawn.
    """
    times = sorted({time for line in lines.values() for time, _ in line})
    places = dict(zip(times, _places(times), strict=True))
    curves = [
        Curve(tuple((places[at], math.nan if value is None else value) for at, value in line), name)
        for name, line in lines.items()
    ]
    better = "higher is better" if measure.higher_is_better else "lower is better"
    return svg.line_chart(
        curves,
        title=f"{measure.label} over as-of times",
        x_label="as-of time",
        y_label=f"{measure.label} ({better})",
        x_ticks=_ticks(places),
    )


def _places(times: Sequence[str]) -> list[float]:
    """Lay times out to scale, in days; one that is no ISO 8601 time makes them evenly spaced instead."""
    try:
        moments = [datetime.fromisoformat(time) for time in times]
    except ValueError:
        return [float(index) for index in range(len(times))]
    aware = [one if one.tzinfo else one.replace(tzinfo=UTC) for one in moments]
    return [(one - aware[0]).total_seconds() / 86_400 for one in aware]


def _ticks(places: Mapping[str, float]) -> tuple[tuple[float, str], ...]:
    """Label the first and the last time, and the one nearest the middle where there is room between them."""
    times = list(places)
    if not times:
        return ()
    first, last = places[times[0]], places[times[-1]]
    middle = min(times, key=lambda time: abs(places[time] - (first + last) / 2))
    roomy = first + (last - first) / 3 < places[middle] < last - (last - first) / 3
    labelled = dict.fromkeys((times[0], middle, times[-1]) if roomy else (times[0], times[-1]))
    return tuple((places[time], shortened(moment(time), 16)) for time in labelled)
