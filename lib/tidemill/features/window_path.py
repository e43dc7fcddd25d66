"""Which way a view is computed, and why: by buckets with Arrow where that gives the same rows, else in plain Spark.

Distinct counts, quantiles and most frequent values are no partial results that fit into a few numbers an entity, so a
view that has one goes to Spark as a whole: two half-computed views would have to be joined, and a join is the shuffle
that buckets save.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from tidemill.core.time import to_micros
from tidemill.data import ledger
from tidemill.data.buckets import why_not_by_files
from tidemill.data.file_tasks import map_files
from tidemill.data.read import version_of
from tidemill.features.compute import completed
from tidemill.features.conditions import NotArrowError
from tidemill.features.window_plan import plan_of
from tidemill.features.windows_buckets import bucket_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.buckets import BucketFiles
    from tidemill.data.tables import Lake, Table
    from tidemill.features.specs import FeatureView
    from tidemill.features.window_plan import Plan


@dataclass(frozen=True)
class WindowPath:
    """How a view is computed.

    Args:
        plan: what workers do with buckets, for no as-of time yet; None where Spark computes the view.
        why_spark: why there is no plan.
    """

    plan: Plan | None
    why_spark: str = ""

    def __str__(self) -> str:
        """What the run record says."""
        return "buckets" if self.plan is not None else f"spark: {self.why_spark}"


def window_path(lake: Lake, silver: Table, view: FeatureView) -> WindowPath:
    """The path of a view over a silver table as it is now."""
    versions = has_versions(lake, silver)
    reason = _why_not_this_table(lake, silver, view, versions=versions)
    if reason is not None:
        return WindowPath(None, reason)
    try:
        return WindowPath(plan_of(silver, view, versions=versions))
    except NotArrowError as unlike:
        return WindowPath(None, str(unlike))


def has_versions(lake: Lake, silver: Table) -> bool:
    """Whether any row of a silver table has more than one version."""
    return any(entry.counts.get("revised", 0) for entry in ledger.entries(lake.root, silver.label))


def build_from_buckets(
    session: SparkSession, files: Sequence[BucketFiles], view: FeatureView, plan: Plan, as_ofs: Iterable[datetime]
) -> DataFrame:
    """The view's rows at the as-of times, equal to those of `build_view`; nothing is shuffled.

    Args:
        session: hands the buckets to workers.
        files: of the silver table of the view's source, all its buckets or those whose entities are wanted.
        view: what to compute.
        plan: the view's, for this table.
        as_ofs: the as-of times; each sees only what was known strictly before it.
    """
    times = sorted(set(as_ofs))
    plan = replace(plan, as_ofs=tuple(to_micros(t) for t in times))

    def work(bucket: BucketFiles) -> Iterator[pa.RecordBatch]:
        pa.set_cpu_count(1)  # Spark has a worker for every core already
        yield from bucket_rows(bucket, plan)

    # The largest first: the others are done meanwhile.
    items = [(f, f.size) for f in sorted(files, key=lambda f: f.size, reverse=True)]
    return completed(map_files(session, items, work, plan.result_sql), view, times, {})


def why_scattered(silver: Table, view: FeatureView, *, versions: bool) -> str | None:
    """Why the rows of one of the view's entities may lie in several buckets, or None where they lie in one.

    Args:
        silver: the table of the view's source.
        view: says the entity.
        versions: whether any row has more than one.
    """
    if silver.entity != view.entity.key:
        return f"{silver.label} has its buckets by {silver.entity}"
    if versions and view.entity.key not in view.source.key:
        # A correction may give a row to another entity: its versions then lie in different buckets.
        return f"{silver.label} has corrections, and its rows are known by {', '.join(view.source.key)} alone"
    return None


def _why_not_this_table(lake: Lake, silver: Table, view: FeatureView, *, versions: bool) -> str | None:
    if version_of(lake, silver) is None:
        return f"{silver.label} holds nothing yet"
    return why_scattered(silver, view, versions=versions) or why_not_by_files(lake, silver)
