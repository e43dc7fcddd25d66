"""The alerts of the monitor job: what is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tidemill.cli.drifting import JOINT
from tidemill.cli.freshness import late_sources
from tidemill.cli.skew import find_skew
from tidemill.core.runs import started_at, summaries
from tidemill.core.time import format_time
from tidemill.monitoring import alerts
from tidemill.monitoring.shortfall import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.cli.context import Context
    from tidemill.cli.drifting import Moved
    from tidemill.cli.judging import Scored
    from tidemill.monitoring.shortfall import Shortfall


def find_alerts(context: Context, scored: Scored, moved: Moved, fallen: Sequence[Shortfall]) -> list[alerts.Alert]:
    """Everything that somebody should know of this run, by what is known at T."""
    name = context.use_case.name
    made = alerts.drift_alerts((*moved.features, *moved.outputs), name)
    if moved.joint is not None and moved.joint.odd(context.config.monitor.least):
        made.append(alerts.Alert("warn", JOINT, name, moved.joint.text))
    if not scored.population:
        made.append(alerts.Alert("alert", alerts.NO_DATA, name, "nobody was scored"))
    elif moved.volume is not None:
        made.append(alerts.Alert("alert", alerts.VOLUME, name, moved.volume))
    of_sources = [alert for source in moved.sources for alert in source.alerts]
    return [*made, *_performance(context, fallen), *find_skew(context), *standing(context), *of_sources]


def _performance(context: Context, fallen: Sequence[Shortfall]) -> list[alerts.Alert]:
    """At most one alert of the scores, and one of the label where it now depends on the features otherwise."""
    use_case, made = context.use_case, []
    scores = [one for one in fallen if one.against != EXPECTED]
    if scores:
        severity: alerts.Severity = "alert" if any(one.severity == "alert" for one in scores) else "warn"
        text = "; ".join(one.text for one in scores)
        made.append(alerts.Alert(severity, alerts.PERFORMANCE, use_case.name, text))
    label = f"{use_case.name}.{use_case.label.name}"
    changed = [one for one in fallen if one.against == EXPECTED]
    return made + [alerts.Alert(one.severity, alerts.CONCEPT, label, one.text) for one in changed]


def standing(context: Context) -> list[alerts.Alert]:
    """What somebody should know although nothing is judged: empty and late sources, silent use cases."""
    made = []
    for late in late_sources(context):
        kind = alerts.NO_DATA if late.empty else alerts.STALE
        made.append(alerts.Alert("alert" if late.empty else "warn", kind, f"silver.{late.source}", late.text))
    return [*made, *_silent(context)]


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
