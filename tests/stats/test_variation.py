"""The variation of a daily figure: seasons where there are any, and how odd a day is by Student's t."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tidemill.stats.variation import variation_of, windows

PLACES = np.arange(28)


def test_a_season_is_used_where_it_foretells_better() -> None:
    rng = np.random.default_rng(2)
    wave = np.sin(2 * np.pi * PLACES / 7)
    season = variation_of(wave + 0.1 * rng.standard_normal(28), PLACES, 0.0, 7)
    assert season.season == 7
    assert season.deviation < 0.2
    assert np.max(np.abs(season.expected(PLACES) - wave)) < 0.25
    assert variation_of(0.1 * rng.standard_normal(28), PLACES, 0.0, 7).season == 1
    assert variation_of(wave[:13], PLACES[:13], 0.0, 7).season == 1  # a weekday that was there only once tells nothing


def test_the_tail_of_one_day_is_that_of_the_prediction_interval() -> None:
    values = np.random.default_rng(4).standard_normal(20)
    found = variation_of(values, np.arange(20), 0.0, 1)
    apart, tail = found.tail(np.array([2.5]), np.array([20]), 0.0)
    deviation = float(np.std(values, ddof=1))
    assert math.isclose(apart, 2.5 - float(np.mean(values)))
    expected = 2 * stats.t.sf(abs(apart) / (deviation * math.sqrt(1 + 1 / 20)), 19)
    assert math.isclose(tail, expected, rel_tol=1e-6)


def test_few_rows_explain_what_many_do_not() -> None:
    found = variation_of(0.01 * np.random.default_rng(1).standard_normal(28), PLACES, 1e-4, 7)
    many, few = (found.tail(np.array([0.1]), np.array([28]), noise)[1] for noise in (1e-4, 1e-2))
    assert many < 1e-5
    assert few > 0.2


def test_days_that_go_together_are_less_than_as_many_days() -> None:
    rng = np.random.default_rng(8)
    steps = rng.standard_normal(400)
    together = np.array([sum(0.8**k * steps[i - k] for k in range(20)) for i in range(20, 400)])
    alone = variation_of(rng.standard_normal(380), np.arange(380), 0.0, 1)
    carried = variation_of(together, np.arange(380), 0.0, 1)
    assert len(alone.carried) == 0
    assert carried.carried[0] == pytest.approx(0.8, abs=0.1)
    days = np.arange(380, 387)
    tails = [v.tail(np.full(7, 2 * v.deviation) + v.means[0], days, 0.0)[1] for v in (alone, carried)]
    assert tails[0] < 1e-5
    assert tails[1] > 1e-3


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.integers(1, 8))
def test_anything_has_a_variation(values: list[float], season: int) -> None:
    found = variation_of(np.array(values), np.arange(len(values)), 0.0, season)
    assert found.deviation > 0
    apart, tail = found.tail(np.array(values[-1:]), np.array([len(values)]), 0.0)
    assert math.isfinite(apart)
    assert 0 <= tail <= 1


def test_windows_have_no_gap() -> None:
    assert windows([1, 2, 3, 4], (1, 3, 7)) == [slice(3, 4), slice(1, 4)]
    assert windows([1, 2, 4], (1, 2, 3)) == [slice(2, 3)]


def test_a_whole_year_has_a_course() -> None:
    places = np.arange(400)
    wave = 3 * np.cos(2 * np.pi * places / 365.25 + 1)
    values = wave + 0.3 * np.random.default_rng(6).standard_normal(400)
    found = variation_of(values, places, 0.0, 1, 365.25)
    assert found.deviation == pytest.approx(0.3, abs=0.05)
    later = np.arange(500, 507)
    assert found.expected(later) == pytest.approx(3 * np.cos(2 * np.pi * later / 365.25 + 1), abs=0.15)
    assert len(variation_of(values[:300], places[:300], 0.0, 1, 365.25).course) == 0  # part of a year is no year
    assert len(variation_of(values - wave, places, 0.0, 1, 365.25).course) == 0
