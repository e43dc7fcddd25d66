"""The spread of a column for a small picture: every row is in a bin or missing."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tidemill.stats.spread import Spread, spread_of_numbers, spread_of_texts


def test_numbers_lie_in_equal_bins() -> None:
    found = spread_of_numbers(np.array([float(i) for i in range(101)]), bins=4)
    assert found == Spread(
        101, 0, 0.0, 100.0, ("1 to 25.5", "25.5 to 50", "50 to 74.5", "74.5 to 99"), (26, 24, 25, 26)
    )


def test_a_giant_hides_nothing() -> None:
    values = np.array([*(float(i % 10) for i in range(1000)), 1e300, float("inf"), float("nan")])
    found = spread_of_numbers(values, bins=3)
    assert (found.rows, found.nulls, found.high) == (1003, 1, 1e300)
    assert found.counts == (300, 300, 401)


def test_a_constant_is_one_bin_and_nothing_is_none() -> None:
    assert spread_of_numbers(np.array([2.0, 2.0])) == Spread(2, 0, 2.0, 2.0, ("2",), (2,))
    assert spread_of_numbers(np.array([np.nan])) == Spread(1, 1, None, None, (), ())


def test_texts_are_counted_and_the_rare_ones_together() -> None:
    values = np.array(["b", "a", "b", "c", None, "d"], dtype=object)
    known = np.array([True, True, True, True, False, True])
    assert spread_of_texts(values, known, most=2) == Spread(6, 1, None, None, ("b", "a", "other"), (2, 1, 2))


@given(st.lists(st.floats(width=32), max_size=60))
def test_every_finite_number_is_in_one_bin(rows: list[float]) -> None:
    found = spread_of_numbers(np.array(rows, dtype=np.float64))
    finite = [v for v in rows if np.isfinite(v)]
    assert sum(found.counts) == len(finite)
    assert (found.low, found.high) == ((min(finite), max(finite)) if finite else (None, None))
