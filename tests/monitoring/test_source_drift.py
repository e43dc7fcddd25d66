"""Sources by the night, on real silver files: quiet where nothing is wrong, each fault at its table and column."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pytest
from monitoring.test_drift import LIMITS
from tidemill.cli import drifting, source_drift
from tidemill.cli.judging import Scored
from tidemill.core.config import Layout
from tidemill.data import profile_work, profiles
from tidemill.data.commit import commit, derived_batch
from tidemill.data.read import read_arrow
from tidemill.data.schema import delta_schema
from tidemill.data.sources import Entity, Source
from tidemill.data.tables import Lake, Table, silver_table
from tidemill.monitoring.tables import DRIFT, PERFORMANCE, PROFILES

if TYPE_CHECKING:
    from tidemill.cli.context import Context
    from tidemill.cli.source_drift import SourceDrift
    from tidemill.data.contract import Contract

FIRST = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
HISTORY = 70
DELETES = 20  # a day
SOURCE = Source("activity", contract="activity.yaml", entity=Entity("account"), key=("event",))
COLUMNS = (("account", "string"), ("event", "string"), ("kind", "string"), ("duration", "double"))
CONTRACT = SimpleNamespace(columns=[SimpleNamespace(name=name, type=kind) for name, kind in COLUMNS])
SILVER: Table = silver_table(SOURCE, cast("Contract", CONTRACT))


def events(day: int, *, unit: float = 1.0, missing: float = 0.0, new: float = 0.0, share: float = 1.0) -> pa.Table:
    """A day's events, fewer at weekends, and as many deletes as make a fault, which hold nothing."""
    rng = np.random.default_rng(day)
    number = int((400 if day % 7 < 5 else 200) * share * rng.normal(1, 0.03))
    kind = np.where(rng.random(number) < new, "refund", np.array(["login", "view"])[rng.integers(0, 2, number)])
    duration = rng.lognormal(4, 0.7, number) * unit
    at = [FIRST + day * DAY + timedelta(seconds=int(s)) for s in rng.integers(0, 86_400, number)]
    upserts = {
        "account": [f"a{n % 50:02d}" for n in range(number)],
        "event": [f"{day}-{n}" for n in range(number)],
        "kind": kind.tolist(),
        "duration": [
            None if gone else float(v) for v, gone in zip(duration, rng.random(number) < missing, strict=True)
        ],
        "event_time": at,
        "known_time": at,
        "op": ["upsert"] * number,
    }
    nothing = {"account": "a00", "event": "0", "event_time": at[0], "known_time": at[0], "op": "delete"} if at else {}
    rows = pa.Table.from_pydict(upserts).to_pylist() + [nothing] * DELETES
    same = {"seq": 0, "content": 0, "row_id": "r", "batch_id": f"b{day}", "period": "all", "bucket": 0}
    return pa.Table.from_pylist([row | same for row in rows], schema=delta_schema(SILVER.columns))


class Nights:
    """A source and its monitor, night after night."""

    def __init__(self, root: Path) -> None:
        self.root = root
        lake = Lake(root, "history", Layout(buckets=1, period="all"))
        history = pa.concat_tables([events(day) for day in range(HISTORY)])
        commit(lake, SILVER, derived_batch(SILVER, {"until": HISTORY}), history)

    def night(self, day: int, rows: pa.Table | None = None, **changed: Any) -> "SourceDrift":
        """The rows of a day arrive, if any, and the monitor job runs at midnight."""
        context = SimpleNamespace(
            root=self.root,
            lake=Lake(self.root, f"night-{day}", Layout(buckets=1, period="all")),
            config=SimpleNamespace(monitor=LIMITS.model_copy(update=changed)),
            use_case=SimpleNamespace(
                name="shop", sources=(SOURCE,), grid=SimpleNamespace(every=30 * DAY), features=(), views=()
            ),
            silver=lambda _: SILVER,
            as_of=FIRST + (day + 1) * DAY,
            now=FIRST + (day + 1) * DAY + timedelta(hours=1),
            again={},
            spark=None,
            progress=SimpleNamespace(say=lambda _: None),
        )
        if rows is not None:
            commit(context.lake, SILVER, derived_batch(SILVER, {"day": day}), rows)
        made = cast("Context", context)
        (found,) = source_drift.find_source_drift(made)
        batches = (derived_batch(table, {"day": day}) for table in (DRIFT, PERFORMANCE))
        version = cast("Any", SimpleNamespace(version="1"))
        drifting.commit_drift(
            made, Scored("champion", version, {}, (), (), 0, *batches), drifting.Moved([], None, sources=[found])
        )
        return found


def told(found: "SourceDrift") -> list[tuple[str, str, str]]:
    return [(a.severity, a.kind, a.subject) for a in found.alerts]


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nights:
    label = SimpleNamespace(label="gold.shop_predictions")
    monkeypatch.setattr(drifting, "predictions_table", lambda _: label)
    return Nights(tmp_path)


def test_quiet_nights_are_quiet_and_each_fault_is_told_where_it_is(nights: Nights) -> None:
    day = HISTORY
    for _ in range(3):
        found = nights.night(day, events(day))
        assert told(found) == []
        assert {d.reason for d in found.columns} == {"within what 56 quiet days show"}
        day += 1
    assert [(d.table, d.bins.column, d.day) for d in found.columns] == [
        ("silver.activity", name, (FIRST + (day - 1) * DAY).date()) for name in ("kind", "duration")
    ]
    assert told(nights.night(day, events(day, unit=60))) == [("alert", "drift", "silver.activity.duration")]
    assert told(nights.night(day + 1, events(day + 1, new=0.05))) == [("warn", "new_values", "silver.activity.kind")]
    found = nights.night(day + 2, events(day + 2, missing=0.1))
    assert told(found) == [("warn", "missing_values", "silver.activity.duration")]
    found = nights.night(day + 3)
    assert told(found) == [("alert", "no_data", "silver.activity")]
    assert found.volume is not None
    assert found.volume.startswith(f"0 rows of {found.day} have arrived, and ")
    assert told(nights.night(day + 4, events(day + 4, share=0.6))) == [("alert", "volume", "silver.activity")]
    assert told(nights.night(day + 5, events(day + 5))) == []  # none of these days was learnt from
    rows = read_arrow(Lake(nights.root, "reader"), DRIFT).to_pylist()
    assert {(r["table"], r["feature"]) for r in rows if r["verdict"] == "alert"} == {
        ("silver.activity", "duration"),
        ("silver.activity", "all rows"),
    }


def test_only_new_days_are_read_from_files_that_may_hold_them(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    plain = profile_work.profiles_of_file

    def recorded(file: Any, wanted: Any) -> Any:
        opened.append(file.path)
        return plain(file, wanted)

    monkeypatch.setattr(profiles, "profiles_of_file", recorded)
    nights.night(HISTORY, events(HISTORY))
    assert len(set(opened)) == 2
    assert len(opened) == 4  # for bins, and for counts on them
    first = set(opened)
    opened.clear()
    nights.night(HISTORY + 1, events(HISTORY + 1))
    assert len(opened) == 1
    assert not first & set(opened)
    kept = read_arrow(Lake(nights.root, "reader"), PROFILES).to_pylist()
    assert len(kept) == 2 * (9 * 7 + 1)  # two columns; nine weeks, and the new day alone
    assert {row["profile"] for row in kept} == {"silver.activity on 10 bins"}
    by_day = {row["day"]: row["rows"] for row in kept if row["column"] == "kind"}
    expected = {day: len(events(day)) - DELETES for day in range(HISTORY + 2)}
    assert by_day == {(FIRST + day * DAY).date(): n for day, n in expected.items() if day > HISTORY - 63}
    opened.clear()
    nights.night(HISTORY + 1)
    assert opened == []


def test_a_small_source_chooses_its_bins_anew_until_it_has_rows_enough(nights: Nights) -> None:
    nights.night(HISTORY, events(HISTORY), minimum_rows=10**6)
    found = nights.night(HISTORY + 1, events(HISTORY + 1, unit=60), minimum_rows=10**6)
    assert {d.verdict for d in found.columns} == {"insufficient"}
    assert found.alerts == []
    kept = read_arrow(Lake(nights.root, "reader"), PROFILES).to_pylist()
    assert len(kept) == 2 * 2 * 9 * 7
