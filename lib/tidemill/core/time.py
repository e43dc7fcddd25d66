"""Instants and grids: UTC, half-open, exact to the microsecond.

Times are aware `datetime` values in UTC; lengths are `timedelta`. A grid is the set of as-of times that a use case
trains and scores at. Long regular sets of times are kept as runs, so that a ledger row or a query plan stays small.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MONTH = "month"
_MONTHS = 12


def days(number: float) -> timedelta:
    """A length of so many days of 24 hours."""
    return timedelta(days=number)


def hours(number: float) -> timedelta:
    """A length of so many hours."""
    return timedelta(hours=number)


def parse_time(text: str, option: str = "--as-of") -> datetime:
    """Reads an ISO 8601 date or time; one without a zone is UTC.

    Raises:
        TidemillError: E_TIME (usage) where the text is no time.
    """
    try:
        value = datetime.fromisoformat(text)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):
        raise TidemillError(
            "E_TIME",
            f"{text!r} is not a time",
            where=option,
            next_step="write an ISO 8601 date or time, such as 2011-11-01 or 2011-11-01T06:00:00Z",
            exit_code=Exit.USAGE,
        ) from None


def format_time(value: datetime) -> str:
    """The one written form: `2011-11-01T00:00:00Z`, with microseconds only where there are any."""
    text = value.astimezone(UTC).isoformat(timespec="microseconds" if value.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def to_micros(value: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exact."""
    return (value - EPOCH) // MICROSECOND


def from_micros(value: int) -> datetime:
    """The instant so many microseconds after 1970-01-01 UTC, exact."""
    return EPOCH + timedelta(microseconds=value)


def length_micros(value: timedelta) -> int:
    """A length in microseconds, exact."""
    return value // MICROSECOND


def round_up(value: datetime, step: timedelta) -> datetime:
    """The first multiple of the step since 1970-01-01 UTC that is not before the value."""
    return EPOCH + -((EPOCH - value) // step) * step


def round_down(value: datetime, step: timedelta) -> datetime:
    """The last multiple of the step since 1970-01-01 UTC that is not after the value."""
    return EPOCH + (value - EPOCH) // step * step


def length_name(value: timedelta) -> str:
    """The short name of a length in derived feature names: `30d`, `6h`, `15min`, `10s`.

    Raises:
        ValueError: where the length is not a positive whole number of seconds.
    """
    seconds, rest = divmod(length_micros(value), 1_000_000)
    if rest or seconds <= 0:
        raise ValueError(f"{value} is not a positive whole number of seconds")
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def parse_length(text: str) -> timedelta:
    """Reads `30d`, `6h`, `15min` or `10s`.

    Raises:
        ValueError: where the text has another form.
    """
    match = re.fullmatch(r"(\d+)(d|h|min|s)", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a length such as 30d, 6h, 15min or 10s")
    unit = {"d": "days", "h": "hours", "min": "minutes", "s": "seconds"}[match.group(2)]
    return timedelta(**{unit: int(match.group(1))})


@dataclass(frozen=True)
class Grid:
    """The as-of times of a use case: a start and a step, without end.

    Args:
        start: the first as-of time, ISO 8601, UTC.
        every: a fixed length, or `"month"` for the same day and time of each month (days 1 to 28).

    Raises:
        ValueError: where the step is not positive, or a monthly grid starts after the 28th.
    """

    start: str
    every: timedelta | str

    def __post_init__(self) -> None:
        if self.every == MONTH:
            if parse_time(self.start).day > 28:
                raise ValueError("a monthly grid starts on one of the days 1 to 28, which every month has")
        elif not isinstance(self.every, timedelta) or self.every <= timedelta(0):
            raise ValueError(f"a grid's step is a positive length or 'month', not {self.every!r}")

    def times(self, until: datetime) -> tuple[datetime, ...]:
        """Every time of the grid before `until`, oldest first."""
        found = []
        value = parse_time(self.start)
        while value < until:
            found.append(value)
            value = self.next(value)
        return tuple(found)

    def next(self, value: datetime) -> datetime:
        """The time of the grid that follows one of its times."""
        if isinstance(self.every, timedelta):
            return value + self.every
        year, month = divmod(value.year * _MONTHS + value.month, _MONTHS)
        return value.replace(year=year, month=month + 1)

    def newest(self, at: datetime) -> datetime | None:
        """The newest time of the grid that is not after `at`."""
        start = parse_time(self.start)
        if at < start:
            return None
        if isinstance(self.every, timedelta):
            return start + (at - start) // self.every * self.every
        return self.times(at + MICROSECOND)[-1]


@dataclass(frozen=True)
class Run:
    """A regular run of instants: `start`, `start + step`, ... `count` of them; microseconds since the epoch."""

    start: int
    step: int
    count: int


def encode_times(times: Iterable[datetime]) -> tuple[Run, ...]:
    """The same set of instants as few regular runs, oldest first; `decode_times` gives it back exactly."""
    values = sorted({to_micros(t) for t in times})
    runs: list[Run] = []
    index = 0
    while index < len(values):
        end = index + 1
        step = values[end] - values[index] if end < len(values) else 1
        while end < len(values) and values[end] - values[end - 1] == step:
            end += 1
        if end - index == 2:  # two instants are no pattern: the second may begin a longer run
            end = index + 1
            step = 1
        runs.append(Run(values[index], step, end - index))
        index = end
    return tuple(runs)


def decode_times(runs: Iterable[Run]) -> tuple[datetime, ...]:
    """The instants of the runs, oldest first."""
    return tuple(sorted(from_micros(run.start + i * run.step) for run in runs for i in range(run.count)))
