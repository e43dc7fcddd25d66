"""The days that the monitor job judges, and those that say what is usual: how they are numbered, and which count.

A day is the unit of a use case whose as-of times are a day or more apart. Where they lie closer, the 24 hours that end
with T are: whatever the hour, they hold each hour once, and are compared with days of the same times of day.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tidemill.cli.plan import predictions_of
from tidemill.core.time import EPOCH
from tidemill.monitoring.drift import day_of_sketch
from tidemill.monitoring.quiet import Judged, calendar_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date, datetime

    from tidemill.cli.context import Context
    from tidemill.data.profile_rows import ColumnProfile
    from tidemill.monitoring.figures import Day
    from tidemill.monitoring.quiet import Calendar

DAY = timedelta(days=1)


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


def a_day_apart(times: Iterable[datetime]) -> list[datetime]:
    """The newest of some times, and older ones so that any two lie a day or more apart; newest first."""
    found: list[datetime] = []
    for time in sorted(times, reverse=True):
        if not found or found[-1] - time >= DAY:
            found.append(time)
    return found


def judged_day(context: Context, at: datetime) -> date:
    """The day that is judged at an as-of time: of 24 hours that end with it, the one on which most of them lie."""
    return (at - DAY / 2 if within_a_day(context) else at).date()


def calendar(context: Context, judged: Iterable[ColumnProfile]) -> Calendar:
    """How the days of a use case are numbered, by those that were judged up to T."""
    return calendar_of(context.use_case.grid.every, (day_of(p) for p in judged))


def days_of(context: Context, found: Iterable[ColumnProfile], numbered: Calendar, column: str = "") -> tuple[Day, ...]:
    """The days that may be held against others: all but those of events of the column, or of every column."""
    return tuple(one.day for one in judged_days(context, found, numbered, column, ()))


def judged_days(
    context: Context, found: Iterable[ColumnProfile], numbered: Calendar, column: str, odd: Collection[date]
) -> tuple[Judged, ...]:
    """The judged days of a column, oldest first, as those that may be held against others.

    Args:
        context: its known events; days of those are left out.
        found: a profile a day.
        numbered: the calendar.
        column: its name; empty for what is said of all columns.
        odd: days that were reported.
    """
    return tuple(
        Judged(day_of_sketch(numbered.place(day_of(p)), p.sketch), day_of(p), day_of(p) in odd)
        for p in found
        if not event_of(context, column, day_of(p))
    )


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
