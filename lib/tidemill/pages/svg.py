"""Charts as SVG markup: they stand in a page, need no style sheet, no script and no colour.

Each chart is an image with a title and a description for those who cannot see it. Series differ by dash and marker, or
by hollow and full bars, besides their colour (class ``series-1`` and so on, which a style sheet may set). What has no
data is not drawn: the answer is then one sentence. The view box is 360 wide, so that text stays readable on a phone.
"""

import math
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from tidemill.pages.axes import (
    CHARACTER,
    LINE,
    WIDTH,
    Scale,
    Tick,
    draw_axes,
    draw_chart,
    drawable,
    finite_span,
    left_margin,
    placed,
    round_ticks,
)
from tidemill.pages.marks import draw_bar, draw_bar_legend, draw_diagonal, draw_legend, draw_line
from tidemill.pages.markup import element, shortened
from tidemill.pages.numerals import count, number, share
from tidemill.pages.values import CalibrationBin, Curve

_LONGEST_LABEL = 12  # characters of a bin label under its bars; the whole label is in the tip
_MOST_MARKERS = 40  # with more points than this the line alone is drawn
_BELOW = 42.0  # tick labels and the name of the level axis
_RIGHT = 12.0
_UNIT: Final[tuple[Tick, ...]] = ((0.0, "0"), (0.25, "0.25"), (0.5, "0.5"), (0.75, "0.75"), (1.0, "1"))


def line_chart(
    curves: Sequence[Curve],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x_ticks: Sequence[Tick] = (),
    unit_square: bool = False,
) -> Markup:
    """Draw one or more lines, such as a ROC curve or performance over as-of times.

    Args:
        curves: Lines in the order of the legend; points that are not finite leave gaps.
        title: What the chart shows.
        x_label: Name and unit of the level axis.
        y_label: Name and unit of the upright axis.
        x_ticks: (value, label) for the level axis; without them round numbers are chosen.
        unit_square: Both axes run from 0 to 1, with the diagonal drawn.

    Returns:
        An ``svg`` element, or a sentence where no point can be drawn.
    """
    points = [point for curve in curves for point in curve.points if placed(point)]
    if not points:
        return _sentence(f"{title}: there is nothing to draw yet.")
    top = LINE * (len(curves) + 1) + 12
    height = 250.0 if unit_square else 170.0
    y_ticks = _UNIT if unit_square else round_ticks(*finite_span(y for _, y in points))
    level = _UNIT if unit_square else tuple(x_ticks) or round_ticks(*finite_span(x for x, _ in points))
    x = _scale(level, left_margin(y_ticks), WIDTH - _RIGHT)
    y = _scale(y_ticks, top + height, top)
    parts = [draw_axes(x, y, x_label=x_label, y_label=y_label)]
    if unit_square:
        parts.append(draw_diagonal(x, y))
    for index, curve in enumerate(curves):
        markers = len(curve.points) <= _MOST_MARKERS
        parts.append(draw_line(curve.points, index, x, y, markers=markers))
        parts.append(draw_legend(curve.label, index, markers=markers))
    described = "; ".join(_described(curve) for curve in curves)
    return draw_chart(parts, title=title, description=f"{y_label} by {x_label}. {described}.", height=y.start + _BELOW)


def bar_pairs(
    bins: Sequence[str], reference: Sequence[float], current: Sequence[float], *, title: str, x_label: str
) -> Markup:
    """Draw two histograms of one feature side by side: reference hollow, current full.

    Args:
        bins: Labels of the bins, in order.
        reference: Rows or shares per bin at reference time; drawn as shares of their sum.
        current: The same of the current rows.
        title: What the chart shows.
        x_label: What the bins are.

    Returns:
        An ``svg`` element, or a sentence where either side has no rows.
    """
    sides = [_shares(reference), _shares(current)]
    empty = [name for name, side in zip(("reference", "current"), sides, strict=True) if not any(side)]
    if empty:
        return _sentence(f"{title}: there are no {' and no '.join(empty)} rows to draw.")
    ticks = round_ticks(0.0, max(max(side) for side in sides), 3)
    top = LINE * 2 + 12
    y = _scale(tuple((value, share(value)) for value, _ in ticks), top + 110, top)
    left = left_margin(y.ticks)
    slot = (WIDTH - _RIGHT - left) / len(bins)
    labels, lines = _bin_ticks(bins, slot)
    x = Scale(0, len(bins), left, WIDTH - _RIGHT, labels)
    parts = [draw_axes(x, y, x_label=x_label, y_label="share of rows", lines=lines)]
    for index, (label, *pair) in enumerate(zip(bins, *sides, strict=True)):
        at = left + slot * (index + 0.14)
        bars = [
            draw_bar(at + side * slot * 0.36, y.at(value), slot * 0.36, y.start - y.at(value), current=side == 1)
            for side, value in enumerate(pair)
        ]
        tip = f"{label}: reference {share(pair[0])}, current {share(pair[1])}"
        parts.append(element("g", element("title", tip), *bars))
    parts.extend(draw_bar_legend())
    most = max(range(len(bins)), key=lambda index: abs(sides[1][index] - sides[0][index]))
    described = f"Largest change in {bins[most]}: {share(sides[0][most])} before, {share(sides[1][most])} now."
    return draw_chart(parts, title=title, description=described, height=y.start + _BELOW + LINE * (lines - 1))


def calibration_chart(bins: Sequence[CalibrationBin], *, title: str) -> Markup:
    """Draw what happened against what was predicted; on the diagonal, scores are honest.

    Args:
        bins: Bins of the scores; those that are not finite are left out. The area of a dot grows with its rows.
        title: What the chart shows.

    Returns:
        An ``svg`` element, or a sentence where no bin can be drawn.
    """
    kept = [one for one in bins if drawable(one.mean_score) and drawable(one.observed) and one.rows > 0]
    if not kept:
        return _sentence(f"{title}: there is nothing to draw yet.")
    sides = (value for one in kept for value in (one.mean_score, one.observed))
    ticks = round_ticks(*finite_span((0.0, *sides)))
    top = LINE + 12
    x = _scale(ticks, left_margin(ticks), WIDTH - _RIGHT)
    y = _scale(ticks, top + 250, top)
    parts = [draw_axes(x, y, x_label="mean predicted probability", y_label="share that happened"), draw_diagonal(x, y)]
    most = max(one.rows for one in kept)
    for one in kept:
        tip = f"{count(one.rows)} rows: predicted {number(one.mean_score)}, happened {number(one.observed)}"
        radius = max(2.5, 9 * (one.rows / most) ** 0.5)
        dot = element(
            "circle",
            element("title", tip),
            cx=x.at(one.mean_score),
            cy=y.at(one.observed),
            r=radius,
            class_="dot",
            fill="currentColor",
            stroke="currentColor",
        )
        parts.append(dot)
    worst = max(kept, key=lambda one: abs(one.observed - one.mean_score))
    described = (
        f"{len(kept)} bins. Farthest from the diagonal: predicted {number(worst.mean_score)}, "
        f"happened {number(worst.observed)}, {count(worst.rows)} rows."
    )
    return draw_chart(parts, title=title, description=described, height=y.start + _BELOW)


def _scale(ticks: Sequence[Tick], start: float, end: float) -> Scale:
    return Scale(ticks[0][0], ticks[-1][0], start, end, tuple(ticks))


def _shares(values: Sequence[float]) -> list[float]:
    kept = [value if drawable(value) and value > 0 else 0.0 for value in values]
    total = sum(kept)
    return [value / total for value in kept] if total else kept


def _bin_ticks(bins: Sequence[str], slot: float) -> tuple[tuple[Tick, ...], int]:
    """Label the bins on one line if they fit, else taking turns on two, else only every so many of them."""
    room = (min(_LONGEST_LABEL, max(len(label) for label in bins)) + 1) * CHARACTER
    lines = 2 if slot < room <= 2 * slot else 1
    every = 1 if room <= lines * slot else math.ceil(room / slot)
    kept = range(0, len(bins), every)
    return tuple((index + 0.5, shortened(bins[index], _LONGEST_LABEL)) for index in kept), lines


def _described(curve: Curve) -> str:
    kept = [point for point in curve.points if placed(point)]
    if not kept:
        return f"{curve.label}: no data"
    low, high = finite_span(y for _, y in kept)
    return f"{curve.label}: from {number(low)} to {number(high)}, last {number(kept[-1][1])}"


def _sentence(text: str) -> Markup:
    return element("p", text, class_="nothing")
