"""What `bench/materialize.py` holds its contestants against, and what it calls flat, without Spark."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import write_deltalake

from bench import materialize
from bench._process import Usage
from bench.harness import Measured

if TYPE_CHECKING:
    from pathlib import Path


def test_answers_are_held_against_the_newest_gold_of_their_own_lake(tmp_path: Path) -> None:
    names, known = [f.name for f in materialize.view().columns], materialize.SAMPLE[1]
    rows = [(known, 1.0, 0), (known, 0.5, 1), ("C99999999", 2.0, 0)]
    table = pa.table(
        {
            "customer": [customer for customer, _, _ in rows],
            "event_timestamp": pa.array(
                [materialize.AT - timedelta(days=age) for _, _, age in rows], pa.timestamp("us", "UTC")
            ),
            **{name: [value + number for _, value, _ in rows] for number, name in enumerate(names)},
        }
    )
    write_deltalake(str(tmp_path / "lake" / "gold" / "wide_v1"), table)
    values = [1.0 + number for number in range(materialize.FEATURES)]
    assert materialize._gold(tmp_path, names) == (2, {known: values})
    assert materialize._equal(None, "as gold")
    wrong = {"entities": 5, "expected": 1, "wrong": {}}
    assert not materialize._equal(wrong, wrong)  # five times as many are no answer, whoever agrees


def test_the_drivers_memory_is_judged_and_not_the_trees() -> None:
    contestants = {c.what: c for c in materialize.CONTESTANTS}
    more = "tidemill redis, five times the entities"
    by = {
        "tidemill redis": ({"driver_mb": 200.0, "jvm_mb": 800.0}, 1000.0),
        more: ({"driver_mb": 210.0, "jvm_mb": 890.0}, 9000.0),
    }
    measured = {
        what: Measured(contestants[what], (Usage(1.0, 1.0, peak),), (found,)) for what, (found, peak) in by.items()
    }
    (flat,) = [t for t in materialize.TARGETS if "memory" in t.name]
    assert flat.value(measured) == 1.1
    assert flat.limit == 1.2
