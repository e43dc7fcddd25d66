"""Expected and realised performance beside each other, time by time: one table and one chart."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tidemill.pages import svg
from tidemill.pages.numerals import metric, moment
from tidemill.pages.times import line, places_of, time_ticks
from tidemill.pages.values import Curve, Metric


@dataclass(frozen=True, slots=True)
class TrackPoint:
    """The scores that were made at one as-of time: how good they were expected to be, and were.

    Attributes:
        as_of: The as-of time of the scores.
        version: The model version that made them.
        rows: Scored rows with a mature label; None while there is none.
        realised: The report's metric on them; None while labels have not matured, or do not allow it.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        expected: What the scores let one expect before their labels; None where that was refused or not asked.
        expected_low: Lower end of its interval.
        expected_high: Upper end of it.
        baseline: The same metric of the baseline on the rows with labels.
        promised: What the version's gate fit had reached on its gate rows.
    """

    as_of: str
    version: str
    rows: int | None = None
    realised: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    expected_low: float | None = None
    expected_high: float | None = None
    baseline: float | None = None
    promised: float | None = None


def track_chart(points: Sequence[TrackPoint], measure: Metric) -> Markup:
    """Draw realised, expected and baseline over as-of times; nothing where fewer than two times have a figure.

    Args:
        points: In time order.
        measure: What their figures hold.
    """
    drawn = [point for point in points if point.realised is not None or point.expected is not None]
    if len(drawn) < 2:
        return Markup()
    times = [point.as_of for point in drawn]
    places = places_of(times)
    sides = {
        "realised": [point.realised for point in drawn],
        "expected": [point.expected for point in drawn],
        "baseline": [point.baseline for point in drawn],
    }
    better = "higher is better" if measure.higher_is_better else "lower is better"
    return svg.line_chart(
        [Curve(line(places, values), name) for name, values in sides.items() if any(v is not None for v in values)],
        title=f"{measure.label}, expected and realised",
        x_label="as-of time",
        y_label=f"{measure.label} ({better})",
        x_ticks=time_ticks(places, times),
    )


def track_sentence(points: Sequence[TrackPoint], measure: Metric) -> str:
    """Tell what the newest scores with matured labels came to, beside what was expected and promised of them.

    Args:
        points: In time order; may be empty.
        measure: What their figures hold.
    """
    judged = [point for point in points if point.realised is not None]
    if not judged:
        return "No label of a stored prediction has matured yet."
    newest = judged[-1]
    told = [f"Of the scores of {moment(newest.as_of)} {measure.label} came to {metric(newest.realised)}"]
    if newest.expected is not None:
        told.append(f"{metric(newest.expected)} had been expected")
    if newest.promised is not None:
        told.append(f"the gate had promised {metric(newest.promised)}")
    waiting = sum(1 for point in points if point.rows is None)
    more = f" {waiting} of {len(points)} as-of times wait for their labels." if waiting else ""
    return f"{'; '.join(told)}.{more}"
