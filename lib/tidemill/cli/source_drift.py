"""Drift of the sources themselves: each column of silver by the day of its events, against its own last weeks.

A feature moves days after its source does, and says less of what happened. Only days that are new are read, from files
that may hold them; a day is profiled once, as it was known when it was new, and the same for days before the first run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from tidemill.cli.days import DAY, day_of, event_of, judged_days
from tidemill.cli.profiling import by_column, chosen_bins, kept_profiles, profile_name, with_facts
from tidemill.cli.reported import reported
from tidemill.core.time import EPOCH, format_time, parse_time
from tidemill.data import ledger
from tidemill.data.commit import commit, derived_batch, ledgered
from tidemill.data.profile_work import Wanted, WholeDays
from tidemill.data.profiles import table_profiles
from tidemill.data.read import version_of
from tidemill.data.tables import SILVER_OWN
from tidemill.monitoring import drift
from tidemill.monitoring.alerts import NO_DATA, VOLUME, Alert, drift_alerts
from tidemill.monitoring.calibration import WINDOWS
from tidemill.monitoring.figures import Day
from tidemill.monitoring.quiet import Calendar, Judged, last_weeks
from tidemill.monitoring.tables import PROFILES
from tidemill.monitoring.volume import ALL_ROWS, odd_volume
from tidemill.stats.sketch import merge_sketches, nothing_on

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from tidemill.cli.context import Context
    from tidemill.cli.reported import Reported
    from tidemill.data.profile_rows import ColumnProfile
    from tidemill.data.sources import Source
    from tidemill.stats.bins import Bins

_WEEKS = timedelta(weeks=9)  # that are looked at: the newest days, and eight weeks before them
_EVERY_DAY = Calendar(1)
_MOMENTS = frozenset({"timestamp", "date"})  # which move by themselves


@dataclass(frozen=True)
class SourceDrift:
    """What moved of a source on its newest whole day.

    Args:
        table: `silver.source`.
        day: the day of the events.
        rows: of it.
        columns: each with its verdict.
        volume: what is odd about the number of rows, or None.
    """

    table: str
    day: date
    rows: int
    columns: tuple[drift.Drift, ...]
    volume: str | None

    @property
    def alerts(self) -> list[Alert]:
        """What somebody should know."""
        found = drift_alerts(self.columns, self.table)
        if self.volume is not None:
            found.append(Alert("alert", VOLUME if self.rows else NO_DATA, self.table, self.volume))
        return found


def find_source_drift(context: Context) -> list[SourceDrift]:
    """What moved of each source on its newest day that was whole at T; first profiles the days that are new."""
    _keep_new_days(context)
    told, found = reported(context), []
    for source in context.use_case.sources:
        kept = kept_profiles(context, _name(context, source))
        if kept:
            found.append(_judge(context, source, kept, told))
    return found


def _judge(context: Context, source: Source, kept: Sequence[ColumnProfile], told: Reported) -> SourceDrift:
    limits, label = context.config.monitor, context.silver(source).label
    today = (_whole_until(context, source) - DAY).date()
    recent = [p for p in kept if today - _WEEKS < day_of(p) <= today]
    few = told.odd(label, ALL_ROWS)
    season, watched = _EVERY_DAY.season(limits.season_days), []
    for column, profiles in by_column(recent).items():
        bins = profiles[-1].bins
        if bins is not None:
            same = [p for p in profiles if p.bins == bins]
            odd, before = told.odd(label, column) | few, told.before(label, column, today)
            watched.append(_watched(context, same, bins, odd, today, label, before))
    by_day: dict[date, int] = {}
    for p in recent:
        by_day[day_of(p)] = max(p.sketch.rows, by_day.get(day_of(p), 0))
    text = None if event_of(context, "", today) else _odd_rows(context, by_day, today, few)
    columns = drift.compare(watched, season, limits, _EVERY_DAY.year)
    return SourceDrift(label, today, by_day.get(today, 0), tuple(columns), text)


def _watched(
    context: Context,
    profiles: Sequence[ColumnProfile],
    bins: Bins,
    odd: Collection[date],
    today: date,
    label: str,
    before: int,
) -> drift.Watched:
    """A column, by its profiles of the last weeks; today's rows are none where there is no profile of today."""
    limits = context.config.monitor
    current = {day_of(p): p.sketch for p in profiles}.get(today, nothing_on(bins))
    whole = [p for p in profiles if day_of(p) < today and p.sketch.rows >= limits.minimum_rows]
    now = Judged(drift.day_of_sketch(_EVERY_DAY.place(today), current), today, odd=False)
    judged = judged_days(context, whole, _EVERY_DAY, bins.column, odd)
    period = last_weeks((*judged, now), limits.quiet_days, WINDOWS[-1])
    quiet = {d.place for d in period.quiet}
    usual = [p for p in whole if _EVERY_DAY.place(day_of(p)) in quiet] or whole
    reference = merge_sketches([p.sketch for p in usual]) if usual else nothing_on(bins)
    because = event_of(context, bins.column, today)
    return drift.Watched(bins, reference, current, *period, before, because, table=label, day=today)


def _odd_rows(context: Context, by_day: Mapping[date, int], today: date, odd: Collection[date]) -> str | None:
    """What is odd about the number of rows of a day; a day without any has none."""
    limits, first = context.config.monitor, min(by_day, default=today)
    days = [first + n * DAY for n in range((today - first).days + 1)]
    judged = [
        Judged(Day(_EVERY_DAY.place(d), (by_day.get(d, 0),), 0), d, d in odd)
        for d in days
        if d == today or not event_of(context, "", d)
    ]
    period = last_weeks(judged, limits.quiet_days, WINDOWS[-1])
    return odd_volume(*period, _EVERY_DAY.season(limits.season_days), limits, f"rows of {today} have arrived")


def _keep_new_days(context: Context) -> None:
    """Keeps the profiles of the days that ended since the run before, or of the last weeks: one commit for all."""
    name = profile_name(context, "days of sources", ())
    facts = {"use_case": context.use_case.name, "profile": name}
    batch = derived_batch(PROFILES, {**facts, "as_of": format_time(context.as_of)})
    if ledgered(context.lake, PROFILES, batch) is not None:
        return
    stored = (e.inputs for e in ledger.entries(context.root, PROFILES.label))
    earlier = [parse_time(i["as_of"]) for i in stored if facts.items() <= i.items() and "as_of" in i]
    last = max((at for at in earlier if at < context.as_of), default=EPOCH)
    made = []
    for source in context.use_case.sources:
        until, kept = _whole_until(context, source), kept_profiles(context, _name(context, source))
        since = until - _WEEKS
        if kept and sum(p.sketch.rows for p in kept) >= context.config.monitor.minimum_rows * len(by_column(kept)):
            since = max(since, _whole_until(context, source, last))
        else:  # too few to have chosen bins by for good
            kept = []
        days = WholeDays(since, until, context.as_of - until)
        if since < until and version_of(context.lake, context.silver(source)) is not None:
            bins = {p.key.column: p.bins for p in kept if p.bins is not None}
            rows = _profile(context, source, days, bins)
            made.append(with_facts(context, rows, _name(context, source), context.as_of))
    if made:
        commit(context.lake, PROFILES, batch, pa.concat_tables(made))


def _profile(context: Context, source: Source, days: WholeDays, bins: Mapping[str, Bins]) -> pa.Table:
    """The profiles of days of a source; a column without bins gets them by these days."""
    table, columns = context.silver(source), _columns(context, source)
    context.progress.say(f"profile: {table.label} since {days.since.date()}")
    fresh, chosen = tuple(c for c in columns if c not in bins), dict(bins)
    if fresh:
        found = table_profiles(lambda: context.spark, context.lake, table, Wanted(fresh, days=days))
        chosen |= chosen_bins(context, found.to_pylist())
    wanted = Wanted(columns, "event_time", bins=chosen, days=days)
    return table_profiles(lambda: context.spark, context.lake, table, wanted)


def _columns(context: Context, source: Source) -> tuple[str, ...]:
    """What is watched of a source: all but what names or places its rows, and times."""
    named = {*SILVER_OWN, source.entity.key, *source.key}
    return tuple(name for name, kind in context.silver(source).columns if name not in named and kind not in _MOMENTS)


def _name(context: Context, source: Source) -> str:
    return profile_name(context, context.silver(source).label, ())


def _whole_until(context: Context, source: Source, at: datetime | None = None) -> datetime:
    """The midnight before which all days of a source were whole at a time, by its delay; at T where none is given."""
    seen = (context.as_of if at is None else at) - source.delay
    return datetime.combine(seen.date(), time(), UTC)
