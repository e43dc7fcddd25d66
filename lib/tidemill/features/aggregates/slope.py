"""The least-squares slope of the column's values over time, in their unit a day: the trend of the window.

Null where the values lie at fewer than two instants; NaN where one of them is not finite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.arrays import let, total

if TYPE_CHECKING:
    from pyspark.sql import Column

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


KIND = AggregateKind("double", None, needs_column=True, spark=_spark)
