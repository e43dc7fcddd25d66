"""Which days say what is usual, and how they are numbered. Pure.

A version's quiet period is its training days and the days that were known when it was trained, whichever version scored
them: features do not depend on that. So each nightly run adds a day to the period of the next version. Where they are
too few, the first days after the training count, too, until there are enough. Later days never do: what is usual must
not follow what it is held against.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from statistics import median_high
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from tidemill.monitoring.figures import Day

_DAYS_OF_A_YEAR = 365.25
_SHORTEST_MONTH = 28
_GAPS = 8  # between the newest judged days, of which the usual one counts


@dataclass(frozen=True)
class Calendar:
    """How days are numbered, so that those which are judged one after another are neighbours.

    Args:
        step: days from one to the next, at least 1; None where they are months.
    """

    step: int | None

    def place(self, day: date) -> int:
        """The number of a day."""
        return day.year * 12 + day.month if self.step is None else day.toordinal() // self.step

    @property
    def year(self) -> float:
        """Places of a year."""
        return 12.0 if self.step is None else _DAYS_OF_A_YEAR / self.step

    def season(self, days: int) -> int:
        """After how many places the same may be expected again, by days after which it may; 1 for none."""
        return 1 if self.step is None or days % self.step else days // self.step


def calendar_of(every: timedelta | str, judged: Iterable[date]) -> Calendar:
    """The calendar of a use case: the step of its grid, or that in which it is judged, where that is shorter.

    Args:
        every: the step of the grid: a length, or a month.
        judged: days that were judged up to now.
    """
    newest = sorted(set(judged))[-_GAPS - 1 :]
    usual = median_high([(b - a).days for a, b in pairwise(newest)]) if len(newest) > 1 else None
    if isinstance(every, timedelta):
        step = max(1, every.days)
        return Calendar(step if usual is None else min(step, usual))
    return Calendar(None if usual is None or usual >= _SHORTEST_MONTH else usual)


@dataclass(frozen=True)
class Judged:
    """A judged day of a column.

    Args:
        day: its histogram.
        on: which day it is.
        odd: whether it was reported when it was judged.
    """

    day: Day
    on: date
    odd: bool


class Period(NamedTuple):
    """The days that say what is usual, and those that are held against them, the judged one last; oldest first."""

    quiet: tuple[Day, ...]
    newest: tuple[Day, ...]


def period_of(reference: Sequence[Day], judged: Sequence[Judged], trained: date, enough: int) -> Period:
    """The quiet period of a version, and the days after it.

    Args:
        reference: its training days, oldest first.
        judged: scored days up to now, oldest first; the last one is judged now.
        trained: the day of the training.
        enough: days that a quiet period needs.
    """
    if not judged:
        return Period(tuple(reference), ())
    *before, now = judged
    known = {d.place for d in reference} | {now.day.place}
    # A training day that was reported stays: the model has learnt from it. Days before the first one it knows not of.
    usable = [j for j in before if not j.odd and j.day.place not in known]
    since = min((d.place for d in reference), default=None)
    early = [j for j in usable if j.on <= trained and (since is None or j.day.place >= since)]
    late = [j for j in usable if j.on > trained][: max(0, enough - len(reference) - len(early))]
    quiet = {j.day.place: j.day for j in (*early, *late)} | {d.place: d for d in reference}
    after = {j.day.place: j.day for j in before if j.on > trained and j.day.place not in quiet}
    after[now.day.place] = now.day
    return Period(tuple(quiet[p] for p in sorted(quiet)), tuple(after[p] for p in sorted(after)))


def last_weeks(judged: Sequence[Judged], enough: int, apart: int) -> Period:
    """The quiet days of a table that no model has learnt from: its own last weeks, the newest days left out.

    Args:
        judged: days up to now, oldest first; the last one is judged now.
        enough: days that a quiet period needs; until there are so many, the newest days are not left out.
        apart: newest days that are held against the others.
    """
    *before, now = judged
    usable = [j.day for j in before if not j.odd]
    older = [j.day for j in before[: 1 - apart] if not j.odd]
    quiet = older if len(older) >= enough else usable[:enough]
    known = {d.place for d in quiet}
    return Period(tuple(quiet), tuple(j.day for j in (*before, now) if j.day.place not in known)[-apart:])
