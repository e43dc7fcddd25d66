"""Feature views computed in plain Spark: from silver versions and as-of times to gold rows.

Functions on frames. An entity has a gold row at T as soon as any of its events was known before T, so that what it has
not done counts as nothing done, in training and online alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.features.declarations import (
    Aggregate,
    Calendar,
    Difference,
    Feature,
    Log1p,
    Ratio,
    Recency,
    Tenure,
    aggregate_kind,
)
from tidemill.features.pairs import AS_OF, ORDER, event_order, with_past_as_ofs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from pyspark.sql import Column, DataFrame

    from tidemill.features.declarations import Declaration
    from tidemill.features.specs import FeatureView

_SECONDS_A_DAY = 86_400_000_000


def build_view(events: DataFrame, view: FeatureView, as_ofs: Sequence[datetime]) -> DataFrame:
    """The view's rows at the as-of times.

    Args:
        events: silver versions of the view's source, with `superseded_time`.
        view: what to compute.
        as_ofs: the as-of times; each sees only what was known strictly before it.

    Returns:
        Grain: entity and `event_timestamp` (T); the view's features, missing counts and sums as zero.
    """
    key = view.entity.key
    aggregated = aggregates_of(view)
    counts: Column = F.lit(True)
    if view.lookback is None:  # the pairs say also who has a row: versions that were known but do not count any more
        counts = (F.col("_op") != "delete") & F.coalesce(F.col("_until") >= F.col(AS_OF), F.lit(True))
        ever = {"_op": F.col("op"), "_until": F.col("superseded_time"), **_for_good()}
        events = events.withColumns(ever)
    pairs = with_past_as_ofs(events, as_ofs, view.lookback).withColumn(ORDER, event_order())
    columns = [column for item in aggregated for column in _aggregated(item, counts)]
    found = pairs.groupBy(key, AS_OF).agg(*(columns or [F.count(F.lit(1)).alias("_events")]))
    if view.lookback is not None:
        found = _known_entities(events, key, as_ofs).join(found, [key, AS_OF], "left")
    return completed(found, view)


def aggregates_of(view: FeatureView) -> list[Aggregate | Recency | Tenure]:
    """The declarations that are computed from events; the others are derived from their features."""
    return [item for item in view.features if isinstance(item, Aggregate | Recency | Tenure)]


def completed(found: DataFrame, view: FeatureView) -> DataFrame:
    """The view's rows from the features of its aggregates: what is missing filled in, what is derived computed."""
    aggregated = aggregates_of(view)
    found = with_defaults(found, [f for item in aggregated for f in item.features()])
    for item in view.features:
        if item not in aggregated:
            found = _with_derived(found, item)
    return found.select(view.entity.key, AS_OF, *[f.name for f in view.columns])


def with_defaults(frame: DataFrame, features: Sequence[Feature]) -> DataFrame:
    """Fills what a missing row of a view means: no event at all. NaN is a value, unlike in Spark's `fillna`."""
    return frame.withColumns({f.name: F.coalesce(f.name, F.lit(f.missing)) for f in features if f.missing is not None})


def _for_good() -> dict[str, Column]:
    """What makes a version count from when it was known on, for ever."""
    return {"superseded_time": F.lit(None).cast("timestamp"), "op": F.lit("upsert")}


def _known_entities(events: DataFrame, key: str, as_ofs: Sequence[datetime]) -> DataFrame:
    """Every entity at every as-of time before which any of its events was known."""
    moment = F.greatest("event_time", "known_time")
    first = (
        events.groupBy(key)
        .agg(F.min(moment).alias("event_time"))
        .withColumns(
            {
                "known_time": F.col("event_time"),
                "superseded_time": F.lit(None).cast("timestamp"),
                "op": F.lit("upsert"),
            }
        )
    )
    return with_past_as_ofs(first, as_ofs, None).select(key, AS_OF)


def _aggregated(item: Declaration, counts: Column) -> list[Column]:
    condition = counts & F.expr(item.where) if isinstance(item, Aggregate | Recency) and item.where else counts
    names = [f.name for f in item.features()]
    if isinstance(item, Aggregate):
        kind = aggregate_kind(item.function)
        value = F.col(item.column) if item.column else F.lit(1)
        inside = [condition & _within(w) for w in item.windows] or [condition]
        return [
            kind.spark(F.when(seen, value), F.col(ORDER)).alias(name) for name, seen in zip(names, inside, strict=True)
        ]
    edge = F.min if isinstance(item, Tenure) else F.max
    return [_days_between(edge(F.when(condition, F.col("event_time"))), F.col(AS_OF)).alias(names[0])]


def _within(window: timedelta) -> Column:
    return F.col("event_time") >= F.col(AS_OF) - F.make_dt_interval(secs=F.lit(window.total_seconds()))


def _days_between(start: Column, end: Column) -> Column:
    return (F.unix_micros(end) - F.unix_micros(start)) / F.lit(_SECONDS_A_DAY)


def _with_derived(frame: DataFrame, item: Declaration) -> DataFrame:
    names = [f.name for f in item.features()]
    match item:
        case Ratio(over, under):
            return frame.withColumn(names[0], F.col(over) / F.nullif(F.col(under), F.lit(0.0)))
        case Difference(left, right):
            return frame.withColumn(names[0], F.col(left) - F.col(right))
        case Log1p(of):
            return frame.withColumn(names[0], F.signum(of) * F.log1p(F.abs(of)))
        case Calendar(parts):
            reads = {
                "hour": F.hour(AS_OF),
                "weekday": F.weekday(AS_OF),
                "month": F.month(AS_OF),
            }
            return frame.withColumns(dict(zip(names, [reads[p].cast("double") for p in parts], strict=True)))
        case _:
            raise TypeError(f"{item} is no derived feature")
