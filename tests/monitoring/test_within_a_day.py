"""Use cases whose as-of times lie within a day: 24 hours that end with T are judged, whatever hour T is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from monitoring.test_drift import LIMITS
from monitoring.test_drifting import Frame, profiled
from tidemill.cli import days, drifting, judging, profiling, reference
from tidemill.cli.days import a_day_apart, clock_of
from tidemill.cli.judging import Scored
from tidemill.core.config import Layout
from tidemill.core.time import format_time
from tidemill.data.commit import derived_batch
from tidemill.data.read import read_arrow
from tidemill.data.tables import Lake
from tidemill.monitoring.tables import DRIFT, PERFORMANCE, PROFILES

if TYPE_CHECKING:
    from tidemill.cli.context import Context

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(hours=6)
DAYS = 21


def hour(at: datetime, shift: float = 0.0) -> pa.Table:
    """One as-of time of 300 places, whose level has a course over the day."""
    rng = np.random.default_rng(int(at.timestamp()))
    times = pa.array([at] * 300, pa.timestamp("us", "UTC"))
    return pa.table({"event_timestamp": times, "load": rng.standard_normal(300) + at.hour / 4 + shift})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was scored, and shifted from when on."""
    asked: dict[str, Any] = {"scored": [], "from": None}
    training = pa.concat_tables([hour(FIRST + n * STEP) for n in range(DAYS * 4)])
    monkeypatch.setattr(profiling, "build_table_profiles", lambda *a: profiled(training, a[3]))
    monkeypatch.setattr(drifting, "build_frame_profiles", lambda rows, wanted: profiled(rows.table, wanted))
    monkeypatch.setattr(reference, "training_sets_table", lambda _: None)
    monkeypatch.setattr(drifting, "view_table", lambda _: SimpleNamespace(label="gold.load_v1"))
    monkeypatch.setattr(drifting, "predictions_table", lambda _: SimpleNamespace(label="gold.shop_predictions"))
    monkeypatch.setattr(judging, "gold_builder", lambda _: None)
    monkeypatch.setattr(days, "predictions_of", lambda *_: dict.fromkeys(asked["scored"]))

    def one_hour(rows: pa.Table, wanted: Any) -> Any:
        of_hour = pc.is_in(pc.hour(rows["event_timestamp"]), pa.array([6]))
        return profiled(rows.filter(of_hour), wanted)

    class Training:
        """As much of the training rows as a frame as a reference of some hours asks for."""

        def where(self, _: Any) -> "Training":
            return self

    monkeypatch.setattr(profiling, "read", lambda *_: Training())
    column = SimpleNamespace(isin=lambda _: None)
    functions = SimpleNamespace(col=lambda _: column, pmod=lambda *_: column, lit=lambda _: None)
    monkeypatch.setattr(profiling, "F", SimpleNamespace(**vars(functions), unix_micros=lambda _: None))
    monkeypatch.setattr(profiling, "build_frame_profiles", lambda _, wanted: one_hour(training, wanted))

    def rows(_: Any, __: Any, times: list[datetime]) -> Any:
        moved = asked["from"]
        found = [hour(t, 0.5 if moved is not None and t >= moved else 0.0) for t in times]
        return SimpleNamespace(frame=Frame(pa.concat_tables(found)))

    monkeypatch.setattr(judging, "build_scoring_rows", rows)
    return asked


def judge(root: Path, at: datetime) -> drifting.Moved:
    features = [SimpleNamespace(name="load")]
    use_case = SimpleNamespace(
        name="shop",
        slices=(),
        grid=SimpleNamespace(every=STEP),
        features=features,
        views=(SimpleNamespace(columns=features),),
    )
    context = SimpleNamespace(
        lake=Lake(root, f"run-{at:%Y%m%d%H}", Layout(buckets=1, period="all")),
        config=SimpleNamespace(monitor=LIMITS),
        use_case=use_case,
        as_of=at,
        now=at + timedelta(minutes=5),
        again={},
        spark=None,
        progress=SimpleNamespace(say=lambda _: None),
    )
    batches = (derived_batch(table, {"at": f"{at}"}) for table in (DRIFT, PERFORMANCE))
    card = {"training_set_id": "t1", "as_of": format_time(FIRST + timedelta(days=DAYS))}
    scored = Scored("champion", cast("Any", SimpleNamespace(version="1")), card, (), (f"p{at}",), 300, *batches)
    made = cast("Context", context)
    with judging.scored_rows(made, scored) as rows:
        moved = drifting.find_drift(made, scored, rows)
    drifting.commit_drift(made, scored, moved)
    return moved


def test_every_hour_is_quiet_and_a_shift_is_seen(tmp_path: Path, asked: dict[str, Any]) -> None:
    start = FIRST + DAYS * timedelta(days=1)
    asked["from"] = start + 8 * STEP
    found = {}
    for n in range(24):
        asked["scored"].append(start + n * STEP)
        if n >= 3:  # before that there are no 24 hours yet
            found[n] = judge(tmp_path, start + n * STEP)
    verdicts = {n: moved.features[0].verdict for n, moved in found.items()}
    assert {verdicts[n] for n in range(3, 8)} == {"ok"}  # at every time of day
    assert {n: moved.volume for n, moved in found.items() if moved.volume} == {}
    assert {moved.features[0].current.rows for moved in found.values()} == {1_200}
    assert verdicts[11] == "warn"  # all of its 24 hours are shifted, and it is the first day
    assert verdicts[15] == "warn"
    assert verdicts[19] == verdicts[23] == "alert"  # the third day in a row, not the third time
    assert found[19].features[0].reason.endswith("the 3. day in a row")


def test_some_times_of_day_are_compared_with_the_same_times_of_day(tmp_path: Path, asked: dict[str, Any]) -> None:
    start = FIRST + DAYS * timedelta(days=1) + STEP
    verdicts = []
    for day in range(3):
        asked["scored"] = [start + timedelta(days=day)]  # once a day, at six: well below the mean of a day
        verdicts.append(judge(tmp_path, start + timedelta(days=day)).features[0])
    assert [d.verdict for d in verdicts] == ["ok", "ok", "ok"]
    assert {d.current.rows for d in verdicts} == {300}
    names = set(read_arrow(Lake(tmp_path, "reader"), PROFILES, ["profile"])["profile"].to_pylist())
    assert names == {"training set t1 at 6:00:00 on 10 bins", "scored rows in 24 hours at 6:00:00 on 10 bins"}


def test_times_of_day_that_are_others_every_day_are_compared_with_all() -> None:
    def clock(every: timedelta, *hours: int) -> tuple[timedelta, ...]:
        context = SimpleNamespace(use_case=SimpleNamespace(grid=SimpleNamespace(every=every)))
        return clock_of(cast("Context", context), [FIRST + timedelta(hours=h) for h in hours])

    assert clock(STEP, 6) == (timedelta(hours=6),)
    assert clock(STEP, 0, 6, 12, 18) == ()
    assert clock(timedelta(hours=5), 0, 5) == ()
    assert clock(timedelta(days=1), 6) == ()


def test_windows_of_a_day_do_not_overlap() -> None:
    times = [FIRST + n * STEP for n in range(10)]
    assert a_day_apart(times) == [times[9], times[5], times[1]]
    assert a_day_apart([]) == []
