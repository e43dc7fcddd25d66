"""Answers of the request log beside stored predictions: what counts as another score, and which are compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
from tidemill.cli.skew import find_answer_skew
from tidemill.core.config import Layout
from tidemill.core.time import days
from tidemill.data.commit import commit, derived_batch
from tidemill.data.schema import delta_schema
from tidemill.data.tables import Lake, Table
from tidemill.models.tables import predictions_table
from tidemill.monitoring.answered import Agreement, compare_answers
from tidemill.serving.request_log import REQUESTS

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession
    from tidemill.cli.context import Context

T = datetime(2026, 3, 10, tzinfo=UTC)
VIEW = SimpleNamespace(ttl=days(2), delay=days(0))
SHOP: Any = SimpleNamespace(name="shop", entity=SimpleNamespace(key="customer"), views=(VIEW,))
ANSWERS = "entity string, batch_as_of timestamp, model_version string, score double"
PREDICTIONS = "customer string, event_timestamp timestamp, model_version string, score double"


def test_an_answer_agrees_with_any_prediction_made_for_it(spark: SparkSession) -> None:
    yesterday = T - days(1)
    answers = [
        ("same", T, "1", 0.5),
        ("same", T, "1", 0.5),  # asked twice
        ("near", T, "1", 0.5 + 9e-7),
        ("large", T, "1", 2_000_000.0),
        ("again", T, "1", 0.3),
        ("other", T, "1", 0.5 + 2e-6),
        ("no number", T, "1", 0.1),
        ("of yesterday", yesterday, "1", 0.2),
        ("another model", T, "2", 0.9),
        ("nobody's", T, "1", 0.9),
    ]
    predictions = [
        ("same", T, "1", 0.5),
        ("near", T, "1", 0.5),
        ("large", T, "1", 2_000_001.0),
        ("again", T, "1", 0.4),  # before late rows came
        ("again", T, "1", 0.3),
        ("other", T, "1", 0.5),
        ("no number", T, "1", None),
        ("of yesterday", T, "1", 0.7),
        ("of yesterday", yesterday, "1", 0.2),
        ("another model", T, "1", 0.1),
    ]
    asked, made = spark.createDataFrame(answers, ANSWERS), spark.createDataFrame(predictions, PREDICTIONS)
    assert compare_answers(asked, made, "customer") == Agreement(compared=7, different=2)
    assert compare_answers(asked, made.limit(0), "customer") == Agreement(0, 0)


def _committed(lake: Lake, table: Table, rows: list[dict[str, Any]]) -> None:
    commit(lake, table, derived_batch(table, {}), pa.Table.from_pylist(rows, schema=delta_schema(table.columns)))


def test_the_monitor_tells_of_answers_that_batch_did_not_give(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(tmp_path, "run", Layout(buckets=1, period="all"))
    context = cast("Context", SimpleNamespace(spark=spark, lake=lake, use_case=SHOP, as_of=T))
    assert find_answer_skew(context) == []
    scores = {"a": 0.1, "b": 0.2, "c": 0.3}
    _committed(
        lake,
        predictions_table(SHOP),
        [
            {"customer": key, "event_timestamp": T - days(day), "score": score, "model_version": "1", "batch_id": "p"}
            for key, score in scores.items()
            for day in (0, 5)
        ],
    )
    assert find_answer_skew(context) == []

    def asked(key: str, score: float | None, day: int = 0, **other: Any) -> dict[str, Any]:
        at = T - days(day)
        row = {"use_case": "shop", "entity": key, "asked_at": at + timedelta(hours=1), "model_version": "1"}
        return {**row, "status": "ok", "score": score, "as_of": at, "batch_as_of": at, "features": "{}", **other}

    left_out = [
        asked("a", 0.7, use_case="another"),
        asked("a", 0.7, status="stale"),
        asked("a", None),
        asked("a", 0.7, batch_as_of=None),
        asked("a", 0.7, day=5),  # older than features may be at T
        asked("a", 0.7, day=-1),  # not known at T
    ]
    _committed(lake, REQUESTS, [asked("a", 0.1), asked("b", 0.25), *left_out])
    (found,) = find_answer_skew(context)
    assert (found.severity, found.kind, found.subject) == ("warn", "skew", "shop.score")
    said = "of 2 logged answers that batch scored, too, since 2026-03-08T00:00:00Z: 1 have another score"
    assert found.text == said
