"""Which events an as-of time may see: the one place that decides it, in plain Spark.

Every event is paired with the as-of times that it concerns by arithmetic on runs of instants, so that no join is needed
and a grid of a hundred thousand instants costs no more than its matches.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from tidemill.core.time import encode_times, length_micros

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from pyspark.sql import Column, DataFrame

    from tidemill.core.time import Run

AS_OF = "event_timestamp"
ORDER = "_order"


def with_validity(silver: DataFrame, *, versions: bool) -> DataFrame:
    """Adds `superseded_time`: when the next version of the same row became known; null while none has.

    Args:
        silver: versions of one source.
        versions: whether any row has more than one version; without, nothing is compared.
    """
    if not versions:
        return silver.withColumn("superseded_time", F.lit(None).cast("timestamp"))
    later = (
        Window.partitionBy("row_id").orderBy("seq", "known_time", "content").rowsBetween(1, Window.unboundedFollowing)
    )
    return silver.withColumn("superseded_time", F.min("known_time").over(later))


def with_past_as_ofs(events: DataFrame, as_ofs: Iterable[datetime], lookback: timedelta | None) -> DataFrame:
    """One row per event and as-of time T that may see it: `T - lookback <= event_time < T` and `known_time < T`.

    A version counts from its arrival until the next one's: `known_time < T <= superseded_time`; a deleted row not at
    all.

    Args:
        events: silver rows with `superseded_time`.
        as_ofs: the as-of times, not necessarily regular.
        lookback: how far back they look, or None for everything.
    """
    event, known = F.unix_micros("event_time"), F.unix_micros("known_time")
    after = F.greatest(event, known) + 1
    until = None if lookback is None else event + length_micros(lookback)
    superseded = F.unix_micros("superseded_time")
    until = superseded if until is None else F.least(until, superseded)
    return _exploded(events.where(F.col("op") != "delete"), as_ofs, after, until)


def with_future_as_ofs(
    events: DataFrame, as_ofs: Iterable[datetime], nearest: timedelta, furthest: timedelta, matures_after: timedelta
) -> DataFrame:
    """One row per event and as-of time t whose label looks at it: `t + nearest <= event_time < t + furthest`.

    A label is frozen when it matures: a version counts if at `t + matures_after` it was known and not yet superseded.
    """
    event = F.unix_micros("event_time")
    maturity = length_micros(matures_after)
    first = F.greatest(event - length_micros(furthest), F.unix_micros("known_time") - maturity) + 1
    last = F.least(event - length_micros(nearest), F.unix_micros("superseded_time") - maturity)
    return _exploded(events.where(F.col("op") != "delete"), as_ofs, first, last)


def event_order() -> Column:
    """The order of an entity's events; equal instants are settled by sequence and identity."""
    return F.struct("event_time", "seq", "row_id")


def _exploded(events: DataFrame, as_ofs: Iterable[datetime], first: Column, last: Column) -> DataFrame:
    """Pairs each event with the as-of times in `[first, last]`, microseconds; a null end is no end."""
    runs = encode_times(as_ofs)
    parts = [_members(run, first, last) for run in runs]
    times = functools.reduce(F.concat, parts) if parts else F.array().cast("array<bigint>")
    return events.withColumn("_t", F.explode(times)).withColumn(AS_OF, F.timestamp_micros("_t")).drop("_t")


def _members(run: Run, first: Column, last: Column) -> Column:
    start, step = F.lit(run.start), F.lit(run.step)
    low = F.greatest(F.lit(0).cast("bigint"), -_floor_div(start - first, step))  # the first member at or after `first`
    high = F.least(
        F.lit(run.count - 1).cast("bigint"), F.coalesce(_floor_div(last - start, step), F.lit(run.count - 1))
    )
    steps = F.when(low <= high, F.sequence(low, high)).otherwise(F.array().cast("array<bigint>"))
    return F.transform(steps, lambda i: start + i * step)


def _floor_div(a: Column, b: Column) -> Column:
    """Division of whole numbers rounded down; SQL's `div` rounds towards zero."""
    quotient = F.call_function("div", a, b)
    return quotient - F.when(a - quotient * b < 0, 1).otherwise(0)
