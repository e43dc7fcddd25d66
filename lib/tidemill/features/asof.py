"""The as-of join in plain Spark: each row of a spine gets the newest feature row that it may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from tidemill.features.compute import with_defaults
from tidemill.features.pairs import AS_OF

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from pyspark.sql import DataFrame

    from tidemill.features.specs import FeatureView


def join_views(spine: DataFrame, views: Iterable[FeatureView], gold: Mapping[str, DataFrame]) -> DataFrame:
    """The spine with the features of all views.

    Args:
        spine: entity, `event_timestamp` (the as-of time) and other columns.
        views: of the spine's entity.
        gold: each view's gold rows by its table name; a view without delay has been built at the spine's own times.

    Returns:
        The spine's rows, each once, with every feature; what a missing row means is filled in.
    """
    joined = spine
    for view in views:
        names = [f.name for f in view.columns]
        rows = gold[view.table_name]
        if view.delay:
            joined = as_of_join(joined, rows, view.entity.key, names, view.ttl, view.delay)
        else:  # the spine's times are the view's own: equality is the as-of join
            joined = joined.join(rows.select(view.entity.key, AS_OF, *names), [view.entity.key, AS_OF], "left")
        joined = with_defaults(joined, view.columns)
    return joined


def as_of_join(
    spine: DataFrame, rows: DataFrame, key: str, names: list[str], ttl: timedelta, delay: timedelta
) -> DataFrame:
    """For each spine row at t the newest row of its entity stamped s with `t - ttl <= s + delay <= t`.

    One union and one window; the cost grows with the rows, not with their pairs. Of equal stamps the newest
    `created_timestamp` wins. A null key matches nothing.

    Args:
        spine: with the key and `event_timestamp`.
        rows: with the key, `event_timestamp`, `created_timestamp` and the named columns.
        key: the join key.
        names: the columns to bring over.
        ttl: how old a row may be.
        delay: how long after its stamp a row may first be used.
    """
    usable = F.col(AS_OF) + F.make_dt_interval(secs=F.lit(delay.total_seconds()))
    right = rows.where(F.col(key).isNotNull()).select(
        F.col(key).alias("_key"),
        usable.alias("_at"),
        F.lit(0).alias("_side"),
        F.col("created_timestamp").alias("_made"),
        F.struct(usable.alias("_usable"), *names).alias("_row"),
        F.lit(None).alias("_spine"),
    )
    left = spine.select(
        F.col(key).alias("_key"),
        F.col(AS_OF).alias("_at"),
        F.lit(1).alias("_side"),
        F.lit(None).cast("timestamp").alias("_made"),
        F.lit(None).alias("_row"),
        F.struct(*spine.columns).alias("_spine"),
    )
    so_far = (
        Window.partitionBy("_key")
        .orderBy("_at", "_side", F.col("_made").asc_nulls_first())
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    both = right.unionByName(left).withColumn("_newest", F.last("_row", ignorenulls=True).over(so_far))
    oldest = F.col("_at") - F.make_dt_interval(secs=F.lit(ttl.total_seconds()))
    fresh = F.when(F.col("_newest._usable") >= oldest, F.col("_newest"))
    return (
        both.where("_side = 1")
        .withColumn("_fresh", fresh)
        .select(
            *[F.col(f"_spine.{c}").alias(c) for c in spine.columns], *[F.col(f"_fresh.{n}").alias(n) for n in names]
        )
    )
