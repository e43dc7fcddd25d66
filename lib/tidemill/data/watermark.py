"""What a silver table covers: its first event, and its watermark at a moment. Read without a JVM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tidemill.core.time import MICROSECOND, from_micros, round_up
from tidemill.data.arrow_files import arrow_dataset
from tidemill.data.places import open_delta
from tidemill.data.read import version_of

if TYPE_CHECKING:
    from datetime import datetime

    from tidemill.data.sources import Source
    from tidemill.data.tables import Lake, Table


def first_event(lake: Lake, silver: Table) -> datetime | None:
    """The oldest event time that silver holds, or None where it holds none."""
    return _extreme(lake, silver, None, newest=False)


def watermark(lake: Lake, source: Source, silver: Table, at: datetime | None = None) -> datetime | None:
    """The newest event time known before `at`, rounded up to the source's completeness step.

    Args:
        lake: the tables.
        source: declares the completeness step.
        silver: the source's silver table.
        at: the moment, or None for everything delivered.
    """
    newest = _extreme(lake, silver, at, newest=True)
    if newest is None:
        return None
    # An event at a full step opens the step that follows it: the half-open step that holds the event is covered.
    covered = round_up(newest + MICROSECOND, source.completeness)
    return covered if at is None else min(covered, at)


def _extreme(lake: Lake, silver: Table, at: datetime | None, *, newest: bool) -> datetime | None:
    version = version_of(lake, silver)
    if version is None:
        return None
    where = None
    if at is not None:
        moment = pa.scalar(at, pa.timestamp("us", tz="UTC"))
        where = (ds.field("event_time") < moment) & (ds.field("known_time") < moment)
    path = lake.path(silver)
    files = arrow_dataset(open_delta(path, version), path)
    scanner = files.scanner(columns=["event_time", "known_time"], filter=where)
    found: list[int] = []
    for batch in scanner.to_batches():
        if batch.num_rows:
            least = pc.min_max(batch.column("event_time").cast(pa.int64())).as_py()
            found.append(least["max" if newest else "min"])
    if not found:
        return None
    return from_micros(max(found) if newest else min(found))
