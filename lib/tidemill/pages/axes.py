"""The frame of a chart: a scale with round ticks on each side, and where a value falls on it."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tidemill.pages.markup import element, pixels
from tidemill.pages.numerals import fixed, number

WIDTH = 360.0
CHARACTER = 6.5  # width of a digit at the font size of the charts, in pixels of the view box
LINE = 15.0  # height of a line of text
LARGEST = 1e300  # beyond it the span of two values may overflow; such values are not drawn

Tick = tuple[float, str]


def drawable(value: float | None) -> bool:
    """Say whether a value has a place on a scale.

    Args:
        value: Any float, or None.

    Returns:
        False for None, NaN, infinities and values beyond 1e300.
    """
    return value is not None and abs(value) < LARGEST


def placed(point: tuple[float, float]) -> bool:
    """Say whether a point has a place in a chart.

    Args:
        point: (x, y).

    Returns:
        False where either is not drawable.
    """
    return drawable(point[0]) and drawable(point[1])


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` laid out from pixel `start` to pixel `end`; ticks include both ends."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[Tick, ...]

    def at(self, value: float) -> float:
        """Place a value.

        Args:
            value: A drawable value; beyond the ends it is drawn at the end.

        Returns:
            Pixels of the view box.
        """
        if self.high == self.low:
            return (self.start + self.end) / 2
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def round_ticks(low: float, high: float, intervals: int = 4) -> tuple[Tick, ...]:
    """Choose ticks at steps of 1, 2 or 5 times a power of ten that hold both ends.

    Args:
        low: Least value to show.
        high: Largest value; where it equals `low`, room is made on both sides.
        intervals: About how many steps to take.

    Returns:
        (value, label) in rising order, at least two.
    """
    size = max(abs(low), abs(high))
    if high - low <= max(size * 1e-9, 1 / LARGEST):
        margin = size * 0.05 if size > 1 / LARGEST else 0.5
        low, high = low - margin, high + margin
    rough = (high - low) / intervals
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.75)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    values = [index * step for index in range(first, last + 1)]
    labels = [number(value) for value in values]
    if not any("e" in label for label in labels):
        decimals = max(len(label.partition(".")[2]) for label in labels)
        labels = [fixed(value, decimals) for value in values]
    return tuple(zip(values, labels, strict=True))


def finite_span(values: Iterable[float]) -> tuple[float, float]:
    """Find the least and the largest drawable value.

    Args:
        values: Any floats, at least one of them drawable.

    Returns:
        (least, largest).
    """
    kept = [value for value in values if drawable(value)]
    return min(kept), max(kept)


def left_margin(ticks: Sequence[Tick]) -> float:
    """Leave room for the labels of the upright axis.

    Args:
        ticks: Its ticks.

    Returns:
        Pixels from the left edge to the axis.
    """
    return 12 + CHARACTER * max(len(label) for _, label in ticks)


def draw_axes(x: Scale, y: Scale, *, x_label: str, y_label: str, lines: int = 1) -> Markup:
    """Draw both axes with their ticks, the grid and the names.

    Args:
        x: The level scale.
        y: The upright scale; its `start` is the bottom.
        x_label: Name under the level axis.
        y_label: Name above the upright axis, level so that it reads without turning one's head.
        lines: Lines over which the labels under the level axis take turns.

    Returns:
        A group element.
    """
    parts = [element("text", y_label, x=4, y=y.end - 9, class_="axis-name")]
    for value, label in y.ticks:
        at = y.at(value)
        parts.append(element("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="grid", stroke="currentColor"))
        parts.append(element("text", label, x=x.start - 6, y=at + 4, text_anchor="end"))
    parts.append(element("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="axis", stroke="currentColor"))
    for index, (value, label) in enumerate(x.ticks):
        at, up = x.at(value), y.start + 17 + LINE * (index % lines)
        parts.append(element("line", x1=at, x2=at, y1=y.start, y2=y.start + 4, class_="axis", stroke="currentColor"))
        parts.append(element("text", label, x=_inside(at, label), y=up, text_anchor="middle"))
    middle, below = (x.start + x.end) / 2, y.start + 19 + LINE * lines
    parts.append(element("text", x_label, x=middle, y=below, text_anchor="middle", class_="axis-name"))
    return element("g", *parts, class_="axes", fill="currentColor")


def draw_chart(parts: Iterable[Markup], *, title: str, description: str, height: float) -> Markup:
    """Put the parts of a chart into one image with a title and a description.

    Args:
        parts: Elements in drawing order.
        title: What the chart shows.
        description: What one would see in it.
        height: Height of the view box; its width is 360.

    Returns:
        An ``svg`` element that is an image to assistive technology.
    """
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {pixels(WIDTH)} {pixels(height)}",
        class_="chart",
        role="img",
        font_size="11",
        font_family="system-ui, sans-serif",
    )


def thinned(points: Sequence[tuple[float, float]], least: float = 0.5) -> list[tuple[float, float]]:
    """Drop points that nobody could tell from the one before.

    Args:
        points: Pixels, in drawing order.
        least: How far, in pixels, a point must lie from the last one kept.

    Returns:
        The points kept; the first and the last always are.
    """
    kept = list(points[:1])
    for point in itertools.islice(points, 1, max(1, len(points) - 1)):
        if math.dist(point, kept[-1]) >= least:
            kept.append(point)
    return kept + list(points[1:][-1:])


def _inside(at: float, label: str) -> float:
    half = CHARACTER * len(label) / 2
    return max(half, min(at, WIDTH - half))
