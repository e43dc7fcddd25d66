"""The drift part of the job over days, on real tables, with workers' functions called here instead of by Spark."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pytest
from monitoring.test_drift import LIMITS
from tidemill.cli import days, drifting, judging, profiling, reference
from tidemill.cli.judging import Scored
from tidemill.core.config import Layout
from tidemill.core.config_monitor import KnownEvent
from tidemill.core.time import format_time
from tidemill.data.commit import derived_batch
from tidemill.data.profile_rows import ColumnProfile, Key
from tidemill.data.profile_work import Wanted, merge_profiles, profiles_of_batches
from tidemill.data.read import read_arrow
from tidemill.data.tables import Lake
from tidemill.monitoring.quiet import Calendar
from tidemill.monitoring.tables import DRIFT, PERFORMANCE, PROFILES
from tidemill.stats.bins import NUMBER
from tidemill.stats.sketch import Sketch

if TYPE_CHECKING:
    from tidemill.cli.context import Context

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 21
# Days of training sets: of a grid of days; and six times of a grid of ten days, trained at day 0 and at day 12.
LEARNT = {"t1": range(DAYS), "m1": range(-60, 0, 10), "m2": range(-50, 10, 10)}


def population(day: int, shift: float) -> pa.Table:
    rng = np.random.default_rng(1_000 + day)
    number = 2_000
    return pa.table(
        {
            "event_timestamp": pa.array([FIRST + timedelta(days=day)] * number, pa.timestamp("us", "UTC")),
            "visits": rng.standard_normal(number) + shift,
            "orders": rng.poisson(3, number).astype(np.float64),
            "plan": np.array(["basic", "plus", "pro"])[rng.integers(0, 3, number)],
        }
    )


class Frame:
    """As much of a frame as the drift part asks for."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def toArrow(self) -> pa.Table:  # noqa: N802
        return self.table

    def persist(self, _: Any) -> "Frame":
        return self

    def unpersist(self) -> None:
        pass

    def toLocalIterator(self) -> Iterator[Any]:  # noqa: N802
        return iter([SimpleNamespace(asDict=lambda row=row: row) for row in self.table.to_pylist()])


def profiled(rows: pa.Table, wanted: Wanted) -> Frame:
    sent = list(profiles_of_batches(rows.select(wanted.read).to_batches(max_chunksize=700), wanted))
    return Frame(pa.Table.from_batches(merge_profiles(sent)))


@pytest.fixture
def shifts(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """By how much `visits` is shifted on each judged day."""
    shifts: dict[int, float] = {}

    def training(*asked: Any) -> Frame:
        return profiled(
            pa.concat_tables([population(day, 0.0) for day in LEARNT[asked[4]["training_set_id"]]]), asked[3]
        )

    monkeypatch.setattr(profiling, "build_table_profiles", training)
    monkeypatch.setattr(drifting, "build_frame_profiles", lambda rows, wanted: profiled(rows.table, wanted))
    monkeypatch.setattr(reference, "training_sets_table", lambda _: None)
    monkeypatch.setattr(drifting, "view_table", lambda _: SimpleNamespace(label="gold.visits_v1"))
    monkeypatch.setattr(drifting, "predictions_table", lambda _: SimpleNamespace(label="gold.shop_predictions"))
    monkeypatch.setattr(judging, "gold_builder", lambda _: None)

    def rows(_: Any, __: Any, times: list[datetime]) -> Any:
        day = (times[0] - FIRST).days
        return SimpleNamespace(frame=Frame(population(day, shifts.get(day, 0.0))))

    monkeypatch.setattr(judging, "build_scoring_rows", rows)
    return shifts


def judge(root: Path, day: int, late: str = "", version: str = "1", **changed: Any) -> dict[str, tuple[str, str]]:
    """The verdicts of a day and their reasons, kept; `trained` says on which day the version was, `every` the grid."""
    features = [SimpleNamespace(name=name) for name in ("visits", "orders", "plan")]
    trained, every = changed.pop("trained", DAYS - 1), changed.pop("every", 1)
    use_case = SimpleNamespace(
        name="shop",
        slices=("plan",),
        grid=SimpleNamespace(every=timedelta(days=every)),
        features=features,
        views=(SimpleNamespace(columns=features),),
    )
    context = SimpleNamespace(
        lake=Lake(root, f"run-{day}", Layout(buckets=1, period="all")),
        config=SimpleNamespace(monitor=LIMITS.model_copy(update=changed)),
        use_case=use_case,
        as_of=FIRST + timedelta(days=day),
        now=FIRST + timedelta(days=day, hours=2 if late else 1),
        again={},
        spark=None,
        progress=SimpleNamespace(say=lambda _: None),
    )
    batches = (derived_batch(table, {"day": day, "late": late}) for table in (DRIFT, PERFORMANCE))
    card = {
        "training_set_id": f"{'t' if every == 1 else 'm'}{version}",
        "as_of": format_time(FIRST + timedelta(days=trained)),
    }
    scored = Scored(
        "champion", cast("Any", SimpleNamespace(version=version)), card, (), (f"p{day}{late}",), 2_000, *batches
    )
    made = cast("Context", context)
    with judging.scored_rows(made, scored) as rows:
        moved = drifting.find_drift(made, scored, rows)
    assert moved.volume is None
    drifting.commit_drift(made, scored, moved)
    return {d.bins.column: (d.verdict, d.reason) for d in moved.features}


def test_days_one_after_another(tmp_path: Path, shifts: dict[int, float]) -> None:
    shifts |= dict.fromkeys(range(DAYS + 1, DAYS + 5), 0.25)
    found = [judge(tmp_path, DAYS + day) for day in range(5)]
    assert [day["visits"][0] for day in found] == ["ok", "warn", "warn", "alert", "alert"]
    assert "its level is 0.2" in found[3]["visits"][1]
    assert found[3]["visits"][1].endswith("the 3. day in a row")
    assert {day[name][0] for day in found for name in ("orders", "plan")} == {"ok"}
    lake = Lake(tmp_path, "reader")
    rows = read_arrow(lake, DRIFT).to_pylist()
    assert len(rows) == 20  # of three features and of the number of rows
    assert {row["table"] for row in rows} == {"gold.visits_v1", "gold.shop_predictions"}
    assert {row["day"] for row in rows} == {(FIRST + timedelta(days=DAYS + day)).date() for day in range(5)}
    worst = max(rows, key=lambda row: row["psi"] or 0.0)
    assert worst["feature"] == "visits"
    assert worst["wasserstein"] == pytest.approx(0.25, abs=0.08)
    assert worst["kolmogorov_smirnov"] == pytest.approx(0.1, abs=0.04)
    kept = read_arrow(lake, PROFILES).to_pylist()
    assert {row["slice_value"] for row in kept if row["slice"] == "plan"} == {"basic", "plus", "pro"}
    whole = [row for row in kept if row["profile"] == "training set t1 on 10 bins" and not row["slice"]]
    assert len(whole) == 3 * DAYS
    assert sum(row["rows"] for row in whole) == 3 * DAYS * 2_000


def test_the_same_day_again_is_read_and_not_made(
    tmp_path: Path, shifts: dict[int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = judge(tmp_path, DAYS)
    for module, name in ((profiling, "build_table_profiles"), (drifting, "build_frame_profiles")):
        monkeypatch.setattr(module, name, None)
    assert judge(tmp_path, DAYS) == first


def test_a_day_judged_twice_counts_once(tmp_path: Path, shifts: dict[int, float]) -> None:
    shifts |= dict.fromkeys(range(DAYS, DAYS + 3), 0.25)
    assert [judge(tmp_path, DAYS, late)["visits"][0] for late in ("", "more")] == ["warn", "warn"]
    assert judge(tmp_path, DAYS + 1)["visits"][0] == "warn"
    assert judge(tmp_path, DAYS + 2)["visits"][0] == "alert"


def test_a_coarse_grid_that_is_scored_every_night_is_calibrated_by_its_nights(
    tmp_path: Path, shifts: dict[int, float]
) -> None:
    shifts |= {4: 1.0, 13: 0.2, 14: 0.2, 15: 0.2}
    event = KnownEvent(since=(FIRST + timedelta(days=5)).date(), until=(FIRST + timedelta(days=6)).date(), because="-")

    def night(day: int) -> dict[str, tuple[str, str]]:
        version, trained = ("1", 0) if day < 12 else ("2", 12)
        return judge(tmp_path, day, version=version, trained=trained, every=10, events=(event,))

    found = {day: night(day) for day in range(16)}
    reasons = {day: verdicts["visits"][1] for day, verdicts in found.items()}
    assert reasons[0].endswith("6 quiet days are fewer than 14, so that stated limits decide")
    assert found[4]["visits"][0] == "alert"
    # Neither the odd day nor that of the event counts: with six of the training eight nights more are enough.
    assert reasons[9].endswith("13 quiet days are fewer than 14, so that stated limits decide")
    assert [reasons[day] for day in (10, 11)] == ["within what 14 quiet days show"] * 2
    # The next version knows the nights of the one before, which were counted on the same bins.
    assert reasons[12] == "within what 15 quiet days show"
    assert [found[day]["visits"][0] for day in (13, 14, 15)] == ["warn", "warn", "alert"]
    assert {name for verdicts in found.values() for name, said in verdicts.items() if said[0] != "ok"} == {"visits"}


def test_days_after_t_are_not_learnt_from(tmp_path: Path, shifts: dict[int, float]) -> None:
    for day in range(5):
        judge(tmp_path, day, trained=0, every=10)
    found = judge(tmp_path, 3, late="more", trained=0, every=10)
    assert found["visits"][1].endswith("9 quiet days are fewer than 14, so that stated limits decide")


def test_other_bins_are_another_profile(tmp_path: Path, shifts: dict[int, float]) -> None:
    for day, bins in enumerate((10, 20, 10)):
        assert judge(tmp_path, DAYS + day, bins=bins)["visits"][0] == "ok"


def test_a_known_event_is_neither_judged_nor_learnt_from(tmp_path: Path, shifts: dict[int, float]) -> None:
    shifts |= {DAYS: 2.0, DAYS + 1: 0.0}
    day = (FIRST + timedelta(days=DAYS)).date()
    events = (KnownEvent(since=day, until=day + timedelta(days=1), columns=("visits",), because="a campaign"),)
    assert judge(tmp_path, DAYS, events=events)["visits"] == (
        "ok",
        "not judged on a day of a known event: a campaign",
    )
    assert judge(tmp_path, DAYS + 1, events=events)["visits"][0] == "ok"


def test_without_quiet_days_stated_limits_decide(tmp_path: Path, shifts: dict[int, float]) -> None:
    shifts |= {DAYS: 0.6}
    found = judge(tmp_path, DAYS, quiet_days=30)
    assert found["visits"][0] == "alert"
    assert found["visits"][1].endswith("21 quiet days are fewer than 30, so that stated limits decide")


def test_the_number_of_rows_is_judged_on_days_of_events_of_some_columns() -> None:
    dates = [(FIRST + timedelta(days=day)).date() for day in range(3)]
    profiles = [
        ColumnProfile(Key("", "", day, "visits"), NUMBER, Sketch(10 + n, 0, counts=np.array([10 + n])), None)
        for n, day in enumerate(dates)
    ]

    def kept(*columns: str) -> list[int]:
        event = KnownEvent(since=dates[2], until=dates[2] + timedelta(days=1), columns=columns, because="a campaign")
        settings = SimpleNamespace(monitor=LIMITS.model_copy(update={"events": (event,)}))
        grid = SimpleNamespace(every=timedelta(days=1))
        context = SimpleNamespace(config=settings, use_case=SimpleNamespace(grid=grid))
        return [day.rows for day in days.days_of(cast("Context", context), profiles, Calendar(1))]

    assert kept("visits") == [10, 11, 12]
    assert kept() == [10, 11]
