"""Feature views computed in plain Spark: from silver versions and as-of times to gold rows.

Functions on frames. An entity has a gold row at T as soon as any of its events was known before T, so that what it has
not done counts as nothing done, in training and online alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.features.declarations import Aggregate, Feature, Recency, Tenure, aggregate_kind
from tidemill.features.derived import Calendar, Joined, OverEvents, Request, tree_of
from tidemill.features.expression_columns import column_of
from tidemill.features.histories import Attribute, Gaps, Streak
from tidemill.features.history_columns import gap_statistic, gaps, state, streak
from tidemill.features.pairs import AS_OF, ORDER, event_order, with_past_as_ofs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from pyspark.sql import Column, DataFrame

    from tidemill.features.derived import Declaration
    from tidemill.features.specs import FeatureView

_MICROS_A_DAY = 86_400_000_000


def build_view(
    events: DataFrame,
    view: FeatureView,
    as_ofs: Sequence[datetime],
    others: Mapping[str, DataFrame] | None = None,
    worlds: tuple[str, ...] = (),
) -> DataFrame:
    """The view's rows at the as-of times.

    Args:
        events: silver versions of the view's source, with `superseded_time`.
        view: what to compute.
        as_ofs: the as-of times; each sees only what was known strictly before it.
        others: the same of the sources of views that it joins, by their names; its own may be among them.
        worlds: columns of all these events, if any, that say which world they are of; those of two never meet.

    Returns:
        Grain: entity, `event_timestamp` (T) and world; the view's features, missing counts and sums as zero.
    """
    entity = (view.entity.key, *worlds)
    aggregated = aggregates_of(view)
    counts: Column = F.lit(True)
    if view.lookback is None:  # the pairs say also who has a row: versions that were known but do not count any more
        counts = (F.col("_op") != "delete") & F.coalesce(F.col("_until") >= F.col(AS_OF), F.lit(True))
        ever = {"_op": F.col("op"), "_until": F.col("superseded_time"), **_for_good()}
        events = events.withColumns(ever)
    pairs = with_past_as_ofs(events, as_ofs, view.lookback).withColumn(ORDER, event_order())
    columns = [column for item in aggregated for column in _aggregated(item, counts)]
    found = pairs.groupBy(*entity, AS_OF).agg(*(columns or [F.count(F.lit(1)).alias("_events")]))
    if view.lookback is not None:
        found = _known_entities(events, entity, as_ofs).join(found, [*entity, AS_OF], "left")
    return completed(found, view, as_ofs, others or {}, worlds)


def aggregates_of(view: FeatureView) -> list[Declaration]:
    """The declarations that are computed from events; the others are made from their features."""
    return [item for item in view.features if over_events(item) is not None]


def completed(
    found: DataFrame,
    view: FeatureView,
    as_ofs: Sequence[datetime],
    others: Mapping[str, DataFrame],
    worlds: tuple[str, ...] = (),
) -> DataFrame:
    """The view's rows from the features of its aggregates: what is missing filled in, what is derived computed."""
    aggregated = aggregates_of(view)
    found = with_defaults(found, [f for item in aggregated for f in item.features()])
    for item in view.features:
        if isinstance(item, Joined):
            found = _with_joined(found, item, as_ofs, others, worlds)
        elif item not in aggregated:
            found = _with_derived(found, item)
    return found.select(view.entity.key, AS_OF, *worlds, *[f.name for f in view.columns])


def with_defaults(frame: DataFrame, features: Sequence[Feature]) -> DataFrame:
    """Fills what a missing row of a view means: no event at all. NaN is a value, unlike in Spark's `fillna`."""
    return frame.withColumns({f.name: F.coalesce(f.name, F.lit(f.missing)) for f in features if f.missing is not None})


def _for_good() -> dict[str, Column]:
    """What makes a version count from when it was known on, for ever."""
    return {"superseded_time": F.lit(None).cast("timestamp"), "op": F.lit("upsert")}


def _known_entities(events: DataFrame, entity: tuple[str, ...], as_ofs: Sequence[datetime]) -> DataFrame:
    """Every entity at every as-of time before which any of its events was known."""
    moment = F.greatest("event_time", "known_time")
    first = (
        events.groupBy(*entity)
        .agg(F.min(moment).alias("event_time"))
        .withColumns(
            {
                "known_time": F.col("event_time"),
                "superseded_time": F.lit(None).cast("timestamp"),
                "op": F.lit("upsert"),
            }
        )
    )
    return with_past_as_ofs(first, as_ofs, None).select(*entity, AS_OF)


def over_events(item: Declaration) -> OverEvents | None:
    """What is aggregated over events for a feature, or None where it is made from other features."""
    if isinstance(item, Request):
        return item.history if isinstance(item.history, Aggregate) else None
    return item if isinstance(item, OverEvents) else None


def _aggregated(item: Declaration, counts: Column) -> list[Column]:
    names = [f.name for f in item.features()]
    columns = _columns(over_events(item), counts)
    return [column.alias(name) for name, column in zip(names, columns, strict=True)]


def _columns(item: OverEvents | None, counts: Column) -> list[Column]:
    """One column a feature, in their order, over the events that count."""
    condition = (
        counts & F.expr(item.where) if isinstance(item, Aggregate | Recency | Gaps | Streak) and item.where else counts
    )
    event_time = F.when(condition, F.col("event_time"))
    match item:
        case Aggregate():
            return _cells(item, condition)
        case Gaps(statistics, windows, distinct):
            inside = [condition & _within(w) for w in windows] or [condition]
            lengths = [gaps(seen, distinct=distinct) for seen in inside]
            return [gap_statistic(between, name) for between in lengths for name in statistics]
        case Streak(period, window, which):
            return [streak(condition & _within(window), period, name) for name in which]
        case Attribute():
            return [state(item, condition)]
        case Recency():
            return [_days_between(F.max(event_time), F.col(AS_OF))]
        case Tenure():
            return [_days_between(F.min(event_time), F.col(AS_OF))]
        case _:
            raise TypeError(f"{item} looks at no event")


def _cells(item: Aggregate, condition: Column) -> list[Column]:
    kind = aggregate_kind(item.function)
    value = F.col(item.column) if item.column else F.lit(1)
    found = []
    for cell in item.cells():
        seen = condition
        if cell.window is not None:
            seen = seen & _within(cell.window)
        if item.by is not None:
            seen = seen & (F.col(item.by).cast("string") == F.lit(cell.value))
        found.append(kind.spark(F.when(seen, value), F.col(ORDER), *item.parameters))
    return found


def _within(window: timedelta) -> Column:
    return F.col("event_time") >= F.col(AS_OF) - F.make_dt_interval(secs=F.lit(window.total_seconds()))


def _days_between(start: Column, end: Column) -> Column:
    return (F.unix_micros(end) - F.unix_micros(start)) / F.lit(_MICROS_A_DAY)


def _with_derived(frame: DataFrame, item: Declaration) -> DataFrame:
    features = item.features()
    tree = tree_of(item)
    if tree is not None:
        return frame.withColumn(features[0].name, column_of(tree, features[0].type))
    if isinstance(item, Calendar):
        parts = [_CALENDAR[part](F.col(AS_OF)).cast("double") for part in item.parts]
        return frame.withColumns(dict(zip([f.name for f in features], parts, strict=True)))
    raise TypeError(f"{item} is no derived feature")


def _with_joined(
    frame: DataFrame,
    item: Joined,
    as_ofs: Sequence[datetime],
    others: Mapping[str, DataFrame],
    worlds: tuple[str, ...],
) -> DataFrame:
    """The other view's rows stamped its delay before each T, by equality; ways of saying nothing are told apart."""
    view = item.view
    rows = build_view(others[view.source.name], view, [t - view.delay for t in as_ofs], others, worlds)
    usable = F.col(AS_OF) + F.make_dt_interval(secs=F.lit(view.delay.total_seconds()))
    brought = item.brought()
    pointed_to = {item.via: F.col(view.entity.key), AS_OF: usable, **{name: F.col(name) for name in worlds}}
    its = {here: f"_its_{number}" for number, here in enumerate(pointed_to)}
    right = rows.select(
        *[there.alias(its[here]) for here, there in pointed_to.items()],
        *[F.col(there.name).alias(here.name) for there, here in brought],
    )
    found = frame.join(right, [F.col(here) == F.col(name) for here, name in its.items()], "left")
    points = F.col(item.via).isNotNull()
    fills = {
        here.name: F.coalesce(here.name, F.when(points, F.lit(there.missing)))
        for there, here in brought
        if there.missing is not None
    }
    return found.drop(*its.values()).withColumns(fills)


_CALENDAR: dict[str, Callable[[Column], Column]] = {
    "hour": F.hour,
    "weekday": F.weekday,
    "is_weekend": lambda at: F.weekday(at) >= 5,
    "day": F.dayofmonth,
    "day_of_year": F.dayofyear,
    "week": F.weekofyear,
    "month": F.month,
    "quarter": F.quarter,
}
