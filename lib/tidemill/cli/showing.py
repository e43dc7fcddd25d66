"""What the page shows beside a run's own findings: sources, slices, the drift of the weightiest features over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from tidemill.cli.freshness import reaches
from tidemill.cli.retraining import importance
from tidemill.cli.track import known_rows
from tidemill.core.time import EPOCH, format_time
from tidemill.data.read import read_arrow, version_of
from tidemill.data.tables import SILVER
from tidemill.monitoring.page import Shown
from tidemill.monitoring.tables import DRIFT, REALISED
from tidemill.pages.courses import Course, CoursePoint
from tidemill.pages.slices import SliceRow, Slices
from tidemill.pages.sources import SourceRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tidemill.cli.context import Context
    from tidemill.cli.judging import Scored
    from tidemill.cli.track import Row
    from tidemill.monitoring.drift import Drift
    from tidemill.monitoring.shortfall import Shortfall

_FEATURES = 8  # the weightiest of them
_TIMES = 12  # the newest of them


def find_shown(
    context: Context, scored: Scored, found: Sequence[Drift], fallen: Sequence[Shortfall], fresh: Sequence[Row]
) -> Shown:
    """Reads what was kept up to T.

    Args:
        context: says T.
        scored: the model that scored.
        found: the drift of each feature at T, which is not kept yet.
        fallen: what realised performance falls short of.
        fresh: rows of realised performance that are not kept yet.
    """
    return Shown(_sources(context), _courses(context, importance(scored.card), found), _slices(context, fresh), fallen)


def _sources(context: Context) -> tuple[SourceRow, ...]:
    return tuple(
        SourceRow(
            context.silver(one.source).label,
            None if one.until is None else format_time(one.until),
            None if one.behind is None else one.behind.total_seconds() / 3600,
            None if one.agreed is None else one.agreed.total_seconds() / 3600,
        )
        for one in reaches(context)
    )


def _courses(context: Context, weights: Mapping[str, float] | None, found: Sequence[Drift]) -> tuple[Course, ...]:
    """By what the model relies on; where its card does not say, by how far features are from the reference now."""
    total = sum(max(weight, 0.0) for weight in weights.values()) if weights else 0.0
    shares = {} if not weights or not total else {name: max(w, 0.0) / total for name, w in weights.items()}
    ranked = sorted(found, key=lambda d: (-shares.get(d.bins.column, 0.0), -(d.psi or 0.0), d.bins.column))[:_FEATURES]
    points: dict[str, dict[datetime, CoursePoint]] = {d.bins.column: {} for d in ranked}
    for row in _earlier(context, list(points)):
        points[row["feature"]][row["as_of"]] = CoursePoint(format_time(row["as_of"]), row["psi"], row["verdict"])
    for one in ranked:
        points[one.bins.column][context.as_of] = CoursePoint(format_time(context.as_of), one.psi, one.verdict)
    return tuple(
        Course(name, shares.get(name), tuple(by_time[at] for at in sorted(by_time)[-_TIMES:]))
        for name, by_time in points.items()
    )


def _earlier(context: Context, features: Sequence[str]) -> list[Row]:
    """What was found of the features at earlier as-of times; of one that was judged again, what was found last."""
    if version_of(context.lake, DRIFT) is None:
        return []
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("as_of") < context.as_of)
    rows = read_arrow(context.lake, DRIFT, where=where & pc.field("feature").isin(list(features))).to_pylist()
    rows = [row for row in rows if not (row.get("table") or "").startswith(SILVER)]  # a source's column of that name
    return sorted(rows, key=lambda row: row["judged_at"] or EPOCH)  # it was not always kept


def _slices(context: Context, fresh: Sequence[Row]) -> Slices | None:
    """Of the newest scores whose labels had matured at T; None where they have no slice with enough rows."""
    rows = known_rows(context, REALISED, fresh)
    rows = [row for row in rows if row["event_timestamp"] == rows[-1]["event_timestamp"]]
    newest = {(row.get("slice"), row.get("slice_value")): row for row in rows}
    whole = newest.pop((None, None), None)
    if whole is None or not newest:
        return None
    found = tuple(_slice(row) for row in newest.values() if row["judged_at"] == whole["judged_at"])
    return Slices(format_time(whole["event_timestamp"]), _slice(whole), found)


def _slice(row: Row) -> SliceRow:
    return SliceRow(
        row.get("slice") or "", row.get("slice_value"), row["rows"], row["value"], row.get("low"), row.get("high")
    )
