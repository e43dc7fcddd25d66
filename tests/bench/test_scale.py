"""What `bench/scale.py` makes of its measurements, and what it refuses, without Spark."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from tidemill.orchestration.dag import ORDER

from bench import scale
from bench._memory import peak_mb
from bench._process import Usage
from bench.harness import Measured

if TYPE_CHECKING:
    from pathlib import Path

AT, BEFORE = "2025-04-01T00:00:00Z", "2025-03-02T00:00:00Z"
EXPECTED: dict[str, Any] = {
    "rows": 1000,
    "visitors": 3,
    "twice": 2,
    "accounts": {BEFORE: 40, AT: 44},
    "population": {BEFORE: 30, AT: 31},
}


def by_what(start_s: float, cpu_s: dict[str, float], driver_mb: dict[str, float] | None = None) -> dict[str, Measured]:
    memory = driver_mb or {}
    spent = {"start": start_s, **cpu_s}
    return {
        c.what: Measured(c, (Usage(spent[c.what], 1.0, 1.0),), ({"driver_mb": memory.get(c.what, 0.0), "jvm_mb": 0.0},))
        for c in scale.CONTESTANTS
        if c.what in spent
    }


def ran(root: Path, job: str, number: int, **summary: Any) -> None:
    folder = root / "runs" / f"20250401T00000{number}Z-{job}-abcdef"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({"job": job, "status": "ok", **summary}), "utf-8")


def gold(root: Path, table: str, rows: dict[str, int]) -> None:
    times = [datetime.fromisoformat(at).astimezone(UTC) for at, n in rows.items() for _ in range(n)]
    column = pa.array(times, pa.timestamp("us", "UTC"))
    write_deltalake(str(root / "lake" / "gold" / table), pa.table({"event_timestamp": column}))


def test_every_job_of_the_pipeline_is_measured_in_its_order_on_every_world() -> None:
    assert ("generate", *scale.JOBS) == ORDER
    assert [c.what for c in scale.CONTESTANTS[:7]] == [
        "start",
        *("ingest x1", "ingest x4", "ingest x16"),
        *("refine x1", "refine x4", "refine x16"),
    ]
    assert len(scale.CONTESTANTS) == 1 + 9 * 3
    assert [c.what for c in scale.CONTESTANTS if not c.extra] == [
        "start",
        "ingest x1",
        "refine x1",
        "build_features x1",
    ]
    assert len(scale.TARGETS) == 9 * 3 + 1


def test_what_grows_with_events_has_an_exponent_of_one_once_the_start_is_taken_off() -> None:
    by = by_what(10.0, {"refine x1": 12.0, "refine x4": 18.0, "refine x16": 42.0})
    assert scale.growth(by, "refine", 1) == pytest.approx(1.0)
    assert scale.growth(by, "refine", 4) == pytest.approx(1.0)
    by = by_what(10.0, {"refine x1": 12.0, "refine x4": 18.0, "refine x16": 138.0})
    assert scale.growth(by, "refine", 1) == pytest.approx(1.5)
    assert scale.growth(by, "refine", 4) == pytest.approx(2.0)


def test_a_job_that_takes_no_more_than_the_start_does_not_grow() -> None:
    by = by_what(10.0, {"promote x1": 9.0, "promote x4": 9.5, "promote x16": 10.1})
    assert scale.growth(by, "promote", 1) == 0.0
    by = by_what(10.0, {"promote x1": 9.0, "promote x4": 9.5, "promote x16": 18.0})
    assert scale.growth(by, "promote", 1) == pytest.approx(1.0)


def test_memory_is_held_against_the_smallest_world() -> None:
    spent, held = dict.fromkeys(("train x1", "train x16"), 20.0), {"train x1": 400.0, "train x16": 500.0}
    assert scale.memory_growth(by_what(10.0, spent, held), "train") == 1.25


def test_the_peak_of_a_process_is_the_kernels() -> None:
    kept = bytearray(64_000_000)
    assert peak_mb("self") > len(kept) / 1e6


def test_the_first_job_forgets_all_but_what_was_landed(tmp_path: Path) -> None:
    root, to = tmp_path / "x1", tmp_path / "forgotten"
    for name in ("landing", "lake", "runs"):
        (root / name).mkdir(parents=True)
    (root / scale.EXPECTED).write_text("{}", "utf-8")
    scale._forget(root, to)
    assert {path.name for path in root.iterdir()} == {"landing", scale.EXPECTED}
    assert {path.name for path in to.iterdir()} == {"lake", "runs"}


def test_a_job_goes_on_from_the_job_before_it_only(tmp_path: Path) -> None:
    root = tmp_path / "x4"
    with pytest.raises(SystemExit, match="goes on from what ingest leaves, but here it is None: measure --what x4"):
        scale._follow("refine", root)
    ran(root, "ingest", 1)
    scale._follow("refine", root)
    ran(root, "refine", 2)
    with pytest.raises(SystemExit, match="goes on from what ingest leaves, but here it is refine"):
        scale._follow("refine", root)


def answer(tmp_path: Path, job: str, number: int, counts: dict[str, int], **summary: Any) -> Any:
    root, out = tmp_path / "x1", tmp_path / "out"
    status = summary.pop("status", "ok")
    ran(root, job, number, steps=[{"job": job, "status": status, "counts": counts}], as_of=AT, **summary)
    (root / scale.EXPECTED).write_text(json.dumps(EXPECTED), "utf-8")
    out.mkdir(exist_ok=True)
    (out / scale.PLACE).write_text(str(root), "utf-8")
    return scale.answer(job, out)


def test_an_answer_is_held_against_what_was_simulated(tmp_path: Path) -> None:
    counts = {"scored": 31}
    gold(tmp_path / "x1", "churn_predictions", {AT: 31})
    assert answer(tmp_path, "score", 1, counts, metrics={"population": 31}) == "as expected"
    assert answer(tmp_path, "score", 2, {"scored": 30}, metrics={"population": 31}) == {
        "scored": {"found": 30, "expected": 31}
    }
    # A job that found its work done has taken no time for it.
    assert answer(tmp_path, "score", 3, counts, metrics={"population": 31}, status="skipped") == {
        "status": {"found": "skipped", "expected": "ok"}
    }


def test_the_rows_of_a_layer_are_all_that_was_landed_less_what_was_refused(tmp_path: Path) -> None:
    for name, rows in zip(scale._SOURCES, (200, 600, 100, 95), strict=True):
        write_deltalake(str(tmp_path / "x1" / "lake" / "silver" / name), pa.table({"n": list(range(rows))}))
    counts = {"read": 1000, "accepted": 995, "quarantined": 3, "duplicates": 2}
    assert answer(tmp_path, "refine", 1, counts) == "as expected"
    found = answer(tmp_path, "refine", 2, {**counts, "accepted": 994, "duplicates": 3})
    assert list(found) == ["balance"]


def test_gold_has_every_account_and_a_label_of_everybody_who_was_there(tmp_path: Path) -> None:
    gold(tmp_path / "x1", "account_plan_v1", {BEFORE: 40, AT: 44})
    gold(tmp_path / "x1", "churn_labels", {BEFORE: 30})
    counts = {"as_of_times": 8, "label_times": 1}
    assert answer(tmp_path, "build_features", 1, counts) == "as expected"
    (gold_rows := tmp_path / "x1" / "lake" / "gold" / "churn_labels").rename(gold_rows.with_name("of before"))
    gold(tmp_path / "x1", "churn_labels", {BEFORE: 29})
    assert answer(tmp_path, "build_features", 2, counts) == {
        "labels": {"found": {BEFORE: 29}, "expected": {BEFORE: 30}}
    }
