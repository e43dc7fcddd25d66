"""Which way the as-of join takes: bucket files where they can be read as they are, else plain Spark."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from pyspark.sql import types as T

from tidemill.data.buckets import why_not_by_files
from tidemill.data.read import layout_of, version_of
from tidemill.features.asof import join_views
from tidemill.features.asof_buckets import Wanted, join_by_buckets
from tidemill.features.compute import with_defaults
from tidemill.features.gold import read_view, stamps
from tidemill.features.pairs import AS_OF
from tidemill.features.tables import view_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame

    from tidemill.data.tables import Lake
    from tidemill.features.specs import FeatureView

BY_BUCKETS, BY_SPARK = "bucket files", "spark"

_FLAT = (
    T.StringType,
    T.BinaryType,
    T.BooleanType,
    T.IntegralType,
    T.FractionalType,
    T.DateType,
    T.TimestampType,
    T.TimestampNTZType,
)


@dataclass(frozen=True)
class Joined:
    """A spine with its features, and how it came to them.

    Args:
        frame: the rows of the spine, each once, with every feature.
        path: `bucket files` or `spark`.
        reason: why plain Spark; empty for bucket files.
    """

    frame: DataFrame
    path: str
    reason: str = ""

    @property
    def said(self) -> str:
        """The path in one text, for the record of a run."""
        return f"{self.path}: {self.reason}" if self.reason else self.path


def join_gold(lake: Lake, spine: DataFrame, views: Sequence[FeatureView], times: Iterable[datetime]) -> Joined:
    """A spine at as-of times with the features of views; what a missing row means is filled in.

    Args:
        lake: where the gold tables are.
        spine: the views' key, `event_timestamp` and other columns.
        views: of the spine's entity; a view without delay has been built at the spine's own times.
        times: the as-of times of the spine.

    Raises:
        TidemillError: E_NO_TABLE (no input) where a view was never built; E_TABLE_DAMAGED (data).
    """
    at = list(times)
    wanted = wanted_of(lake, views, at)
    reason = why_not(spine, views[0].entity.key, AS_OF, wanted)
    if reason:
        gold = {v.table_name: read_view(spine.sparkSession, lake, v, at) for v in views}
        return Joined(join_views(spine, views, gold), BY_SPARK, reason)
    joined = with_buckets(spine, views[0].entity.key, AS_OF, wanted)
    return Joined(with_defaults(joined, [f for view in views for f in view.columns]), BY_BUCKETS)


def wanted_of(lake: Lake, views: Sequence[FeatureView], times: Iterable[datetime]) -> list[Wanted]:
    """What the gold tables of views bring to a spine at as-of times."""
    at = list(times)
    return [
        Wanted(
            lake,
            view_table(view),
            tuple((f.name, f.name) for f in view.columns),
            "created_timestamp",
            view.ttl if view.delay else view.cadence * 0,  # the spine's times are the view's own: equality
            view.delay,
            tuple(stamps(view, at)),
        )
        for view in views
    ]


def why_not_looked_up(wanted: Sequence[Wanted]) -> str:
    """Why rows of tables cannot be looked up in their bucket files; empty where they can."""
    return next(_reasons_of_tables(wanted), "")


def with_buckets(spine: DataFrame, key: str, at: str, wanted: Sequence[Wanted]) -> DataFrame:
    """The spine with what all tables bring: one pass for those that are cut into one number of buckets."""
    columns = [*spine.columns, *[name for w in wanted for _, name in w.columns]]
    for _, group in groupby(sorted(wanted, key=_buckets), _buckets):
        spine = join_by_buckets(spine, key, at, list(group))
    return spine.select(*[f"`{name}`" for name in columns])


def why_not(spine: DataFrame, key: str, at: str, wanted: Sequence[Wanted]) -> str:
    """Why a spine cannot be joined by bucket files; empty where it can.

    Args:
        spine: the frame.
        key: its column with the entity.
        at: its column with the moment.
        wanted: what is brought to it.
    """
    return next(_reasons(spine.schema, key, at, wanted), "")


def _reasons(spine: T.StructType, key: str, at: str, wanted: Sequence[Wanted]) -> Iterator[str]:
    if spine[key].dataType != T.StringType():
        yield f"the key {key!r} is no string but {spine[key].dataType.simpleString()}"
    if spine[at].dataType != T.TimestampType():
        yield f"the time {at!r} is no timestamp but {spine[at].dataType.simpleString()}"
    for field in spine:
        if not _travels(field.dataType):
            yield f"the column {field.name!r} of type {field.dataType.simpleString()} stays in the JVM"
    yield from _reasons_of_tables(wanted)


def _reasons_of_tables(wanted: Sequence[Wanted]) -> Iterator[str]:
    for w in wanted:
        if version_of(w.lake, w.table) is None:
            yield f"{w.table.label} holds nothing yet"
            continue
        reason = why_not_by_files(w.lake, w.table)
        if reason is not None:
            yield reason
        for field in w.fields:
            if not isinstance(field.dataType, _FLAT):
                yield f"the feature {field.name!r} is of type {field.dataType.simpleString()}"


def _buckets(wanted: Wanted) -> int:
    return layout_of(wanted.lake, wanted.table)[0]


def _travels(kind: T.DataType) -> bool:
    """Whether values go through Arrow and come back as they were."""
    if isinstance(kind, T.ArrayType):
        return _travels(kind.elementType)
    if isinstance(kind, T.MapType):
        return _travels(kind.keyType) and _travels(kind.valueType)
    if isinstance(kind, T.StructType):
        return all(_travels(field.dataType) for field in kind)
    return isinstance(kind, _FLAT)
