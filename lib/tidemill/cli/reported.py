"""What the monitor job said of earlier days: how long a column is reported already, and which days were odd."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from tidemill.cli.days import a_day_apart, judged_day, within_a_day
from tidemill.core.time import EPOCH
from tidemill.data.read import read_arrow, version_of
from tidemill.monitoring import drift
from tidemill.monitoring.tables import DRIFT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from tidemill.cli.context import Context

_TOLD = frozenset({drift.WARN, drift.ALERT})


@dataclass(frozen=True)
class Reported:
    """Verdicts by column and day, of a day judged several times the newest; the table of old ones is not known."""

    verdicts: Mapping[tuple[str, str], Mapping[date, str]]

    def odd(self, table: str, column: str) -> set[date]:
        """The days on which a column was reported."""
        return {day for day, verdict in self._of(table, column).items() if verdict in _TOLD}

    def before(self, table: str, column: str, day: date) -> int:
        """On how many judged days directly before a day a column was reported."""
        number = 0
        for _, verdict in sorted(((d, v) for d, v in self._of(table, column).items() if d < day), reverse=True):
            if verdict not in _TOLD:
                break
            number += 1
        return number

    def _of(self, table: str, column: str) -> dict[date, str]:
        return {**self.verdicts.get(("", column), {}), **self.verdicts.get((table, column), {})}


def reported(context: Context, version: str | None = None) -> Reported:
    """What was said at as-of times before T.

    Args:
        context: says T.
        version: whose verdicts count, of what comes out of it; None for all, of what goes in.
    """
    if version_of(context.lake, DRIFT) is None:
        return Reported({})
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("as_of") < context.as_of)
    if version is not None:
        where &= pc.field("model_version") == version
    rows = read_arrow(context.lake, DRIFT, where=where).to_pylist()
    if within_a_day(context):  # times within a day are judged on much the same rows
        apart = set(a_day_apart({context.as_of, *(r["as_of"] for r in rows)}))
        rows = [r for r in rows if r["as_of"] in apart]
    found: dict[tuple[str, str], dict[date, str]] = defaultdict(dict)
    for row in sorted(rows, key=lambda r: (r["as_of"], r["judged_at"] or EPOCH)):  # it was not always kept
        found[row.get("table") or "", row["feature"]][_day(context, row)] = row["verdict"]
    return Reported(found)


def _day(context: Context, row: dict[str, Any]) -> date:
    day: date | None = row.get("day")  # older verdicts are of their as-of time
    return judged_day(context, row["as_of"]) if day is None else day
