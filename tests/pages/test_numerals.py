"""Numbers as people read them."""

import math

import pytest
from tidemill.pages.numerals import count, fixed, metric, moment, number, share


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "n/a"), (0, "0"), (999, "999"), (541909, "541\u202f909"), (-1234, "-1\u202f234")],
)
def test_count(value: int | None, text: str) -> None:
    assert count(value) == text


@pytest.mark.parametrize(
    ("value", "short", "lined_up"),
    [
        (None, "n/a", "n/a"),
        (math.nan, "n/a", "n/a"),
        (math.inf, "∞", "∞"),
        (-math.inf, "-∞", "-∞"),
        (0.0, "0", "0"),
        (-0.0, "0", "0"),
        (0.81, "0.81", "0.8100"),
        (1.0, "1", "1.000"),
        (100.0, "100", "100.0"),
        (12345.6, "12\u202f346", "12\u202f346"),
        (-0.00012345, "-0.0001234", "-0.0001234"),
        (1.5e-7, "1.5e-07", "1.500e-07"),
        (1e16, "1e+16", "1.000e+16"),
    ],
)
def test_number_and_metric(value: float | None, short: str, lined_up: str) -> None:
    assert number(value) == short
    assert metric(value) == lined_up


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (math.nan, "n/a"),
        (math.inf, "∞"),
        (0.0029, "0.003"),
        (-0.0001, "0.000"),
        (1234.5, "1\u202f234.500"),
    ],
)
def test_fixed(value: float | None, text: str) -> None:
    assert fixed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (math.nan, "n/a"),
        (math.inf, "n/a"),
        (0.0, "0\u00a0%"),
        (0.0004, "<0.1\u00a0%"),
        (0.032, "3.2\u00a0%"),
        (0.9999, ">99.9\u00a0%"),
        (1.0, "100\u00a0%"),
    ],
)
def test_share(value: float | None, text: str) -> None:
    assert share(value) == text


def test_moment() -> None:
    assert moment("2011-11-01T00:00:00Z") == "2011-11-01"
    assert moment("2011-11-01T06:00:00Z") == "2011-11-01 06:00"
    assert moment("2011-11-01T06:00:01Z") == "2011-11-01T06:00:01Z"
    assert moment("yesterday") == "yesterday"
