"""Declarations that look at the course of an entity's events: gaps, streaks, and the state that they leave behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tidemill.core.errors import nearest
from tidemill.core.frozen import WORDS, declared
from tidemill.core.time import length_name
from tidemill.features.declarations import Feature, check_windows, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

GAP_STATISTICS = ("mean", "min", "max", "stddev")
STREAKS = ("current", "longest")
TYPES = ("double", "string")
_ZERO = timedelta(0)


@declared
@dataclass(frozen=True)
class Gaps:
    """Statistics of the days between consecutive events of a window; null where there are too few events.

    Both events of a gap lie in the window. `mean`, `min` and `max` need two events, `stddev` (n - 1) three.

    Args:
        statistics: some of `mean`, `min`, `max`, `stddev`.
        windows: their lengths; none means everything known before T.
        distinct: whether events of one instant are one event; otherwise they lie zero days apart.
        where: an SQL condition over silver columns that an event must meet.
        name: begins the derived names `<name>_gap_<statistic>_days[_<window>]`; needed beside `where`.
        description: for people.
    """

    statistics: tuple[str, ...] = ("mean",)
    windows: tuple[timedelta, ...] = ()
    distinct: bool = False
    where: str | None = None
    name: str | None = None
    description: str = field(default="", metadata=WORDS)

    def __post_init__(self) -> None:
        _check_choices(self.statistics, GAP_STATISTICS, "statistic", "Gaps")
        check_windows("E_FEATURE", self.windows, "Gaps")
        _check_named(self.where, self.name, "Gaps")

    def features(self) -> tuple[Feature, ...]:
        """Its features: each statistic over each window."""
        stem = f"{self.name}_gap" if self.name else "gap"
        ends = [f"_{length_name(w)}" for w in self.windows] or [""]
        return tuple(
            Feature(f"{stem}_{statistic}_days{end}", "double", None, "days", self.description)
            for end in ends
            for statistic in self.statistics
        )


@declared
@dataclass(frozen=True)
class Streak:
    """How many consecutive periods back from T each hold at least one event.

    The periods are `[T - p, T)`, `[T - 2p, T - p)` and so on, as many as the window holds. `current` counts those from
    T on without a break, `longest` those of the longest run anywhere in the window.

    Args:
        period: the length of one.
        window: a whole number of periods.
        which: `current`, `longest`, or both.
        where: an SQL condition over silver columns that an event must meet.
        name: begins the derived names `<name>_streak_<period>_<which>_<window>`; needed beside `where`.
        description: for people.
    """

    period: timedelta
    window: timedelta
    which: tuple[str, ...] = STREAKS
    where: str | None = None
    name: str | None = None
    description: str = field(default="", metadata=WORDS)

    def __post_init__(self) -> None:
        check_windows("E_FEATURE", (self.period, self.window), "Streak")
        _check_choices(self.which, STREAKS, "streak", "Streak")
        _check_named(self.where, self.name, "Streak")
        if self.window % self.period != _ZERO:
            least = self.window // self.period * self.period or self.period
            raise invalid(
                "E_FEATURE",
                f"the window {length_name(self.window)} is no whole number of periods of {length_name(self.period)}",
                "Streak",
                f"did you mean a window of {length_name(least)}?",
            )

    def features(self) -> tuple[Feature, ...]:
        """Its features: the current or the longest streak, or both."""
        stem = f"{self.name}_streak" if self.name else "streak"
        period, window = length_name(self.period), length_name(self.window)
        return tuple(
            Feature(f"{stem}_{period}_{which}_{window}", "double", 0.0, f"periods of {period}", self.description)
            for which in self.which
        )


@declared
@dataclass(frozen=True)
class Attribute:
    """A slowly changing attribute as it stands at T: the column's value in the newest known event.

    Null where that event has none; `Aggregate("last", ...)` and `Aggregate("last_text", ...)` look further back then.

    Args:
        column: of the source.
        type: `double` or `string`.
        name: of the feature; by default `<column>_now`.
        unit: of the values.
        description: for people.
    """

    column: str
    type: str = "string"
    name: str | None = None
    unit: str = ""
    description: str = field(default="", metadata=WORDS)

    def __post_init__(self) -> None:
        _check_choices((self.type,), TYPES, "type", f"Attribute({self.column!r})")

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        return (Feature(self.name or f"{self.column}_now", self.type, None, self.unit, self.description),)


def _check_choices(given: Iterable[str], known: tuple[str, ...], what: str, place: str) -> None:
    if isinstance(given, str) or not given:
        raise invalid("E_FEATURE", f"{given!r} is no tuple of a {what} or more", place, f"write ({known[0]!r},)")
    for name in given:
        if name not in known:
            raise invalid("E_FEATURE", f"there is no {what} {name!r}", place, nearest(name, known))


def _check_named(where: str | None, name: str | None, place: str) -> None:
    if where is not None and name is None:
        raise invalid(
            "E_FEATURE",
            "a feature with a condition needs a name of its own",
            f"{place}(where={where!r})",
            "add name='...', which begins the names of its features",
        )
