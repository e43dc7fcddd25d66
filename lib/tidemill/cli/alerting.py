"""The alerts of the monitor job: what is wrong, who is told, and the record of both."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.cli.drifting import JOINT
from tidemill.cli.freshness import late_sources
from tidemill.cli.skew import find_skew
from tidemill.core.runs import REPORT, run_folder, started_at, summaries, write_text
from tidemill.core.time import format_time
from tidemill.data.commit import commit, derived_batch
from tidemill.data.read import read_arrow, version_of
from tidemill.data.schema import delta_schema
from tidemill.models.specs import better
from tidemill.monitoring import alerts, drift
from tidemill.monitoring.delivery import deliver
from tidemill.monitoring.tables import ALERTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from tidemill.cli.context import Context
    from tidemill.cli.drifting import Moved
    from tidemill.cli.judging import Scored
    from tidemill.monitoring.performance import Known

TEXT = "alerts.txt"


def find_alerts(context: Context, scored: Scored, moved: Moved, known: Known | None) -> list[alerts.Alert]:
    """Everything that somebody should know of this run, by what is known at T."""
    name = context.use_case.name
    made = [
        alerts.Alert("alert" if d.verdict == drift.ALERT else "warn", d.kind, f"{name}.{d.bins.column}", d.reason)
        for d in (*moved.features, *moved.outputs)
        if d.verdict in {drift.ALERT, drift.WARN}
    ]
    if moved.joint is not None and moved.joint.odd(context.config.monitor.least):
        made.append(alerts.Alert("warn", JOINT, name, moved.joint.text))
    if not scored.population:
        made.append(alerts.Alert("alert", alerts.NO_DATA, name, "nobody was scored"))
    elif moved.volume is not None:
        made.append(alerts.Alert("alert", alerts.VOLUME, name, moved.volume))
    for late in late_sources(context):
        kind = alerts.NO_DATA if late.empty else alerts.STALE
        made.append(alerts.Alert("alert" if late.empty else "warn", kind, f"silver.{late.source}", late.text))
    metric = context.use_case.metric
    if known is not None and known.baseline is not None and better(metric, known.baseline, known.value):
        text = f"{metric} {known.value:.4g} on labels that have matured; one feature alone has {known.baseline:.4g}"
        made.append(alerts.Alert("alert", alerts.PERFORMANCE, name, text))
    return [*made, *find_skew(context), *_silent(context)]


def tell(
    context: Context, scored: Scored, found: Sequence[alerts.Alert], known: Known | None = None
) -> tuple[str, ...]:
    """Sends what is worth sending and keeps everything; sentences about what could not be sent.

    An alert may reach people twice where the run ends between sending and keeping, and is never lost.
    """
    settings, today, name = context.config.alerts, context.as_of.date(), context.use_case.name
    sending = alerts.worth_sending(found, _sent(context), today, settings)
    message = alerts.group(sending, name, format_time(context.as_of), _link(context))
    failed = [] if message is None else deliver(message, settings)
    if message is not None:
        write_text(run_folder(context.root, context.lake.run_id) / TEXT, message.text + "\n")
    channel = bool(settings.webhook) or settings.mail is not None
    rows = [
        {
            "use_case": name,
            "as_of": context.as_of,
            "severity": alert.severity,
            "kind": alert.kind,
            "subject": alert.subject,
            "text": alert.text,
            "sent": channel and alert in sending and not failed,
            "silenced": alerts.silenced(alert, today, settings),
            "failure": "; ".join(error.what for error in failed) if alert in sending and failed else None,
            "made_at": context.now,
        }
        for alert in found
    ]
    if rows:
        inputs = {"drift": scored.drift_batch.batch_id, "performance": scored.performance_batch.batch_id}
        inputs["realised"] = "" if known is None else known.judged_rows
        batch = derived_batch(ALERTS, {"use_case": name, **inputs})
        commit(context.lake, ALERTS, batch, pa.Table.from_pylist(rows, schema=delta_schema(ALERTS.columns)))
    return tuple(f"{error.what}; {error.next_step}" for error in failed)


def _silent(context: Context) -> list[alerts.Alert]:
    """Other use cases of the root whose last run is long ago: a job that does not run cannot say so itself."""
    last: dict[str, dict[str, str]] = {}
    for summary in summaries(context.root):
        if summary.get("status") in {"ok", "skipped"} and "use_case" in summary:
            last.setdefault(summary["use_case"], summary)
    limit = context.now - timedelta(days=context.config.alerts.silent_days)
    found = []
    for name, summary in sorted(last.items()):
        ended = started_at(summary["run_id"])
        if name != context.use_case.name and ended < limit:
            found.append(alerts.Alert("warn", alerts.SILENT, name, f"its last run is of {format_time(ended)}"))
    return found


def _sent(context: Context) -> dict[str, date]:
    """When each alert of the use case was last sent, by its key; an earlier judgement of T counts."""
    if version_of(context.lake, ALERTS) is None:
        return {}
    where = (pc.field("use_case") == context.use_case.name) & pc.field("sent") & (pc.field("as_of") <= context.as_of)
    found: dict[str, date] = {}
    for row in sorted(read_arrow(context.lake, ALERTS, where=where).to_pylist(), key=lambda row: row["as_of"]):
        key = alerts.Alert(row["severity"], row["kind"], row["subject"], row["text"]).key
        found[key] = row["as_of"].date()
    return found


def _link(context: Context) -> str:
    place = run_folder(context.root, context.lake.run_id) / REPORT
    page = context.config.alerts.page
    return f"{page.rstrip('/')}/{context.lake.run_id}/{REPORT}" if page else str(place)
