"""How the drift of the weightiest features went over the as-of times: one chart and one table."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tidemill.pages import svg
from tidemill.pages.numerals import moment
from tidemill.pages.times import line, places_of, time_ticks
from tidemill.pages.values import Curve, Verdict, check_verdict

DRAWN = 4  # as many series as a chart can tell apart without colour


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """The drift of a feature at one as-of time.

    Attributes:
        as_of: The as-of time.
        value: The report's drift metric; None where it could not be computed.
        verdict: What was made of it then.

    Raises:
        ValueError: The verdict is unknown.
    """

    as_of: str
    value: float | None
    verdict: Verdict

    def __post_init__(self) -> None:
        check_verdict(self.verdict, f"drift at {self.as_of}")


@dataclass(frozen=True, slots=True)
class Course:
    """The drift of one feature over time.

    Attributes:
        feature: Its name.
        weight: Its share of the model's importance; None where the model does not say.
        points: In time order; the newest is the report's own.
    """

    feature: str
    weight: float | None
    points: tuple[CoursePoint, ...]


def courses_chart(courses: Sequence[Course], measure: str) -> Markup:
    """Draw the first courses; nothing where fewer than two times have a figure.

    Args:
        courses: The weightiest first.
        measure: Name of what their points hold.
    """
    drawn = [course for course in courses if any(point.value is not None for point in course.points)][:DRAWN]
    times = sorted({point.as_of for course in drawn for point in course.points if point.value is not None})
    if len(times) < 2:
        return Markup()
    places = places_of(times)
    curves = []
    for course in drawn:
        known = {point.as_of: point.value for point in course.points}
        curves.append(Curve(line(places, [known.get(at) for at in times]), course.feature))
    return svg.line_chart(
        curves,
        title=f"{measure} of the weightiest features over as-of times",
        x_label="as-of time",
        y_label=measure,
        x_ticks=time_ticks(places, times),
    )


def courses_sentence(courses: Sequence[Course]) -> str:
    """Tell since when which of the features have moved.

    Args:
        courses: The weightiest first; may be empty.
    """
    since = {course.feature: _since(course) for course in courses}
    told = [f"{feature} since {moment(at)}" for feature, at in since.items() if at]
    return f"Moved without a break: {', '.join(told)}." if told else "None of them moves now."


def _since(course: Course) -> str:
    """The first of the as-of times in a row, up to the newest, at which it moved; empty where it does not move now."""
    first = ""
    for point in reversed(course.points):
        if point.verdict not in {"warn", "alert"}:
            break
        first = point.as_of
    return first
