"""A spine from Feast with the features of its views: by bucket files, or by one union and window each."""

from __future__ import annotations

import functools
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.data.located import table_at
from tidemill.features.asof import KEYS, MADE, ROW, SPINE, STAMP, join_newest
from tidemill.features.asof_buckets import Wanted
from tidemill.features.asof_choice import BY_BUCKETS, BY_SPARK, why_not, with_buckets
from tidemill.features.feast_sources import SourceView, instant, source_frame, within

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

_AT = "_at"


def every_entity(session: SparkSession, views: Sequence[SourceView], start: datetime, end: datetime) -> DataFrame:
    """The keys that any view has seen within the period, each at its end."""
    seen = []
    for view in views:
        rows = source_frame(session, view.source)
        rows = rows.where(within(instant(rows, view.stamp), start, end))
        seen.append(rows.select(*[F.col(f"`{column}`").alias(key) for key, column in view.keys]).distinct())
    every = functools.reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), seen).distinct()
    return every.withColumn("entity_ts", F.lit(end if end.tzinfo else end.replace(tzinfo=UTC)))


def join_source_views(
    session: SparkSession, spine: DataFrame, at: str, views: Sequence[SourceView], *, full: bool, known: bool
) -> tuple[DataFrame, dict[str, str]]:
    """The spine with the features of all views; and which way each view took.

    Args:
        session: where everything is read.
        spine: the rows that features are wanted for.
        at: its column with the moment that each speaks for.
        views: what is wanted.
        full: whether features are called by their view's name as well.
        known: whether a row counts only from its creation on, where its source says when that was.
    """
    names = spine.columns
    frame = spine.withColumn(_AT, instant(spine, at))
    paths: dict[str, str] = {}
    by_files: dict[str, list[Wanted]] = {}
    for view in views:
        wanted = _wanted(view, full=full)
        reason = "its source is no table with buckets"
        if known and view.made:
            reason = "rows count from their creation on"
        elif wanted is not None:
            reason = why_not(frame, view.keys[0][0], _AT, [wanted])
        paths[view.name] = f"{BY_SPARK}: {reason}" if reason else BY_BUCKETS
        if reason or wanted is None:
            frame = _with_window(session, frame, view, full=full, known=known)
        else:
            by_files.setdefault(view.keys[0][0], []).append(wanted)
    for key, tables in by_files.items():
        frame = with_buckets(frame, key, _AT, tables)
    labels = [label for view in views for label in view.labels(full=full)]
    return frame.select(*[F.col(f"`{name}`") for name in [*names, *labels]]), paths


def _wanted(view: SourceView, *, full: bool) -> Wanted | None:
    """What a view brings from the files of its buckets; None where its source is no such table."""
    located = table_at(view.source.path, view.stamp) if view.source.path and not view.source.query else None
    if located is None or len(view.keys) != 1 or located[1].entity != view.keys[0][1]:
        return None
    columns = tuple((column, label) for (column, _), label in zip(view.features, view.labels(full=full), strict=True))
    kept = set(located[1].names) - set(located[1].partitions)
    if not {column for column, _ in columns} <= kept or view.stamp not in kept:
        return None
    return Wanted(*located, columns, view.made, view.ttl, timedelta(0))


def _with_window(session: SparkSession, spine: DataFrame, view: SourceView, *, full: bool, known: bool) -> DataFrame:
    rows = source_frame(session, view.source)
    kinds = {key: rows.schema[column].dataType for key, column in view.keys}
    keys = [F.col(f"`{column}`").alias(key) for key, column in view.keys] or [F.lit(0).alias("_all")]
    # A key of another type is brought to that of the rows; what cannot be is nobody's.
    asked = [
        (F.col(f"`{key}`") if spine.schema[key].dataType == kind else F.col(f"`{key}`").try_cast(kind)).alias(key)
        for key, kind in kinds.items()
    ] or [F.lit(0).alias("_all")]
    made = F.unix_micros(instant(rows, view.made)) if view.made else F.lit(None).cast("bigint")
    features = [
        F.col(f"`{column}`").alias(label)
        for (column, _), label in zip(view.features, view.labels(full=full), strict=True)
    ]
    right = rows.select(
        F.struct(*keys).alias(KEYS),
        F.unix_micros(instant(rows, view.stamp)).alias(STAMP),
        made.alias(MADE),
        F.struct(*features).alias(ROW),
    )
    left = spine.select(
        F.struct(*asked).alias(KEYS),
        F.unix_micros(_AT).alias(STAMP),
        F.struct(*[F.col(f"`{name}`") for name in spine.columns]).alias(SPINE),
    )
    joined = join_newest(left, right, view.ttl, known=known and view.made is not None)
    return joined.select(
        *[F.col(f"{SPINE}.`{name}`") for name in spine.columns],
        *[F.col(f"{ROW}.`{label}`") for label in view.labels(full=full)],
    )
