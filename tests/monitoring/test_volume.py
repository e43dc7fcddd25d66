"""Volume: weekends are quiet, half a delivery is not."""

import numpy as np
import pytest
from monitoring.test_drift import LIMITS
from tidemill.monitoring.figures import Day
from tidemill.monitoring.volume import odd_volume


def day(place: int, rows: int) -> Day:
    return Day(place, (rows,), 0)


QUIET = [
    day(p, int(1_000 * (0.4 if p % 7 in {5, 6} else 1.0) * noise))
    for p, noise in enumerate(1 + 0.05 * np.random.default_rng(3).standard_normal(42))
]


@pytest.mark.parametrize(
    ("place", "rows", "odd"), [(47, 410, False), (44, 1_030, False), (44, 410, True), (44, 0, True), (44, 1_900, True)]
)
def test_a_day_is_held_against_its_weekday(place: int, rows: int, odd: bool) -> None:
    assert (odd_volume(QUIET, [day(place, rows)], 7, LIMITS) is not None) == odd


def test_the_sentence_says_both() -> None:
    assert odd_volume(QUIET, [day(44, 400)], 7, LIMITS) == "400 rows were scored, and 1,030 are usual"


def test_few_quiet_days_tell_nothing() -> None:
    assert odd_volume(QUIET[:13], [day(44, 1)], 7, LIMITS) is None
    assert odd_volume(QUIET, [], 7, LIMITS) is None


def test_what_has_grown_slowly_is_usual_and_half_of_it_is_not() -> None:
    later = [day(p, int(1_000 * (0.4 if p % 7 in {5, 6} else 1.0) * 1.003 ** (p - 42))) for p in range(42, 142)]
    assert odd_volume(QUIET, later, 7, LIMITS) is None
    assert odd_volume(QUIET, [*later, day(142, 500)], 7, LIMITS) is not None


def test_few_rows_are_no_verdict() -> None:
    few = [day(p, 40 + p % 3) for p in range(42)]
    assert odd_volume(few, [day(44, 12)], 7, LIMITS) is None
    assert odd_volume(few, [day(44, 400)], 7, LIMITS) is not None
