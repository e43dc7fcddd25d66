"""Instants, grids and runs of instants."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidemill.core.errors import TidemillError
from tidemill.core.time import (
    MICROSECOND,
    Grid,
    Run,
    days,
    decode_times,
    encode_times,
    format_time,
    from_micros,
    hours,
    length_name,
    parse_length,
    parse_time,
    round_up,
    to_micros,
)

instants = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2011-11-01", datetime(2011, 11, 1, tzinfo=UTC)),
        ("2011-11-01T06:00:00Z", datetime(2011, 11, 1, 6, tzinfo=UTC)),
        ("2011-11-01T06:00", datetime(2011, 11, 1, 6, tzinfo=UTC)),
        ("2011-11-01 06:00:00.000001", datetime(2011, 11, 1, 6, 0, 0, 1, tzinfo=UTC)),
        ("2011-11-01T06:00:00+02:00", datetime(2011, 11, 1, 4, tzinfo=UTC)),
        ("2012-02-29", datetime(2012, 2, 29, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_utc(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2011-13-01", "2011-02-29", "11/01/2011", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time_is_a_usage_error(text: str) -> None:
    with pytest.raises(TidemillError) as caught:
        parse_time(text, "--until")
    assert (caught.value.code, caught.value.exit_code, caught.value.where) == ("E_TIME", 64, "--until")


@given(instants)
def test_times_survive_writing(value: datetime) -> None:
    assert parse_time(format_time(value)) == value
    assert from_micros(to_micros(value)) == value


def test_times_are_written_in_one_form() -> None:
    assert format_time(datetime(2011, 11, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == "2011-11-01T00:00:00Z"
    assert format_time(datetime(2011, 11, 1, 0, 0, 0, 1, tzinfo=UTC)) == "2011-11-01T00:00:00.000001Z"


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [
        ("2011-11-01T00:00:00", days(1), "2011-11-01T00:00:00Z"),
        ("2011-11-01T00:00:00.000001", days(1), "2011-11-02T00:00:00Z"),
        ("2011-11-01T23:59:59.999999", hours(1), "2011-11-02T00:00:00Z"),
        ("1969-12-31T12:00:00", days(1), "1970-01-01T00:00:00Z"),
        ("1969-12-30T12:00:00", days(1), "1969-12-31T00:00:00Z"),
        ("2011-11-01T00:10:00", timedelta(minutes=15), "2011-11-01T00:15:00Z"),
    ],
)
def test_rounding_up(value: str, step: timedelta, expected: str) -> None:
    assert format_time(round_up(parse_time(value), step)) == expected


@given(instants, st.timedeltas(timedelta(microseconds=1), timedelta(days=40)))
def test_rounding_up_is_the_next_multiple(value: datetime, step: timedelta) -> None:
    rounded = round_up(value, step)
    assert value <= rounded < value + step
    assert to_micros(rounded) % (step // MICROSECOND) == 0


@pytest.mark.parametrize(
    ("text", "length"),
    [("30d", days(30)), ("36h", hours(36)), ("15min", timedelta(minutes=15)), ("10s", timedelta(seconds=10))],
)
def test_lengths_have_short_names(text: str, length: timedelta) -> None:
    assert (length_name(length), parse_length(text)) == (text, length)


def test_lengths_that_have_no_name() -> None:
    assert length_name(hours(24)) == "1d"
    assert length_name(timedelta(seconds=90)) == "90s"
    for length in (timedelta(0), -days(1), timedelta(microseconds=1500)):
        with pytest.raises(ValueError, match="whole number of seconds"):
            length_name(length)
    for text in ("", "30", "d", "1w", "-1d", "1.5h"):
        with pytest.raises(ValueError, match="not a length"):
            parse_length(text)


def at(text: str) -> datetime:
    return parse_time(text)


def test_a_monthly_grid_keeps_day_and_time() -> None:
    grid = Grid("2011-11-28T06:30", every="month")
    found = [format_time(t) for t in grid.times(at("2012-03-28T06:30"))]
    assert found == ["2011-11-28T06:30:00Z", "2011-12-28T06:30:00Z", "2012-01-28T06:30:00Z", "2012-02-28T06:30:00Z"]
    assert grid.newest(at("2012-01-28T06:30")) == at("2012-01-28T06:30")
    assert grid.newest(at("2012-01-28T06:29:59")) == at("2011-12-28T06:30")
    assert grid.newest(at("2011-11-28T06:29")) is None
    assert grid.times(at("2011-11-28T06:30")) == ()


def test_a_fixed_grid() -> None:
    grid = Grid("2012-02-28", every=hours(36))
    assert grid.times(at("2012-03-02")) == (at("2012-02-28"), at("2012-02-29T12:00"))
    assert grid.newest(at("2012-03-02")) == at("2012-03-02")
    assert grid.newest(at("2012-03-02") - MICROSECOND) == at("2012-02-29T12:00")
    assert grid.newest(at("2012-02-27")) is None


@given(instants, st.sampled_from(["month", days(1), hours(7), timedelta(minutes=1441)]))
def test_the_newest_time_of_a_grid_is_the_last_that_is_not_later(value: datetime, every: timedelta | str) -> None:
    grid = Grid(format_time(value - days(90)) if every != "month" else "2000-01-28", every=every)
    newest = grid.newest(value)
    times = grid.times(value + MICROSECOND)
    assert newest == (times[-1] if times else None)


@pytest.mark.parametrize(
    ("start", "every"), [("2011-01-29", "month"), ("2011-01-01", timedelta(0)), ("2011-01-01", "week")]
)
def test_a_grid_that_makes_no_sense_is_refused(start: str, every: timedelta | str) -> None:
    with pytest.raises(ValueError, match="grid"):
        Grid(start, every=every)


@given(st.lists(st.integers(-(10**6), 10**6), max_size=60))
def test_runs_give_the_same_instants_back(values: list[int]) -> None:
    times = [from_micros(v) for v in values]
    runs = encode_times(times)
    assert decode_times(runs) == tuple(sorted(set(times)))
    assert [r.start for r in runs] == sorted(r.start for r in runs)
    assert sum(r.count for r in runs) == len(set(values))


def test_regular_times_are_few_runs() -> None:
    hourly = [at("2024-01-01") + n * hours(1) for n in range(10_000)]
    assert encode_times(hourly) == (Run(1704067200000000, 3_600_000_000, 10_000),)
    assert len(encode_times([*hourly, hourly[-1] + MICROSECOND])) == 2
    assert encode_times([]) == ()
    monthly = Grid("2011-01-01", every="month").times(at("2013-01-01"))
    assert decode_times(encode_times(monthly)) == monthly
