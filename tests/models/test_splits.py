"""Splits: the embargo holds, folds lie before the gate, and the refusal names a time that really would do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidemill.core.errors import TidemillError
from tidemill.core.time import Grid, parse_time
from tidemill.declare import Splits, days
from tidemill.models.splits import Fold, Plan, matured_times, plan_splits

MONTHLY = Grid("2011-04-01", every="month")


def at(*dates: str) -> tuple[datetime, ...]:
    return tuple(datetime.fromisoformat(d).replace(tzinfo=UTC) for d in dates)


APRIL, MAY, JUNE, JULY, AUGUST = at("2011-04-01", "2011-05-01", "2011-06-01", "2011-07-01", "2011-08-01")


def test_a_time_is_mature_when_its_horizon_lies_behind_the_watermark() -> None:
    first = APRIL - days(100)
    assert matured_times(MONTHLY, JULY, days(30), first, None) == (APRIL, MAY, JUNE)
    assert matured_times(MONTHLY, JULY - timedelta(microseconds=1), days(30), first, None) == (APRIL, MAY)
    assert matured_times(MONTHLY, JULY, days(31), first, None) == (APRIL, MAY)
    assert matured_times(MONTHLY, JULY, days(30), first, 2) == (MAY, JUNE)
    assert matured_times(MONTHLY, JULY, days(30), APRIL, None) == (MAY, JUNE)  # at its first event nothing was known
    assert matured_times(MONTHLY, APRIL, days(30), first, None) == ()


def test_a_plan_is_embargoed_throughout() -> None:
    times = (APRIL, MAY, JUNE, JULY, AUGUST)
    plan = plan_splits(times, Splits(gate=1, folds=3), days(31), MONTHLY)
    assert plan == Plan(
        folds=(Fold((APRIL, MAY), (JULY,)), Fold((APRIL, MAY), (JUNE,))),
        gate_train=(APRIL, MAY, JUNE, JULY),
        gate=(AUGUST,),
        final=times,
    )
    # Thirty days from May are over on the 31st; thirty days from June only on July 1st.
    assert plan_splits(times, Splits(folds=1), days(30), MONTHLY).folds == (Fold((APRIL, MAY, JUNE), (JULY,)),)


def test_two_gate_times_and_larger_folds() -> None:
    times = MONTHLY.times(parse_time("2012-02-01"))
    plan = plan_splits(times, Splits(gate=2, folds=2, fold_size=2), days(60), MONTHLY)
    assert plan.gate == at("2011-12-01", "2012-01-01")
    assert plan.gate_train == MONTHLY.times(parse_time("2011-10-02"))
    assert [f.evaluate for f in plan.folds] == [at("2011-10-01", "2011-11-01"), at("2011-08-01", "2011-09-01")]
    assert [f.train[-1] for f in plan.folds] == list(at("2011-08-01", "2011-06-01"))


splits = st.builds(Splits, gate=st.integers(1, 4), folds=st.integers(1, 4), fold_size=st.integers(1, 4))
grids = st.sampled_from([MONTHLY, Grid("2011-04-01", every=days(1)), Grid("2011-04-01T06:00", every=days(7))])
lengths = st.integers(1, 100).map(days)


def planned(grid: Grid, splits: Splits, after: timedelta, watermark: datetime) -> Plan:
    first = parse_time(grid.start) - days(1)
    return plan_splits(matured_times(grid, watermark, after, first, splits.history), splits, after, grid)


@given(grids, splits, lengths, st.integers(0, 400).map(days))
def test_every_plan_keeps_the_embargo(grid: Grid, splits: Splits, after: timedelta, span: timedelta) -> None:
    watermark = parse_time(grid.start) + span
    try:
        plan = planned(grid, splits, after, watermark)
    except TidemillError:
        return
    assert all(t + after <= watermark for t in plan.final)
    assert plan.gate == plan.final[-splits.gate :]
    assert plan.gate_train
    assert plan.folds
    assert all(t + after <= e for t in plan.gate_train for e in plan.gate)
    for fold in plan.folds:
        assert fold.train
        assert len(fold.evaluate) <= splits.fold_size
        assert all(t + after <= e for t in fold.train for e in fold.evaluate)
        assert max(fold.evaluate) < min(plan.gate)
    judged = [t for fold in plan.folds for t in fold.evaluate]
    assert len(judged) == len(set(judged))


def named(error: TidemillError) -> datetime:
    return parse_time(error.next_step.removeprefix("choose an as-of time from ").removesuffix(" on"))


@given(grids, splits, lengths)
@settings(deadline=None, max_examples=60)
def test_the_first_time_that_would_do_really_would(grid: Grid, splits: Splits, after: timedelta) -> None:
    with pytest.raises(TidemillError) as caught:
        planned(grid, splits, after, parse_time(grid.start))
    assert (caught.value.code, caught.value.exit_code) == ("E_NO_SPLIT", 66)
    would_do = named(caught.value)
    assert planned(grid, splits, after, would_do).folds
    with pytest.raises(TidemillError) as earlier:
        planned(grid, splits, after, would_do - timedelta(microseconds=1))
    assert named(earlier.value) == would_do


def test_a_history_too_short_for_any_split_is_not_sent_to_a_later_time() -> None:
    splits = Splits(gate=1, folds=1, history=2)
    with pytest.raises(TidemillError) as caught:
        planned(MONTHLY, splits, days(30), parse_time("2013-01-01"))
    assert "history" in caught.value.lines()


@pytest.mark.parametrize("field", ["gate", "folds", "fold_size"])
def test_splits_that_make_no_sense_are_refused_when_they_are_declared(field: str) -> None:
    wrong: dict[str, Any] = {field: 0}
    with pytest.raises((TidemillError, ValueError), match=field):
        Splits(**wrong)


def test_shares_take_the_place_of_times_only_where_they_are_asked_for_by_name() -> None:
    times = (APRIL, MAY)
    plan = plan_splits(times, Splits(by="entity", gate=2, folds=2, fold_size=3), days(90), MONTHLY)
    assert plan == Plan(
        folds=(Fold(times, times, (2, 3, 4)), Fold(times, times, (5, 6, 7))),
        gate_train=times,
        gate=times,
        final=times,
        by="entity",
        gate_shares=(0, 1),
        shares=8,
    )
    assert "by shares of entities" in plan.said
    assert "do not say how the model does later" in plan.said
    assert "shares of rows" in plan_splits((APRIL,), Splits(by="random"), days(90), MONTHLY).said
    with pytest.raises(TidemillError) as refused:
        plan_splits(times, Splits(), days(90), MONTHLY)
    assert refused.value.code == "E_NO_SPLIT"
    assert plan_splits((APRIL, MAY, JUNE), Splits(folds=1), days(30), MONTHLY).said.startswith("by time")


def test_shares_need_a_mature_time_and_the_refusal_names_it() -> None:
    with pytest.raises(TidemillError) as refused:
        plan_splits((), Splits(by="entity"), days(90), MONTHLY)
    assert refused.value.code == "E_NO_SPLIT"
    assert refused.value.next_step == "choose an as-of time from 2011-06-30T00:00:00Z on"


def test_a_way_to_split_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(TidemillError, match="cannot be split by 'entities'") as refused:
        Splits(by="entities")
    assert refused.value.code == "E_SPLITS"
    assert "did you mean 'entity'?" in refused.value.next_step
