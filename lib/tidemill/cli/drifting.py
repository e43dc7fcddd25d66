"""The drift part of the monitor job: profiles of what was trained on and of what was scored, and verdicts over both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from tidemill.cli.days import calendar, clock_of, day_of, days_of, event_of, judged_day, judged_days, judged_times
from tidemill.cli.profiling import by_column, keep_profiles, kept_profiles, scored_name
from tidemill.cli.reference import SCORED, feature_profiles
from tidemill.cli.reported import reported
from tidemill.core.time import format_time, parse_time
from tidemill.data.commit import commit
from tidemill.data.profile_work import Wanted, merged
from tidemill.data.profiles import build_frame_profiles
from tidemill.data.schema import delta_schema
from tidemill.features.pairs import AS_OF
from tidemill.features.tables import view_table
from tidemill.models.tables import predictions_table
from tidemill.monitoring import drift
from tidemill.monitoring.alerts import VOLUME
from tidemill.monitoring.distances import distances
from tidemill.monitoring.quiet import period_of
from tidemill.monitoring.tables import DRIFT
from tidemill.monitoring.volume import ALL_ROWS, odd_volume
from tidemill.stats.sketch import nothing_on

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.cli.judging import Scored
    from tidemill.cli.source_drift import SourceDrift
    from tidemill.data.profile_rows import ColumnProfile
    from tidemill.monitoring.joint import Joint
    from tidemill.stats.bins import Bins


JOINT, ALL_FEATURES = "joint_drift", "all features"


@dataclass(frozen=True)
class Moved:
    """What moved: each feature, the number of scored rows in words, what came out, all features together, sources."""

    features: list[drift.Drift]
    volume: str | None
    outputs: Sequence[drift.Drift] = ()
    joint: Joint | None = None
    sources: Sequence[SourceDrift] = ()


def find_drift(context: Context, scored: Scored, rows: DataFrame) -> Moved:
    """What moved from the training rows to the population at T, whose rows are given."""
    use_case, limits = context.use_case, context.config.monitor
    times = judged_times(context, scored.version.version)
    clock = clock_of(context, times)
    reference = feature_profiles(context, scored.card["training_set_id"], clock)
    whole = {p.key.column: p for p in merged(p.of_all_days for p in reference)}
    bins = {name: p.bins for name, p in whole.items() if p.bins is not None}
    current = _scored_profiles(context, scored_name(context, SCORED, clock), bins, times, list(scored.batches), rows)
    numbered, told = calendar(context, current), reported(context)
    season, today = numbered.season(limits.season_days), judged_day(context, context.as_of)
    trained, enough = judged_day(context, parse_time(scored.card["as_of"])), limits.quiet_days
    few = told.odd(predictions_table(use_case).label, ALL_ROWS)
    learnt, made = by_column(reference), by_column(current)
    watched, volume = [], None
    for view in use_case.views:
        table = view_table(view).label
        for name in (f.name for f in view.columns):
            odd = told.odd(table, name) | few
            period = period_of(
                days_of(context, learnt[name], numbered, name),
                judged_days(context, made[name], numbered, name, odd),
                trained,
                enough,
            )
            now = [p.sketch for p in made[name] if day_of(p) == today]
            watched.append(
                drift.Watched(
                    bins[name],
                    whole[name].sketch,
                    now[0] if now else nothing_on(bins[name]),
                    *period,
                    told.before(table, name, today),
                    event_of(context, name, today),
                    table=table,
                    day=today,
                )
            )
    first = use_case.features[0].name
    if made[first] and not event_of(context, "", today):
        judged = judged_days(context, made[first], numbered, "", few)
        volume = odd_volume(
            *period_of(days_of(context, learnt[first], numbered), judged, trained, enough), season, limits
        )
    return Moved(drift.compare(watched, season, limits, numbered.year), volume)


def commit_drift(context: Context, scored: Scored, found: Moved) -> None:
    """Keeps the drift of each feature, of what comes out and of the sources, with every distance."""
    facts = {"use_case": context.use_case.name, "as_of": context.as_of, "model_version": scored.version.version}
    facts |= {"judged_at": context.now}
    columns = (*found.features, *found.outputs, *(d for source in found.sources for d in source.columns))
    rows = [
        {
            **facts,
            "feature": d.bins.column,
            "rows": d.current.rows,
            "psi": d.psi,
            "verdict": d.verdict,
            "reason": d.reason,
            "tail": d.tail,
            "kind": d.kind,
            "table": d.table,
            "day": d.day,
            **distances(d.bins, d.reference, d.current),
        }
        for d in columns
    ]
    counted = [(s.table, s.day, s.rows, s.volume) for s in found.sources]
    today = judged_day(context, context.as_of)
    counted.append((predictions_table(context.use_case).label, today, scored.population, found.volume))
    for table, day, number, text in counted:
        told = {"verdict": drift.OK if text is None else drift.ALERT, "reason": text or "as many rows as usual"}
        rows.append({**facts, "feature": ALL_ROWS, "kind": VOLUME, "table": table, "day": day, "rows": number, **told})
    if (joint := found.joint) is not None:
        odd = drift.WARN if joint.odd(context.config.monitor.least) else drift.OK
        all_of_them = {"feature": ALL_FEATURES, "rows": joint.rows, "kind": JOINT, "auc": joint.found.estimate}
        rows.append({**facts, **all_of_them, "verdict": odd, "reason": joint.text})
    commit(context.lake, DRIFT, scored.drift_batch, pa.Table.from_pylist(rows, schema=delta_schema(DRIFT.columns)))


def _scored_profiles(
    context: Context, name: str, bins: dict[str, Bins], times: Sequence[datetime], scored: list[str], rows: DataFrame
) -> list[ColumnProfile]:
    """The profiles of the populations that were scored up to T, by day, as far as they are on a version's bins."""
    use_case = context.use_case
    inputs = {"scored": scored, "bins": context.config.monitor.bins, **context.again}
    if len(times) > 1:
        inputs["times"] = [format_time(t) for t in times]
    wanted = Wanted(tuple(f.name for f in use_case.features), AS_OF, use_case.slices, bins)
    keep_profiles(context, name, context.as_of, inputs, lambda: build_frame_profiles(rows, wanted))
    return kept_profiles(context, name, bins, judged=True)
