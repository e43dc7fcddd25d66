"""What is known at T of how good the scores of each as-of time were expected to be, and were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from tidemill.core.time import EPOCH, format_time
from tidemill.data.read import read_arrow, version_of
from tidemill.monitoring.performance import Known
from tidemill.monitoring.shortfall import BASELINE, PROMISED, Against, Turned
from tidemill.monitoring.shortfall import EXPECTED as AS_EXPECTED
from tidemill.monitoring.tables import EXPECTED, PERFORMANCE, REALISED
from tidemill.pages.track import TrackPoint
from tidemill.stats.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tidemill.cli.context import Context

    Row = dict[str, Any]


def of_each_time(context: Context, kind: str, fresh: Sequence[Row] = ()) -> dict[datetime, Row]:
    """The newest row of the primary metric over all rows that is known at T, by the as-of time of the scores.

    Args:
        context: says T.
        kind: `realised`, where its label had matured at T, or `expected`.
        fresh: rows that are not committed yet.
    """
    return {row["event_timestamp"]: row for row in known_rows(context, kind, fresh) if row.get("slice") is None}


def known_rows(context: Context, kind: str, fresh: Sequence[Row] = ()) -> list[Row]:
    """The rows of the primary metric that are known at T, of slices too, by as-of time and what was judged last."""
    rows = list(fresh)
    if version_of(context.lake, PERFORMANCE) is not None:
        where = (pc.field("use_case") == context.use_case.name) & (pc.field("event_timestamp") <= context.as_of)
        rows = read_arrow(context.lake, PERFORMANCE, where=where).to_pylist() + rows
    kept = [
        row
        for row in rows
        if row["kind"] == kind
        and row["metric"] == context.use_case.metric
        and (kind == EXPECTED or row["matured_at"] <= context.as_of)
    ]
    # Older tables lack some columns.
    kept.sort(key=lambda row: (row["event_timestamp"], row.get("judged_at") or EPOCH, row["as_of"]))
    return kept


def known_performance(context: Context, fresh: Sequence[Row] = ()) -> Known | None:
    """How the newest scores whose labels had matured at T turned out; hindsight at T decides nothing.

    Args:
        context: says T.
        fresh: rows of this run that are not committed yet.
    """
    found = [row for row in of_each_time(context, REALISED, fresh).values() if row["value"] is not None]
    if not found:
        return None
    newest = found[-1]
    return Known(
        newest["value"],
        newest["baseline"],
        newest.get("promised"),
        newest["model_version"],
        newest.get("judged_rows") or "",
    )


def turned_out(context: Context, fresh: Sequence[Row] = ()) -> tuple[Turned, ...]:
    """How the scores of each as-of time whose labels had matured at T turned out, oldest first; those with an interval.

    Args:
        context: says T.
        fresh: rows of this run that are not committed yet.
    """
    expected = of_each_time(context, EXPECTED)
    found = []
    for at, row in of_each_time(context, REALISED, fresh).items():
        realised, before, alone = _interval(row), expected.get(at, {}), row["baseline"]
        if realised is None:
            continue
        sides: dict[Against, Interval | None] = {
            BASELINE: None if alone is None else Interval(alone, alone, alone),
            PROMISED: _interval(row, "promised", "promised_"),
            AS_EXPECTED: _interval(before) if before.get("model_version") == row["model_version"] else None,
        }
        against = {name: side for name, side in sides.items() if side is not None}
        found.append(Turned(at, row["rows"], realised, against))
    return tuple(found)


def _interval(row: Row, value: str = "value", ends: str = "") -> Interval | None:
    """A figure of a row with its interval; None where it has either not, as in older tables."""
    known, low, high = (row.get(name) for name in (value, f"{ends}low", f"{ends}high"))
    return None if known is None or low is None or high is None else Interval(known, low, high)


def track_points(context: Context, fresh: Sequence[Row] = ()) -> tuple[TrackPoint, ...]:
    """The scores of each as-of time up to T for the page, oldest first: expected beside realised."""
    expected, realised = of_each_time(context, EXPECTED), of_each_time(context, REALISED, fresh)
    return tuple(
        _point(format_time(at), expected.get(at, {}), realised.get(at, {})) for at in sorted({*expected, *realised})
    )


def _point(at: str, before: Row, after: Row) -> TrackPoint:
    return TrackPoint(
        at,
        after.get("model_version") or before["model_version"],
        after.get("rows"),
        after.get("value"),
        after.get("low"),
        after.get("high"),
        before.get("value"),
        before.get("low"),
        before.get("high"),
        after.get("baseline"),
        after.get("promised") or before.get("promised"),
    )
