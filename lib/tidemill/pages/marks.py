"""Marks that can be told apart without colour: verdicts by shape, series by dash and marker or hollow and full bars."""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from tidemill.pages.axes import LINE, Scale, placed, thinned
from tidemill.pages.markup import element, pixels, shortened
from tidemill.pages.values import Verdict

_DASHES: Final = ("none", "7 4", "2 3", "9 3 2 3")
_LONGEST_LEGEND = 48
_MARKS: Final[dict[Verdict, tuple[Markup, str]]] = {
    "ok": (element("circle", cx=12, cy=12, r=10), "M7 12.5l3.5 3.5L17 8.5"),
    "warn": (element("path", d="M12 2L23 21.5H1z"), "M12 9v6M12 17.6v1.6"),
    "alert": (element("path", d="M7.5 1.5h9l6 6v9l-6 6h-9l-6-6v-9z"), "M8 8l8 8M16 8l-8 8"),
    "insufficient": (element("circle", cx=12, cy=12, r=9.5, stroke_dasharray="4 3"), "M7.5 12h9"),
}


def verdict_mark(verdict: Verdict) -> Markup:
    """Draw the mark of a verdict; the word stands beside it, so a screen reader is spared the mark.

    Args:
        verdict: A circle with a tick, a triangle, an octagon with a cross, or a broken circle.

    Returns:
        An ``svg`` element of 24 by 24.
    """
    outline, sign = _MARKS[verdict]
    return element(
        "svg",
        outline,
        element("path", d=sign),
        xmlns="http://www.w3.org/2000/svg",
        viewBox="0 0 24 24",
        width="24",
        height="24",
        class_=f"mark {verdict}",
        aria_hidden="true",
        fill="none",
        stroke="currentColor",
        stroke_width="2",
    )


def draw_line(points: Sequence[tuple[float, float]], index: int, x: Scale, y: Scale, *, markers: bool) -> Markup:
    """Draw one series as a line, broken where a point has no place.

    Args:
        points: Values in drawing order.
        index: Place among the series of the chart; it chooses dash and marker.
        x: The level scale.
        y: The upright scale.
        markers: Whether to mark each point; a point alone between two gaps is always marked.

    Returns:
        A group element.
    """
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if placed(point):
            runs[-1].append((x.at(point[0]), y.at(point[1])))
        elif runs[-1]:
            runs.append([])
    drawn = [thinned(run) for run in runs if run]
    path = "".join("M" + "L".join(f"{pixels(at)} {pixels(up)}" for at, up in run) for run in drawn)
    parts = [_stroke(path, index)]
    parts.extend(_marker(at, up, index) for run in drawn if markers or len(run) == 1 for at, up in run)
    return element("g", *parts)


def draw_legend(label: str, index: int, *, markers: bool) -> Markup:
    """Draw the legend of one series: its dash, its marker and its name.

    Args:
        label: Name of the series, cut where it would run out of the chart.
        index: Place among the series of the chart, and line of the legend.
        markers: Whether the points of the series are marked.

    Returns:
        A group element.
    """
    up = 10 + LINE * index
    text = element("text", shortened(label, _LONGEST_LEGEND), x=42, y=up + 4, fill="currentColor")
    marker = (_marker(21, up, index),) if markers else ()
    return element("g", _stroke(f"M6 {pixels(up)}H36", index), *marker, text)


def draw_bar_legend() -> tuple[Markup, Markup]:
    """Draw the legend of two histograms.

    Returns:
        The hollow mark of the reference and the full mark of the current rows, each with its word.
    """
    return (
        element("g", draw_bar(6, 5, 10, 10, current=False), _word("reference", 22)),
        element("g", draw_bar(106, 5, 10, 10, current=True), _word("current", 122)),
    )


def draw_bar(at: float, top: float, width: float, height: float, *, current: bool) -> Markup:
    """Draw one bar.

    Args:
        at: Left edge.
        top: Upper edge.
        width: Width in pixels.
        height: Height in pixels.
        current: Full for current rows, hollow for the reference.

    Returns:
        A ``rect`` element.
    """
    return element(
        "rect",
        x=at,
        y=top,
        width=width,
        height=height,
        class_="bar-current" if current else "bar-reference",
        fill="currentColor" if current else "none",
        stroke="currentColor",
    )


def draw_diagonal(x: Scale, y: Scale) -> Markup:
    """Draw the line of equal values: chance for a ROC curve, honest scores for calibration.

    Args:
        x: The level scale.
        y: The upright scale, of the same values.

    Returns:
        A ``line`` element.
    """
    return element(
        "line",
        x1=x.start,
        y1=y.start,
        x2=x.end,
        y2=y.end,
        class_="diagonal",
        stroke="currentColor",
        stroke_dasharray="3 4",
    )


def _word(text: str, at: float) -> Markup:
    return element("text", text, x=at, y=14, fill="currentColor")


def _series(index: int) -> str:
    return f"series-{index % len(_DASHES) + 1}"


def _stroke(path: str, index: int) -> Markup:
    dash = _DASHES[index % len(_DASHES)]
    return element(
        "path",
        d=path,
        class_=f"line {_series(index)}",
        fill="none",
        stroke="currentColor",
        stroke_width="2",
        stroke_dasharray=dash,
    )


def _marker(at: float, up: float, index: int) -> Markup:
    """Draw a full circle, a hollow square, a full triangle or a hollow diamond."""
    shape = index % len(_DASHES)
    common = {"class_": f"marker {_series(index)}", "stroke": "currentColor"}
    if shape == 0:
        return element("circle", cx=at, cy=up, r=3.5, fill="currentColor", **common)
    if shape == 1:
        return element("rect", x=at - 3.5, y=up - 3.5, width=7, height=7, fill="none", **common)
    if shape == 2:
        return element("path", d=f"M{pixels(at)} {pixels(up - 4.5)}l4.5 8h-9z", fill="currentColor", **common)
    return element("path", d=f"M{pixels(at)} {pixels(up - 5)}l5 5-5 5-5-5z", fill="none", **common)
