"""Which days say what is usual: numbered by how often is judged, growing with each run, never from what was odd."""

from datetime import date, timedelta

import pytest
from tidemill.monitoring.figures import Day
from tidemill.monitoring.quiet import Calendar, Judged, calendar_of, last_weeks, period_of

FIRST = date(2026, 3, 1)
DAY = timedelta(days=1)


def days(*numbers: int) -> list[date]:
    return [FIRST + n * DAY for n in numbers]


@pytest.mark.parametrize(
    ("every", "judged", "step"),
    [
        (30 * DAY, (), 30),  # nothing is known of how often is judged
        (30 * DAY, (0, 30, 60), 30),
        (30 * DAY, (0, 1, 2, 3), 1),
        (30 * DAY, (0, 7, 14, 21), 7),
        (30 * DAY, (0, 7, 8, 14, 21), 7),  # a run between two by hand
        (30 * DAY, (0, 7, 14, 21, 28, 29, 30, 31, 32, 33), 1),  # another schedule, after some days
        (DAY, (0, 7, 14), 1),
        (timedelta(hours=1), (0, 1, 2), 1),
        ("month", (0, 31, 61), None),
        ("month", (), None),
        ("month", (0, 1, 2), 1),
    ],
)
def test_days_are_numbered_by_how_often_is_judged(
    every: timedelta | str, judged: tuple[int, ...], step: int | None
) -> None:
    assert calendar_of(every, days(*judged)) == Calendar(step)


def test_a_calendar_knows_seasons_and_years() -> None:
    daily, weekly, monthly = Calendar(1), Calendar(7), Calendar(None)
    assert (daily.season(7), weekly.season(7), Calendar(2).season(7), monthly.season(7)) == (7, 1, 1, 1)
    assert (daily.year, monthly.year) == (365.25, 12.0)
    assert weekly.year == pytest.approx(52.18, abs=0.01)
    assert monthly.place(date(2026, 1, 5)) - monthly.place(date(2025, 12, 28)) == 1


def judged(*numbers: int, odd: tuple[int, ...] = ()) -> list[Judged]:
    return [Judged(Day(n, (100,), 0), FIRST + n * DAY, n in odd) for n in numbers]


def places(found: tuple[Day, ...]) -> list[int]:
    return [d.place for d in found]


TRAINING = [Day(n, (100,), 0) for n in (-90, -60, -30)]


def test_the_first_days_after_a_training_count_until_there_are_enough() -> None:
    trained = FIRST - DAY
    found = period_of(TRAINING, judged(*range(3)), trained, 14)
    assert (places(found.quiet), places(found.newest)) == ([-90, -60, -30, 0, 1], [2])
    found = period_of(TRAINING, judged(*range(20)), trained, 14)
    assert places(found.quiet) == [-90, -60, -30, *range(11)]
    assert places(found.newest) == list(range(11, 20))


def test_days_before_a_training_count_whoever_scored_them_but_for_odd_ones() -> None:
    found = period_of(TRAINING, judged(*range(-100, -80), *range(40), odd=(5, 6)), FIRST + 30 * DAY, 14)
    early = [n for n in range(31) if n not in {5, 6}]
    assert places(found.quiet) == [-90, *range(-89, -80), -60, -30, *early]  # none before the first training day
    assert places(found.newest) == list(range(31, 40))


def test_an_odd_day_is_held_against_the_others_and_never_learnt_from() -> None:
    found = period_of(TRAINING, judged(*range(8), odd=(3, 4)), FIRST - DAY, 14)
    assert places(found.quiet) == [-90, -60, -30, 0, 1, 2, 5, 6]
    assert places(found.newest) == [3, 4, 7]


def test_a_source_is_held_against_its_own_last_weeks() -> None:
    found = last_weeks(judged(*range(63), odd=(20, 60)), 14, 7)
    assert places(found.quiet) == [n for n in range(56) if n != 20]
    assert places(found.newest) == list(range(56, 63))
    young = last_weeks(judged(*range(15)), 14, 7)
    assert (places(young.quiet), places(young.newest)) == (list(range(14)), [14])
