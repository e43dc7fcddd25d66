"""The least-squares slope of the column's values over time, in their unit a day: the trend of the window.

Null where the values lie at fewer than two instants; NaN where one of them is not finite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.algebra import Algebra, Cut, as_doubles, summed
from tidemill.features.arrays import let, total

if TYPE_CHECKING:
    from pyspark.sql import Column

    from tidemill.features.algebra import Array, State

_DAY = 86_400_000_000.0


def _spark(value: Column, order: Column) -> Column:
    from pyspark.sql import functions as F

    at = F.unix_micros(order.getField("event_time"))
    point = F.struct(at.alias("at"), value.cast("double").alias("value"))
    points = F.sort_array(F.collect_list(F.when(value.isNotNull(), point)))

    def slope(found: Column) -> Column:
        # Days since the first point, so that whole microseconds are told apart after any number of years.
        days = F.transform(found, lambda p: (p["at"] - F.get(found, F.lit(0))["at"]) / F.lit(_DAY))
        values = F.transform(found, lambda p: p["value"])
        return let(F.struct(_centred(days).alias("x"), _centred(values).alias("y")), _of_centred)

    return let(points, slope)


def _centred(values: Column) -> Column:
    from pyspark.sql import functions as F

    mean = total(values) / F.nullif(F.size(values), F.lit(0))
    return let(mean, lambda m: F.transform(values, lambda v: v - m))


def _of_centred(points: Column) -> Column:
    from pyspark.sql import functions as F

    x, y = points["x"], points["y"]
    spread = total(F.transform(x, lambda v: v * v))
    return total(F.zip_with(x, y, lambda a, b: a * b)) / F.nullif(spread, F.lit(0.0))


def _reduce(cut: Cut) -> State:
    """Count, first instant, mean days since it, mean value, and the sums of squared days and of products about these.

    Two passes, and days since the segment's own first instant, so that neither old times nor large values cancel.
    """
    if cut.times is None:
        raise TypeError("a slope looks at times")
    counts = cut.counts
    first = cut.times[cut.starts]
    days = (cut.times - np.repeat(first, counts[cut.filled])) / _DAY
    x, mean_x = _about_mean(days, counts)
    y, mean_y = _about_mean(as_doubles(cut.values, cut.scale), counts)
    squares, products = (summed(Cut(x * of, counts))[1] for of in (x, y))
    return (counts, cut.spread(first, 0), mean_x, mean_y, squares, products)


def _about_mean(values: Array, counts: Array) -> tuple[Array, Array]:
    mean = summed(Cut(values, counts))[1] / np.maximum(counts, 1)
    return values - np.repeat(mean, counts), mean


def _combine(older: State, newer: State) -> State:
    """As `stddev` does; the days between two means are counted from whole microseconds."""
    (n, first, mean_x, mean_y, squares, products), (more, next_first, next_x, next_y, *next_sums) = older, newer
    counts = n + more
    both = (n > 0) & (more > 0)
    apart_x = np.where(both, (next_first - first) / _DAY + (next_x - mean_x), 0.0)
    apart_y = np.where(both, next_y - mean_y, 0.0)
    part = more / np.maximum(counts, 1)
    return (
        counts,
        np.where(n > 0, first, next_first),
        np.where(n > 0, mean_x + apart_x * part, next_x),
        np.where(n > 0, mean_y + apart_y * part, next_y),
        squares + next_sums[0] + apart_x * apart_x * part * n,
        products + next_sums[1] + apart_x * apart_y * part * n,
    )


def _final(state: State, _scale: int) -> tuple[Array, Array]:
    squares, products = state[4:]
    apart = squares > 0
    return products / np.where(apart, squares, 1.0), apart


KIND = AggregateKind(
    "double", None, needs_column=True, spark=_spark, arrow=Algebra(_reduce, _combine, _final, timed=True)
)
