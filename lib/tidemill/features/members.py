"""The population bucket by bucket: whoever has an event in the window, counted by the same workers as windows are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.core.time import to_micros
from tidemill.data.buckets import bucket_files
from tidemill.features.conditions import NotArrowError
from tidemill.features.declarations import Aggregate
from tidemill.features.specs import ActiveWithin, FeatureView
from tidemill.features.window_path import window_path
from tidemill.features.windows_buckets import bucket_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tidemill.data.buckets import BucketFiles
    from tidemill.data.tables import Lake, Table
    from tidemill.features.specs import Population
    from tidemill.features.window_plan import Plan


@dataclass(frozen=True)
class Members:
    """Where a population is found, without a shuffle.

    Args:
        plan: what workers do with a bucket of the source's silver table.
        files: of that table, by bucket.
    """

    plan: Plan
    files: tuple[BucketFiles, ...]


def members_of(lake: Lake, silver: Table, population: Population, times: Sequence[datetime]) -> Members:
    """How the population at the as-of times is found bucket by bucket.

    Args:
        lake: the tables.
        silver: of the population's source.
        population: the declaration.
        times: the as-of times; each sees what was known strictly before it.

    Raises:
        NotArrowError: only Spark can tell who belongs to it, and why.
    """
    if not isinstance(population, ActiveWithin):
        raise NotArrowError("the population asks for the newest state")
    source, window = population.source, population.window
    counted = Aggregate("count", windows=(window,), where=population.where)
    view = FeatureView(
        "population", version=1, entity=source.entity, source=source, cadence=window, ttl=window, features=(counted,)
    )
    path = window_path(lake, silver, view)
    if path.plan is None:
        raise NotArrowError(path.why_spark)
    as_ofs = tuple(sorted(to_micros(t) for t in set(times)))
    return Members(replace(path.plan, as_ofs=as_ofs), tuple(bucket_files(lake, silver)))


def bucket_members(files: BucketFiles, plan: Plan) -> Iterator[pa.RecordBatch]:
    """The members in one bucket: entity and `event_timestamp`, in the order of entities."""
    for batch in bucket_rows(files, plan):
        yield batch.filter(pc.greater(batch.column(2), 0)).select([0, 1])
