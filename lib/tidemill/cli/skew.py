"""Training-serving skew: online values that are not gold's, and answers that are not what batch predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
from pyspark.sql import functions as F

from tidemill.core.time import format_time
from tidemill.data.read import read, read_arrow, version_of
from tidemill.models.tables import predictions_table
from tidemill.monitoring.alerts import Alert
from tidemill.monitoring.answered import compare_answers
from tidemill.monitoring.tables import PARITY
from tidemill.serving.answers import OK
from tidemill.serving.request_log import REQUESTS

if TYPE_CHECKING:
    from datetime import datetime

    from tidemill.cli.context import Context

SKEW = "skew"


def find_skew(context: Context) -> list[Alert]:
    """Alerts of features whose online values were not all those of gold, and of answers that batch did not give."""
    return [*find_online_skew(context), *find_answer_skew(context)]


def find_online_skew(context: Context) -> list[Alert]:
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


def find_answer_skew(context: Context) -> list[Alert]:
    """An alert where answers of the service's log are not what batch predicted of the same features.

    Compared are answers on features as old as they may be at T, and no older, where the caller gave no value and all
    views speak for one time.
    """
    use_case, lake, predicted = context.use_case, context.lake, predictions_table(context.use_case)
    if version_of(lake, REQUESTS) is None or version_of(lake, predicted) is None:
        return []
    logged = read(context.spark, lake, REQUESTS)
    if "batch_as_of" not in logged.columns:  # a service of an older release wrote it
        return []
    oldest = context.as_of - max(view.ttl + view.delay for view in use_case.views)
    answers = logged.where(
        (F.col("use_case") == use_case.name)
        & (F.col("status") == OK)
        & F.col("score").isNotNull()
        & F.col("batch_as_of").between(oldest, context.as_of)
    )
    found = compare_answers(answers, read(context.spark, lake, predicted), use_case.entity.key)
    if not found.different:
        return []
    text = (
        f"of {found.compared:,} logged answers that batch scored, too, since {format_time(oldest)}:"
        f" {found.different:,} have another score"
    )
    return [Alert("warn", SKEW, f"{use_case.name}.score", text)]


def _told(subject: str, row: dict[str, Any]) -> list[Alert]:
    wrong = {name: row.get(name) or 0 for name in ("different", "missing", "stale")}
    if not any(wrong.values()):
        return []
    words = ", ".join(f"{rows:,} {name}" for name, rows in wrong.items() if rows)
    text = f"of {row['compared']:,} online values compared with gold at {format_time(row['as_of'])}: {words}"
    return [Alert("warn", SKEW, subject, text)]
