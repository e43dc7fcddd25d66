"""Drift of scores and labels, and skew of online values, on real tables with workers' functions called here."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pytest
from monitoring.test_drift import LIMITS
from monitoring.test_drifting import profiled
from tidemill.cli import drifting, outputs, profiling, reference
from tidemill.cli.drifting import Moved, commit_drift
from tidemill.cli.judging import Scored
from tidemill.cli.skew import find_online_skew
from tidemill.core.config import Layout
from tidemill.core.time import format_time
from tidemill.data.commit import commit, derived_batch
from tidemill.data.schema import delta_schema
from tidemill.data.tables import Lake
from tidemill.monitoring.drift import Drift
from tidemill.monitoring.tables import DRIFT, PARITY, PERFORMANCE

if TYPE_CHECKING:
    from tidemill.cli.context import Context

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
GATE, TRAINED = 2, 20  # days of each, the gate's right before the first scored day


def scores(day: int, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(day)
    at = pa.array([FIRST + timedelta(days=day)] * 1_000, pa.timestamp("us", "UTC"))
    return pa.table({"event_timestamp": at, "score": np.clip(rng.beta(2, 5, 1_000) + shift, 0, 1)})


def labels(day: int, share: float = 0.2) -> pa.Table:
    rng = np.random.default_rng(1_000 + day)
    at = pa.array([FIRST + timedelta(days=day)] * 1_000, pa.timestamp("us", "UTC"))
    return pa.table({"event_timestamp": at, "label": rng.binomial(1, share, 1_000).astype(np.float64)})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the days hold: by how much scores are shifted, and which share of labels is positive."""
    world: dict[str, Any] = {"shift": {}, "share": {}, "matured": range(TRAINED, TRAINED + 3)}
    gate = pa.concat_tables([scores(day) for day in range(TRAINED - GATE, TRAINED)])
    trained = pa.concat_tables([labels(day) for day in range(TRAINED)])
    tables = {"gate": gate, "trained": trained}
    monkeypatch.setattr(reference, "gate_scores_table", lambda _: "gate")
    monkeypatch.setattr(reference, "training_sets_table", lambda _: "trained")
    monkeypatch.setattr(outputs, "predictions_table", lambda _: SimpleNamespace(label="gold.shop_predictions"))
    monkeypatch.setattr(drifting, "predictions_table", lambda _: SimpleNamespace(label="gold.shop_predictions"))
    monkeypatch.setattr(outputs, "labels_table", lambda *_: SimpleNamespace(label="gold.shop_labels"))
    monkeypatch.setattr(profiling, "build_table_profiles", lambda *a: profiled(tables[a[2]], a[3]))
    monkeypatch.setattr(outputs, "build_frame_profiles", profiled)

    def read(_: Any, __: Any, table: Any) -> Any:
        assert table.label == "gold.shop_predictions"
        return SimpleNamespace(where=lambda _: scores(world["day"], world["shift"].get(world["day"], 0.0)))

    monkeypatch.setattr(outputs, "read", read)
    monkeypatch.setattr(outputs, "F", SimpleNamespace(col=lambda _: SimpleNamespace(isin=lambda _: None)))
    monkeypatch.setattr(
        outputs, "predictions_of", lambda c, _: {c.as_of: SimpleNamespace(batch_id=f"p{c.as_of:%Y-%m-%d}")}
    )
    monkeypatch.setattr(
        outputs, "training_times", lambda _: tuple(FIRST + timedelta(days=d) for d in (0, *world["matured"]))
    )
    monkeypatch.setattr(outputs, "label_batches", lambda *a: dict.fromkeys(a[3], "l"))

    def read_labels(*given: Any) -> pa.Table:
        days = [(t - FIRST).days for t in given[4]]
        assert min(days) >= TRAINED
        return pa.concat_tables([labels(day, world["share"].get(day, 0.2)) for day in days])

    monkeypatch.setattr(outputs, "read_labels", read_labels)
    return world


def judge(root: Path, world: dict[str, Any], day: int, **changed: Any) -> dict[str, Drift]:
    world["day"] = day
    use_case = SimpleNamespace(name="shop", grid=SimpleNamespace(every=timedelta(days=1)), label=None, slices=())
    context = SimpleNamespace(
        lake=Lake(root, f"run-{day}", Layout(buckets=1, period="all")),
        config=SimpleNamespace(monitor=LIMITS.model_copy(update=changed)),
        use_case=use_case,
        as_of=FIRST + timedelta(days=day),
        now=FIRST + timedelta(days=day, hours=1),
        again={},
        spark=None,
        progress=SimpleNamespace(say=lambda _: None),
    )
    seen = {"start": int(FIRST.timestamp() * 1e6), "step": 86_400_000_000, "count": TRAINED}
    as_of = format_time(FIRST + timedelta(days=TRAINED - 1))
    card = {"training_set_id": "t1", "times": {"final": [seen]}, "as_of": as_of}
    batches = (derived_batch(table, {"day": day}) for table in (DRIFT, PERFORMANCE))
    scored = Scored("champion", cast("Any", SimpleNamespace(version="1")), card, (), ("p",), 1_000, *batches)
    found = outputs.find_output_drift(cast("Context", context), scored)
    commit_drift(cast("Context", context), scored, Moved([], None, found))
    return {d.kind: d for d in found}


def test_quiet_scores_and_labels_are_quiet(tmp_path: Path, world: dict[str, Any]) -> None:
    for day in range(TRAINED, TRAINED + 16):  # twelve of them become quiet days beside the two of the gate
        found = judge(tmp_path, world, day)
        assert {kind: d.verdict for kind, d in found.items()} == {"prediction_drift": "ok", "label_drift": "ok"}
    assert found["prediction_drift"].reason == "within what 14 quiet days show"
    assert found["label_drift"].reason == "within what 20 quiet days show"


def test_shifted_scores_are_a_finding_of_their_own(tmp_path: Path, world: dict[str, Any]) -> None:
    world["shift"] |= {TRAINED: 0.3, TRAINED + 1: 0.0}
    found = judge(tmp_path, world, TRAINED)
    assert found["prediction_drift"].verdict == "alert"
    assert found["prediction_drift"].bins.column == "score"
    assert "2 quiet days are fewer than 14, so that stated limits decide" in found["prediction_drift"].reason
    assert found["label_drift"].verdict == "ok"


def test_another_share_of_positives_is_a_finding_of_its_own(tmp_path: Path, world: dict[str, Any]) -> None:
    world["share"] |= {TRAINED + 2: 0.35}
    found = judge(tmp_path, world, TRAINED + 5)
    assert found["label_drift"].verdict in {"warn", "alert"}
    assert found["label_drift"].bins.column == "label"
    assert found["label_drift"].current.rows == 1_000
    assert found["prediction_drift"].verdict == "ok"


def test_the_same_newest_labels_are_not_odd_for_one_more_day_at_each_run(tmp_path: Path, world: dict[str, Any]) -> None:
    world["share"] |= dict.fromkeys(range(TRAINED + 2, TRAINED + 9), 0.29)
    found = [judge(tmp_path, world, day)["label_drift"] for day in range(TRAINED + 5, TRAINED + 9)]
    assert {d.day for d in found} == {(FIRST + timedelta(days=TRAINED + 2)).date()}
    assert [d.verdict for d in found] == ["warn"] * 4
    assert {d.reason for d in found} == {found[0].reason}
    world["matured"] = range(TRAINED, TRAINED + 4)  # a new day, and then another one
    assert judge(tmp_path, world, TRAINED + 9)["label_drift"].verdict == "warn"
    world["matured"] = range(TRAINED, TRAINED + 5)
    lasting = judge(tmp_path, world, TRAINED + 10)["label_drift"]
    assert lasting.verdict == "alert"
    assert lasting.reason.endswith("the 3. day in a row")


def test_without_newer_labels_there_is_nothing_to_say_of_them(tmp_path: Path, world: dict[str, Any]) -> None:
    world["matured"] = ()
    assert set(judge(tmp_path, world, TRAINED)) == {"prediction_drift"}


def test_values_that_differ_online_are_told_of_the_newest_comparison(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "run", Layout(buckets=1, period="all"))
    rows = [
        {"use_case": "shop", "view": "orders_v1", "as_of": FIRST + timedelta(days=day), "feature": feature,
         "compared": 50, "equal": 50 - wrong, "different": wrong, "missing": 0, "stale": 0}
        for day, feature, wrong in ((0, "count", 9), (1, "count", 0), (0, "sum", 0), (1, "sum", 2), (3, "sum", 7))
    ]  # fmt: skip
    commit(lake, PARITY, derived_batch(PARITY, {}), pa.Table.from_pylist(rows, schema=delta_schema(PARITY.columns)))
    context = SimpleNamespace(lake=lake, use_case=SimpleNamespace(name="shop"), as_of=FIRST + timedelta(days=2))
    (found,) = find_online_skew(cast("Context", context))
    assert (found.severity, found.kind, found.subject) == ("warn", "skew", "orders_v1.sum")
    assert found.text == "of 50 online values compared with gold at 2026-01-02T00:00:00Z: 2 different"
