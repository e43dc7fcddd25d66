"""Profiles that the monitor job keeps, by day: how they are named, written, read, and which days may be compared.

A day is the unit of a use case whose as-of times are a day or more apart. Where they lie closer, the 24 hours that end
with T are: whatever the hour, they hold each hour once, and are compared with days of the same times of day.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from tidemill.cli.plan import predictions_of
from tidemill.core.time import EPOCH, MONTH, length_micros
from tidemill.data.commit import commit, derived_batch, ledgered
from tidemill.data.profile_rows import COUNTED_COLUMNS, from_row
from tidemill.data.profile_work import Wanted, merged
from tidemill.data.profiles import build_frame_profiles, build_table_profiles
from tidemill.data.read import read, read_arrow
from tidemill.data.schema import delta_schema
from tidemill.features.pairs import AS_OF
from tidemill.monitoring import drift
from tidemill.monitoring.tables import PROFILES
from tidemill.stats.bins import choose_bins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date, datetime

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.data.profile_rows import ColumnProfile
    from tidemill.data.tables import Table
    from tidemill.monitoring.figures import Day

DAY = timedelta(days=1)
_DAYS_OF_A_YEAR = 365.25


def judged_times(context: Context, version: str) -> tuple[datetime, ...]:
    """The as-of times that are judged together at T: T, and where a day has several the scored ones of its 24 hours."""
    if not within_a_day(context):
        return (context.as_of,)
    scored = predictions_of(context, version)
    return tuple(sorted({context.as_of, *(t for t in scored if context.as_of - DAY < t <= context.as_of)}))


def within_a_day(context: Context) -> bool:
    """Whether the as-of times of the use case lie less than a day apart."""
    every = context.use_case.grid.every
    return isinstance(every, timedelta) and every < DAY


def clock_of(context: Context, times: Iterable[datetime]) -> tuple[timedelta, ...]:
    """The times of day that judged times have; none where a reference of all times of day is theirs.

    It is, too, where the times of day are others every day, because the step is no part of a day.
    """
    every = context.use_case.grid.every
    if not isinstance(every, timedelta) or DAY % every or every >= DAY:
        return ()
    found = sorted({(t - EPOCH) % DAY for t in times})
    return () if len(found) == DAY // every else tuple(found)


def scored_name(context: Context, what: str, clock: Sequence[timedelta]) -> str:
    """The name of a profile of judged times: those of 24 hours are not those of one time."""
    return profile_name(context, f"{what} in 24 hours" if within_a_day(context) else what, clock)


def profile_name(context: Context, what: str, clock: Sequence[timedelta]) -> str:
    """What is profiled and how: days on other bins, or of other times of day, cannot be held against each other."""
    at = f" at {', '.join(str(t) for t in clock)}" if clock else ""
    return f"{what}{at} on {context.config.monitor.bins} bins"


def reference_profiles(
    context: Context,
    table: Table,
    identity: str,
    name: str,
    columns: tuple[str, ...],
    slices: tuple[str, ...] = (),
    clock: Sequence[timedelta] = (),
) -> list[ColumnProfile]:
    """The profiles by day of rows that never change, on bins of their own; made once, then read.

    Args:
        context: the tables, and where profiles are kept.
        table: with a partition by `training_set_id`.
        identity: of the training set.
        name: of the profile.
        columns: that are profiled.
        slices: columns of few values.
        clock: the times of day that count; none for all.
    """

    def build(wanted: Wanted) -> DataFrame:
        if not clock:
            return build_table_profiles(context.spark, context.lake, table, wanted, {"training_set_id": identity})
        rows = read(context.spark, context.lake, table).where(F.col("training_set_id") == identity)
        of_day = F.pmod(F.unix_micros(AS_OF), F.lit(length_micros(DAY)))
        return build_frame_profiles(rows.where(of_day.isin([length_micros(t) for t in clock])), wanted)

    def by_day() -> DataFrame:
        found = [from_row(row.asDict()) for row in build(Wanted(columns)).toLocalIterator()]
        bins = {p.key.column: choose_bins(p.key.column, p.kind, p.sketch, context.config.monitor.bins) for p in found}
        return build(Wanted(columns, AS_OF, slices, bins))

    keep_profiles(context, name, EPOCH, {"bins": context.config.monitor.bins}, by_day)
    return kept_profiles(context, name)


def keep_profiles(
    context: Context, name: str, at: datetime, inputs: dict[str, Any], build: Callable[[], DataFrame]
) -> None:
    """Keeps profiles in `ops.profiles`, once: one row a slice, day and column, no more than the job looks at anyway.

    Args:
        context: the tables and the use case.
        name: of the profile.
        at: the as-of time that it belongs to; `EPOCH` where it belongs to none.
        inputs: what it is made from, beside its name.
        build: rows of `PROFILE_SCHEMA`; called where they are not kept yet.
    """
    batch = derived_batch(PROFILES, {"use_case": context.use_case.name, "profile": name, **inputs})
    if ledgered(context.lake, PROFILES, batch) is not None:
        return
    context.progress.say(f"profile: {name}")
    found, schema = build().toArrow(), delta_schema(PROFILES.columns)
    facts = {"use_case": context.use_case.name, "profile": name, "as_of": at, "profiled_at": context.now}
    for key, value in facts.items():
        found = found.append_column(key, pa.repeat(pa.scalar(value, schema.field(key).type), len(found)))
    commit(context.lake, PROFILES, batch, found)


def kept_profiles(context: Context, name: str, *, judged: bool = False) -> list[ColumnProfile]:
    """The profiles of all rows of a name up to T, oldest day first; of an as-of time profiled again, the newest.

    Args:
        context: says T.
        name: of the profile.
        judged: whether they are of judged times: then 24 hours that end with T, or whole days before that, are a day.
    """
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("profile") == name)
    where &= (pc.field("as_of") <= context.as_of) & (pc.field("slice") == "")
    columns = ["as_of", "profiled_at", *COUNTED_COLUMNS]
    rows = read_arrow(context.lake, PROFILES, columns, where).to_pylist()
    newest: dict[datetime, datetime] = {}
    for row in rows:
        newest[row["as_of"]] = max(row["profiled_at"], newest.get(row["as_of"], row["profiled_at"]))
    rows = [row for row in rows if row["profiled_at"] == newest[row["as_of"]]]
    if judged and within_a_day(context):
        apart = set(a_day_apart(newest))
        found = merged(_of_its_day(row) for row in rows if row["as_of"] in apart)
    else:
        found = merged(from_row(row) for row in rows)
    return sorted(found, key=day_of)


def a_day_apart(times: Iterable[datetime]) -> list[datetime]:
    """The newest of some times, and older ones so that any two lie a day or more apart; newest first."""
    found: list[datetime] = []
    for time in sorted(times, reverse=True):
        if not found or found[-1] - time >= DAY:
            found.append(time)
    return found


def by_column(found: Sequence[ColumnProfile]) -> dict[str, list[ColumnProfile]]:
    """The profiles of each column."""
    by: dict[str, list[ColumnProfile]] = defaultdict(list)
    for profile in found:
        by[profile.key.column].append(profile)
    return by


def days_of(context: Context, found: Sequence[ColumnProfile], column: str = "") -> tuple[Day, ...]:
    """The days that may be held against others: all but those of events of the column, or of every column."""
    kept = [p for p in found if not event_of(context, column, day_of(p))]
    return tuple(drift.day_of_sketch(_place(context, day_of(p)), p.sketch) for p in kept)


def day_of(profile: ColumnProfile) -> date:
    """The day that a profile is of."""
    if profile.key.day is None:
        raise ValueError(f"the profile of {profile.key.column} is of no day")
    return profile.key.day


def event_of(context: Context, column: str, day: date) -> str:
    """Why a column, or where none is named every column, may do as it likes on a day, or nothing."""
    for event in context.config.monitor.events:
        if event.since <= day < event.until and (not event.columns or column in event.columns):
            return event.because
    return ""


def season_and_year(context: Context) -> tuple[int, float]:
    """After how many judged days the same may be expected again, and how many a year has."""
    every, step = context.use_case.grid.every, _step(context)
    if every == MONTH:
        return 1, 12.0
    season = context.config.monitor.season_days
    return season // step if season % step == 0 else 1, _DAYS_OF_A_YEAR / step


def _of_its_day(row: dict[str, Any]) -> ColumnProfile:
    """A profile of 24 hours that end with their as-of time, as that of the day on which most of them lie."""
    found = from_row(row)
    return replace(found, key=found.key._replace(day=(row["as_of"] - DAY / 2).date()))


def _step(context: Context) -> int:
    """Days from one judged day to the next, at least one."""
    every = context.use_case.grid.every
    return max(1, every.days) if isinstance(every, timedelta) else 1


def _place(context: Context, day: date) -> int:
    """The number of a day among those that are judged."""
    if context.use_case.grid.every == MONTH:
        return day.year * 12 + day.month
    return day.toordinal() // _step(context)
