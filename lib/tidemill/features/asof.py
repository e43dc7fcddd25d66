"""The as-of join in plain Spark: each row of a spine gets the newest feature row that it may use."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from tidemill.core.time import length_micros
from tidemill.features.compute import with_defaults
from tidemill.features.pairs import AS_OF

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from pyspark.sql import DataFrame

    from tidemill.features.specs import FeatureView

KEYS, STAMP, MADE, ROW, SPINE = "_keys", "_stamp", "_made", "_row", "_spine"


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

    Of equal stamps the newest `created_timestamp` wins. A null key matches nothing.

    Args:
        spine: with the key and `event_timestamp`.
        rows: with the key, `event_timestamp`, `created_timestamp` and the named columns.
        key: the join key.
        names: the columns to bring over.
        ttl: how old a row may be.
        delay: how long after its stamp a row may first be used.
    """
    usable = F.unix_micros(AS_OF) + length_micros(delay)
    right = rows.select(
        F.struct(key).alias(KEYS),
        usable.alias(STAMP),
        F.unix_micros("created_timestamp").alias(MADE),
        F.struct(*names).alias(ROW),
    )
    left = spine.select(
        F.struct(key).alias(KEYS), F.unix_micros(AS_OF).alias(STAMP), F.struct(*spine.columns).alias(SPINE)
    )
    joined = join_newest(left, right, ttl)
    return joined.select(*[F.col(f"{SPINE}.{c}") for c in spine.columns], *[F.col(f"{ROW}.{n}") for n in names])


def join_newest(spine: DataFrame, rows: DataFrame, ttl: timedelta | None, *, known: bool = False) -> DataFrame:
    """Each row of a spine with the newest row of the same keys.

    One union and one window: the cost grows with the rows, not with their pairs. Moments are microseconds since the
    epoch, because Spark counts the days of an interval in the session's time zone.

    Args:
        spine: `KEYS`, a struct; `STAMP`: the moment it speaks for; `SPINE`: whatever is carried along.
        rows: `KEYS`, of the same types; `STAMP`: from when on a row may be used; `MADE`: settles equal stamps, the
            newest wins, null being oldest; `ROW`: what is brought over. Rows with a null among their keys match
            nothing.
        ttl: how old a row may be, or None for any age.
        known: whether a row may be used only from `MADE` on, too.

    Returns:
        `SPINE`, and `ROW`: null where there is no row.
    """
    keyed = functools.reduce(
        operator.and_, [F.col(f"{KEYS}.`{name}`").isNotNull() for name in _fields(rows, KEYS)], F.lit(True)
    )
    from_on = F.greatest(STAMP, MADE) if known else F.col(STAMP)
    right = rows.where(keyed & F.col(STAMP).isNotNull()).select(
        KEYS,
        from_on.alias("_from"),
        F.lit(0).alias("_side"),
        MADE,
        F.struct(F.col(STAMP), F.col(MADE), F.col(ROW)).alias("_found"),
        F.lit(None).alias(SPINE),
    )
    left = spine.select(
        KEYS,
        F.col(STAMP).alias("_from"),
        F.lit(1).alias("_side"),
        F.lit(None).cast("bigint").alias(MADE),
        F.lit(None).alias("_found"),
        SPINE,
    )
    order = Window.partitionBy(KEYS).orderBy("_from", "_side", F.col(MADE).asc_nulls_first())
    so_far = order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    newest = F.max_by("_found", F.struct(f"_found.{STAMP}", f"_found.{MADE}")) if known else F.last("_found", True)
    both = right.unionByName(left).withColumn("_newest", newest.over(so_far))
    found = F.col(f"_newest.{ROW}")
    if ttl is not None:
        found = F.when(F.col(f"_newest.{STAMP}") >= F.col("_from") - length_micros(ttl), found)
    return both.where("_side = 1").select(SPINE, found.alias(ROW))


def _fields(frame: DataFrame, struct: str) -> list[str]:
    return frame.select(f"{struct}.*").columns
