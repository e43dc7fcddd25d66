"""Training-serving skew: what the newest comparison of the online store with gold found different or stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from tidemill.core.time import format_time
from tidemill.data.read import read_arrow, version_of
from tidemill.monitoring.alerts import Alert
from tidemill.monitoring.tables import PARITY

if TYPE_CHECKING:
    from datetime import datetime

    from tidemill.cli.context import Context

SKEW = "skew"


def find_skew(context: Context) -> list[Alert]:
    """An alert of each feature whose online values were not all those of gold when `materialize` last compared them."""
    if version_of(context.lake, PARITY) is None:
        return []
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("as_of") <= context.as_of)
    rows = read_arrow(context.lake, PARITY, where=where).to_pylist()
    newest: dict[str, datetime] = {}
    for row in rows:
        newest[row["view"]] = max(row["as_of"], newest.get(row["view"], row["as_of"]))
    last = {(r["view"], r["feature"]): r for r in rows if r["as_of"] == newest[r["view"]]}
    return [found for (view, feature), row in sorted(last.items()) for found in _told(f"{view}.{feature}", row)]


def _told(subject: str, row: dict[str, Any]) -> list[Alert]:
    wrong = {name: row.get(name) or 0 for name in ("different", "missing", "stale")}
    if not any(wrong.values()):
        return []
    words = ", ".join(f"{rows:,} {name}" for name, rows in wrong.items() if rows)
    text = f"of {row['compared']:,} online values compared with gold at {format_time(row['as_of'])}: {words}"
    return [Alert("warn", SKEW, subject, text)]
