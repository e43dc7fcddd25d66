"""Pivots, categories, quantiles, trends, gaps, streaks and states against their naive twins on random worlds."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import naive_twin as naive
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from naive_twin import DAY, MICRO, Event
from pyspark.sql import SparkSession
from tidemill.declare import (
    Aggregate,
    Attribute,
    Calendar,
    Entity,
    FeatureView,
    Gaps,
    Source,
    Streak,
    days,
    hours,
)
from tidemill.features.compute import build_view
from worlds import check_worlds, event, frame_of, rows_of

CUSTOMER = Entity("customer")
EVENTS = Source("events", "events.yaml", CUSTOMER)
ALL = ("mean", "min", "max", "stddev")
QUANTILES = {"amount": {"q25": 0.25, "q99_5": 0.995, "q100": 1.0}, "price": {"q50": 0.5}}


def view_of(*features: Any) -> FeatureView:
    return FeatureView("v", 1, CUSTOMER, EVENTS, features, cadence=days(1), ttl=days(1))


def features_over(windows: tuple[timedelta, ...]) -> tuple[Any, ...]:
    """The same features over windows, or over everything known."""
    return (
        *(Aggregate("top", column, windows=windows) for column in ("kind", "price")),
        Aggregate("share", "kind", windows=windows, value="b"),
        Aggregate("share", "active", windows=windows, value="true"),
        *(Aggregate("quantile", name, windows=windows, q=q) for name, qs in QUANTILES.items() for q in qs.values()),
        *(Aggregate("slope", column, windows=windows) for column in ("amount", "price")),
        Aggregate("count", windows=windows, by="kind", values=("a", "b", "none such")),
        Aggregate("sum", "price", windows=windows, by="active", values=("true", "false")),
        Gaps(ALL, windows=windows),
        Gaps(("mean", "min"), windows=windows, distinct=True, name="instant"),
        Gaps(("max",), windows=windows, where="kind = 'b'", name="b"),
    )


STREAKS = (
    Streak(days(1), days(30)),
    Streak(hours(6), days(7), where="active", name="active"),
    Streak(days(7), days(7), which=("current",)),
)
BOUNDED = view_of(*features_over((days(30),)), *STREAKS)
UNBOUNDED = view_of(
    *features_over(()),
    *features_over((days(7),)),
    *STREAKS,
    Attribute("kind"),
    Attribute("price", "double", name="last_price"),
    Attribute("active", "double"),
)


def expected_over(seen: list[Event], end: str) -> dict[str, tuple[Any, float]]:
    """Each feature of a window whose events these are, and the size that its rounding is measured by."""
    found: dict[str, tuple[Any, float]] = {}
    for column in ("kind", "price"):
        found[f"{column}_top{end}"] = (naive.top([getattr(e, column) for e in seen]), 0.0)
    found[f"kind_share_b{end}"] = (naive.share([e.kind for e in seen], "b"), 0.0)
    found[f"active_share_true{end}"] = (naive.share([e.active for e in seen], "true"), 0.0)
    for column in ("amount", "price"):
        values = [getattr(e, column) for e in seen]
        found |= {f"{column}_{name}{end}": (naive.quantile(values, q), 0.0) for name, q in QUANTILES[column].items()}
        found[f"{column}_slope{end}"] = naive.slope([(e.event_time, getattr(e, column)) for e in seen])
    for label, kind in {"a": "a", "b": "b", "none_such": "none such"}.items():
        found[f"events_{label}_count{end}"] = (float(sum(e.kind == kind for e in seen)), 0.0)
    for label, active in {"true": True, "false": False}.items():
        prices = [e.price for e in seen if e.active is active]
        found[f"price_{label}_sum{end}"] = (naive.aggregate("sum", prices), 0.0)
    times = [e.event_time for e in seen]
    for statistic in ALL:
        found[f"gap_{statistic}_days{end}"] = (naive.gap_statistic(times, statistic, distinct=False), 1.0)
    for statistic in ("mean", "min"):
        found[f"instant_gap_{statistic}_days{end}"] = (naive.gap_statistic(times, statistic, distinct=True), 0.0)
    b_times = [e.event_time for e in seen if e.kind == "b"]
    found[f"b_gap_max_days{end}"] = (naive.gap_statistic(b_times, "max", distinct=False), 0.0)
    return found


def expected_streaks(world: list[Event], at: datetime) -> dict[str, tuple[Any, float]]:
    seen = naive.seen(world, at)
    times, active = [e.event_time for e in seen], [e.event_time for e in seen if e.active]
    found = {"streak_7d_current_7d": naive.streak(times, at, 7 * DAY, 7 * DAY, "current")}
    for which in ("current", "longest"):
        found[f"streak_1d_{which}_30d"] = naive.streak(times, at, DAY, 30 * DAY, which)
        found[f"active_streak_6h_{which}_7d"] = naive.streak(active, at, hours(6), 7 * DAY, which)
    return {name: (value, 0.0) for name, value in found.items()}


def expected_bounded(world: list[Event], at: datetime) -> dict[str, tuple[Any, float]]:
    month = [e for e in naive.seen(world, at) if e.event_time >= at - 30 * DAY]
    return expected_streaks(world, at) | expected_over(month, "_30d")


def expected_unbounded(world: list[Event], at: datetime) -> dict[str, tuple[Any, float]]:
    seen = naive.seen(world, at)
    week = [e for e in seen if e.event_time >= at - 7 * DAY]
    found = expected_streaks(world, at) | expected_over(seen, "") | expected_over(week, "_7d")
    newest = seen[-1] if seen else None
    number = None if newest is None or newest.active is None else float(newest.active)
    found["kind_now"] = (None if newest is None else newest.kind, 0.0)
    found["last_price"] = (None if newest is None or newest.price is None else float(newest.price), 0.0)
    found["active_now"] = (number, 0.0)
    return found


@pytest.mark.parametrize(
    ("view", "corrections"),
    [(BOUNDED, True), (UNBOUNDED, False), (UNBOUNDED, True)],
    ids=["windows with corrections", "everything", "everything with corrections"],
)
@settings(
    max_examples=1,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(seeds=st.lists(st.integers(1, 2**32), min_size=60, max_size=60, unique=True))
def test_histories_equal_their_naive_twins(
    spark: SparkSession, view: FeatureView, corrections: bool, seeds: list[int]
) -> None:
    worlds = {f"c{i}": naive.random_world(seed, f"c{i}", corrections=corrections) for i, seed in enumerate(seeds)}
    found = rows_of(build_view(frame_of(spark, list(worlds.values())), view, naive.AS_OFS))
    expected = expected_bounded if view is BOUNDED else expected_unbounded
    assert set(expected([], naive.AS_OFS[0])) == {f.name for f in view.columns}
    check_worlds(found, worlds, expected)


def test_a_tie_goes_to_the_smallest_text_and_a_quantile_is_numpys(spark: SparkSession) -> None:
    at = datetime(2024, 3, 8, tzinfo=UTC)
    kinds = ["b", "a", "b", "a", "é", None]
    world = [event("a", f"2024-03-0{n}T00:00:00", float(n * n), kind=kind) for n, kind in enumerate(kinds, start=1)]
    odd = [event("odd", f"2024-03-0{n}T00:00:00", v) for n, v in enumerate((math.nan, math.inf, 1.0), start=1)]
    view = view_of(
        Aggregate("top", "kind"),
        Aggregate("share", "kind", value="a"),
        Aggregate("quantile", "amount", q=0.1),
        Aggregate("quantile", "amount", q=0.5),
        Aggregate("slope", "amount"),
    )
    found = rows_of(build_view(frame_of(spark, [world, odd]), view, [at]))
    row = found[("a", at)]
    assert (row["kind_top"], row["kind_share_a"]) == ("a", 0.4)
    assert (row["amount_q10"], row["amount_q50"], row["amount_slope"]) == (2.5, 12.5, 7.0)
    assert (found[("odd", at)]["amount_q10"], found[("odd", at)]["amount_q50"]) == (math.inf, math.inf)
    assert math.isnan(found[("odd", at)]["amount_slope"])


def test_gaps_and_streaks_by_hand(spark: SparkSession) -> None:
    at = datetime(2024, 3, 8, tzinfo=UTC)
    times = ["2024-03-07T12:00:00", "2024-03-06T00:00:00", "2024-03-06T00:00:00", "2024-03-03T23:59:59.999999"]
    times += ["2024-03-03T00:00:00", "2024-03-02T00:00:00", "2024-03-01T00:00:00", "2024-02-29T00:00:00"]
    world = [event("a", time, row_id=f"{n}") for n, time in enumerate(times)]
    world += [event("b", "2024-03-06T23:59:59.999999"), event("c", "2024-03-07T00:00:00")]
    view = view_of(
        Streak(days(1), days(7)),
        Gaps(ALL, windows=(days(3),)),
        Gaps(("min",), windows=(days(3),), distinct=True, name="d"),
    )
    found = rows_of(build_view(frame_of(spark, [world]), view, [at]))
    streaks = {name: (row["streak_1d_current_7d"], row["streak_1d_longest_7d"]) for (name, _), row in found.items()}
    assert streaks == {"a": (2.0, 3.0), "b": (0.0, 1.0), "c": (1.0, 1.0)}  # the 29th lies before the window
    row = found[("a", at)]
    assert (row["gap_mean_days_3d"], row["gap_min_days_3d"], row["gap_max_days_3d"]) == (0.75, 0.0, 1.5)
    assert row["gap_stddev_days_3d"] == pytest.approx(1.5 / math.sqrt(2), rel=1e-15)
    assert row["d_gap_min_days_3d"] == 1.5
    assert [found[("b", at)][f"gap_{s}_days_3d"] for s in ALL] == [None] * 4


def test_a_state_is_that_of_the_newest_row_and_a_late_one_counts_when_it_arrives(spark: SparkSession) -> None:
    at = datetime(2024, 3, 8, tzinfo=UTC)
    world = [
        event("a", "2024-03-01T00:00:00", kind="basic"),
        event("a", "2024-03-05T00:00:00", kind=None, price=Decimal("9.50"), known_time=at),
    ]
    view = view_of(Attribute("kind"), Attribute("price", "double"), Aggregate("last_text", "kind"))
    found = rows_of(build_view(frame_of(spark, [world]), view, [at, at + MICRO]))
    states = [(row["kind_now"], row["price_now"], row["kind_last_text"]) for _, row in sorted(found.items())]
    assert states == [("basic", None, "basic"), (None, 9.5, "basic")]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2024-02-29T23:00:00", {"day": 29, "day_of_year": 60, "week": 9, "quarter": 1, "is_weekend": 0}),
        ("2023-01-01T00:00:00", {"day": 1, "day_of_year": 1, "week": 52, "quarter": 1, "is_weekend": 1}),
        ("2024-12-30T12:00:00", {"day": 30, "day_of_year": 365, "week": 1, "quarter": 4, "is_weekend": 0}),
    ],
)
def test_the_calendar_has_weeks_of_iso_8601(spark: SparkSession, at: str, expected: dict[str, int]) -> None:
    moment = datetime.fromisoformat(f"{at}+00:00")
    view = view_of(Calendar(tuple(expected)))
    found = rows_of(build_view(frame_of(spark, [[event("a", "2020-01-01T00:00:00")]]), view, [moment]))
    row = found[("a", moment)]
    assert {name: row[f"as_of_{name}"] for name in expected} == {name: float(v) for name, v in expected.items()}
    assert expected["week"] == moment.isocalendar().week
