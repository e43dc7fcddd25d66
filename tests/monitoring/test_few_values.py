"""Columns of few values: what is nearly always the same can move, and what never varied is not alarmed by one row."""

import numpy as np
import pytest
from monitoring.test_drift import LIMITS
from numpy.typing import NDArray
from tidemill.monitoring.drift import Drift, Watched, compare, day_of_sketch
from tidemill.stats.bins import NUMBER, choose_bins
from tidemill.stats.sketch import merge_sketches, sketch_numbers

ROWS, QUIET = 10_000, 28
RANDOM = np.random.default_rng(20260301)
Values = NDArray[np.float64]


def flag(share: float) -> Values:
    return (RANDOM.random(ROWS) < share).astype(np.float64)


def inflated(zeros: float) -> Values:
    return np.where(RANDOM.random(ROWS) < zeros, 0.0, RANDOM.exponential(20.0, ROWS))


def poisson(mean: float) -> Values:
    return RANDOM.poisson(mean, ROWS).astype(np.float64)


def constant(value: float, other: float | None = None, rows: int = 1) -> Values:
    values = np.full(ROWS, value)
    if other is not None:
        values[:rows] = other
    return values


def judged(quiet: list[Values], newest: Values) -> Drift:
    whole = merge_sketches([sketch_numbers(v, ROWS) for v in quiet])
    bins = choose_bins("x", NUMBER, whole, LIMITS.bins)
    edges = np.array(bins.edges)
    days = [sketch_numbers(v, ROWS, edges) for v in [*quiet, newest]]
    known = tuple(day_of_sketch(place, day) for place, day in enumerate(days))
    seen = Watched(bins, merge_sketches(days[:-1]), days[-1], known[:-1], known[-1:])
    return compare([seen], 7, LIMITS)[0]


@pytest.mark.parametrize(
    ("quiet", "newest"),
    [
        ([flag(0.05) for _ in range(QUIET)], flag(0.9)),
        ([flag(0.95) for _ in range(QUIET)], flag(0.1)),
        ([inflated(0.92) for _ in range(QUIET)], inflated(0.3)),
        ([poisson(0.08) for _ in range(QUIET)], poisson(3.0)),
        ([constant(0.0)] * QUIET, constant(5.0)),
        ([constant(5.0)] * QUIET, constant(0.0)),
    ],
)
def test_what_is_nearly_always_the_same_can_move(quiet: list[Values], newest: Values) -> None:
    found = judged(quiet, newest)
    assert found.verdict == "alert"
    assert found.psi is not None
    assert found.psi > 0.25


@pytest.mark.parametrize(
    ("quiet", "newest"),
    [
        ([constant(0.0)] * QUIET, constant(0.0, -1.0)),
        ([constant(0.0)] * QUIET, constant(0.0, 1.0, 20)),
        ([constant(0.0)] * QUIET, constant(0.0)),
        ([flag(0.05) for _ in range(QUIET)], flag(0.05)),
        ([flag(0.001) for _ in range(QUIET)], np.concatenate([[-1.0], flag(0.001)[1:]])),
        ([inflated(0.92) for _ in range(QUIET)], inflated(0.92)),
        ([poisson(3.0) for _ in range(QUIET)], poisson(3.0)),
    ],
)
def test_one_row_in_ten_thousand_is_no_drift(quiet: list[Values], newest: Values) -> None:
    found = judged(quiet, newest)
    assert found.verdict == "ok", found.reason


def test_a_value_that_is_several_quantiles_has_a_bin_of_its_own() -> None:
    bins = choose_bins("x", NUMBER, sketch_numbers(constant(0.0, 7.0, 500), ROWS), 10)
    assert bins.labels == ("< 0", "0", "> 0")
    even = choose_bins("x", NUMBER, sketch_numbers(np.arange(100.0), 100), 4)
    assert even.labels == ("< 24", "24 to 49", "49 to 74", ">= 74")


def test_a_constant_on_two_bins_has_one_of_its_own() -> None:
    assert choose_bins("x", NUMBER, sketch_numbers(constant(3.0), ROWS), 2).size == 3
