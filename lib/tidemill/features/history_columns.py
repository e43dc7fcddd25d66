"""Gaps, streaks and states in plain Spark: columns over the events of one entity that one as-of time sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.core.time import length_micros
from tidemill.features.arrays import let, total
from tidemill.features.pairs import AS_OF, ORDER

if TYPE_CHECKING:
    from datetime import timedelta

    from pyspark.sql import Column

    from tidemill.features.histories import Attribute

_DAY = 86_400_000_000.0


def gaps(seen: Column, *, distinct: bool) -> Column:
    """The lengths in days between consecutive events, as an array.

    Args:
        seen: whether an event counts.
        distinct: whether events of one instant are one event.
    """
    at = F.when(seen, F.unix_micros("event_time"))
    times = F.sort_array(F.collect_set(at) if distinct else F.collect_list(at))

    def between(found: Column) -> Column:
        pairs = F.greatest(F.size(found) - 1, F.lit(0))
        earlier, later = F.slice(found, F.lit(1), pairs), F.slice(found, F.lit(2), pairs)
        return F.zip_with(earlier, later, lambda a, b: (b - a) / F.lit(_DAY))

    return let(times, between)


def gap_statistic(lengths: Column, statistic: str) -> Column:
    """One statistic of the lengths; null over too few of them."""
    if statistic == "min":
        return F.array_min(lengths)
    if statistic == "max":
        return F.array_max(lengths)
    mean = total(lengths) / F.nullif(F.size(lengths), F.lit(0))
    if statistic == "mean":
        return mean

    def deviation(average: Column) -> Column:
        squares = F.transform(lengths, lambda v: (v - average) * (v - average))
        return F.sqrt(total(squares) / F.nullif(F.size(lengths) - 1, F.lit(0)))

    return F.when(F.size(lengths) > 1, let(mean, deviation))


def streak(seen: Column, period: timedelta, which: str) -> Column:
    """The current or the longest run of periods back from T that each hold an event.

    Args:
        seen: whether an event counts, and lies in the window.
        period: the length of one.
        which: `current` or `longest`.
    """
    back = F.unix_micros(AS_OF) - F.unix_micros("event_time") - 1  # period 0 is [T - p, T)
    number = F.call_function("div", back, F.lit(length_micros(period)))
    held = F.sort_array(F.collect_set(F.when(seen, number)))
    # In an unbroken run, number minus place is one value; in the one that begins at T it is zero.
    starts = let(held, lambda numbers: F.transform(numbers, lambda number, place: number - place))
    if which == "current":
        return F.size(F.filter(starts, lambda start: start == 0)).cast("double")
    return let(starts, _most_frequent).cast("double")


def state(item: Attribute, counts: Column) -> Column:
    """The attribute's value in the newest event that counts, null where that event has none."""
    newest = F.max_by(F.struct(F.col(item.column).cast(item.type).alias("value")), F.when(counts, F.col(ORDER)))
    return newest.getField("value")


def _most_frequent(starts: Column) -> Column:
    counts = F.transform(F.array_distinct(starts), lambda one: F.size(F.filter(starts, lambda start: start == one)))
    return F.coalesce(F.array_max(counts), F.lit(0))
