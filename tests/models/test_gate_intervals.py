"""How sure a card's metrics are: exact where rows are independent, drawn by entities where they are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pytest
from class_twin import classes_in_numpy
from tidemill.models import gate_intervals as module
from tidemill.models.comparison import CHALLENGER, ENTITY, LABEL, TIME
from tidemill.models.gate_intervals import gate_intervals, intervals_of
from tidemill.models.metric_values import as_values, scalars, with_intervals
from tidemill.stats.binary import binary_of
from tidemill.stats.residuals import regression, residual_sums

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from tidemill.models.use_case import UseCase

AT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DRAWN = ["log_loss", "brier", "f1", "average_precision"]
EXACT = ["roc_auc", "accuracy", "precision", "recall"]


def table(label: Any, score: Any, times: int = 1) -> pa.Table:
    """Rows of entities, of which each has so many that are all alike."""
    entities = [f"e{number}" for number in range(len(label)) for _ in range(times)]
    repeated = [list(np.repeat(values, times, axis=0)) for values in (label, score)]
    at = [AT + DAY * time for _ in range(len(label)) for time in range(times)]
    kind = pa.list_(pa.float64()) if np.ndim(score) > 1 else pa.float64()
    columns = pa.array(entities), pa.array(at), pa.array(repeated[0], pa.float64()), pa.array(repeated[1], kind)
    return pa.table(columns, names=[ENTITY, TIME, LABEL, CHALLENGER])


def binary_rows(number: int = 300, seed: int = 4) -> tuple[Any, Any]:
    dice = np.random.default_rng(seed)
    score = np.round(dice.beta(2, 3, number), 2)
    return (dice.random(number) < score).astype(float), score


def test_independent_rows_keep_their_exact_intervals() -> None:
    label, score = binary_rows()
    found = scalars(binary_of(label, score, 0.4))
    said = intervals_of(table(label, score), "binary", 0.4, DAY, found)
    assert (said["units"], said["rows"], said["drawn"], said["draws"]) == (300, 300, "bootstrap", 200)
    assert {name: one["method"] for name, one in said["metrics"].items()} == {
        **dict.fromkeys(["roc_auc"], "delong"),
        **dict.fromkeys(EXACT[1:], "wilson"),
        **dict.fromkeys(DRAWN, "bootstrap"),
    }
    for name in EXACT:
        assert [said["metrics"][name][end] for end in ("low", "high")] == [found[f"{name}_low"], found[f"{name}_high"]]
    for name in DRAWN:
        assert said["metrics"][name]["low"] < found[name] < said["metrics"][name]["high"]
    # Of a mean the interval has a formula.
    loss = (score - label) ** 2
    half = 1.96 * loss.std(ddof=1) / np.sqrt(300)
    brier = said["metrics"]["brier"]
    assert brier["high"] - brier["low"] == pytest.approx(2 * half, rel=0.15)


def test_rows_of_an_entity_count_once() -> None:
    label, score = binary_rows()
    alone = intervals_of(table(label, score), "binary", 0.4, DAY, scalars(binary_of(label, score, 0.4)))["metrics"]
    many = table(label, score, 5)
    found = scalars(binary_of(many[LABEL].to_numpy(), many[CHALLENGER].to_numpy(), 0.4))
    said = intervals_of(many, "binary", 0.4, DAY, found)
    assert (said["units"], said["rows"]) == (300, 1500)
    assert {one["method"] for one in said["metrics"].values()} == {"bootstrap"}
    told = with_intervals(as_values(binary_of(many[LABEL].to_numpy(), many[CHALLENGER].to_numpy(), 0.4)), said)
    for name in (*EXACT, *DRAWN):
        widths = [one["high"] - one["low"] for one in (said["metrics"][name], alone[name])]
        assert widths[0] == pytest.approx(widths[1], rel=0.2), name
        assert (told[f"{name}_low"], told[f"{name}_high"]) == tuple(said["metrics"][name][e] for e in ("low", "high"))
    # Taken as independent, five times as many rows would seem to say more than twice as much.
    assert found["accuracy_high"] - found["accuracy_low"] < 0.5 * (told["accuracy_high"] - told["accuracy_low"])


def test_few_entities_are_drawn_by_blocks_of_time() -> None:
    dice = np.random.default_rng(2)
    rows = table(np.zeros(3), np.zeros(3), 60)
    label = dice.normal(size=180)
    rows = rows.set_column(2, LABEL, pa.array(label)).set_column(3, CHALLENGER, pa.array(label + dice.normal(size=180)))
    figures = regression(residual_sums(label, rows[CHALLENGER].to_numpy()))
    assert figures is not None
    said = intervals_of(rows, "regression", 0.5, DAY, scalars(figures))
    assert (said["drawn"], said["units"]) == ("block_bootstrap", 16)  # of four days, the third root of 60
    assert list(said["metrics"]) == ["rmse", "mae", "mape", "r2"]
    for name, one in said["metrics"].items():
        assert one["low"] < scalars(figures)[name] < one["high"]
        assert one["method"] == "block_bootstrap"
    assert said["metrics"]["r2"]["high"] < 1


def test_several_classes_have_intervals_of_means() -> None:
    dice = np.random.default_rng(8)
    label, shares = dice.integers(3, size=200), dice.dirichlet(np.ones(3), 200)
    figures = classes_in_numpy(label, shares)
    assert figures is not None
    said = intervals_of(table(label.astype(float), shares), "multiclass", 0.5, DAY, scalars(figures))
    assert {name: one["method"] for name, one in said["metrics"].items()} == {
        "log_loss": "bootstrap",
        "brier": "bootstrap",
        "accuracy": "wilson",
    }
    mean = said["metrics"]["log_loss"]
    width = figures.log_loss.high - figures.log_loss.low  # by the normal distribution
    assert mean["high"] - mean["low"] == pytest.approx(width, rel=0.15)


def test_what_cannot_be_told_has_no_interval() -> None:
    label, score = np.array([1.0, 0.0] * 40), np.array([0.9, 0.1] * 40)  # all right, twice
    rows = table(label, score, 2)
    found = scalars(binary_of(rows[LABEL].to_numpy(), rows[CHALLENGER].to_numpy(), 0.5))
    said = intervals_of(rows, "binary", 0.5, DAY, found)
    assert list(said["metrics"]) == []
    told = with_intervals({"accuracy": 1.0, "accuracy_low": 0.95, "accuracy_high": 1.0}, said)
    assert told == {"accuracy": 1.0}
    one = intervals_of(table(label[:1], score[:1]), "binary", 0.5, DAY, {"rows": 1, "accuracy": 1.0, "brier": 0.01})
    assert one["metrics"] == {}


def test_of_many_rows_a_share_of_the_entities_is_drawn_from(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    label, score = binary_rows(1000)
    use_case = cast(
        "UseCase",
        SimpleNamespace(task="binary", entity=SimpleNamespace(key="who"), label=SimpleNamespace(horizon=DAY)),
    )
    found = scalars(binary_of(label, score, 0.4))
    made = table(label, score).rename_columns(["who", "event_timestamp", "label", "score"])
    frame = spark.createDataFrame(made).repartition(3)
    whole = gate_intervals(frame, use_case, found, 0.4)
    order = table(label, score).sort_by([(ENTITY, "ascending")])
    assert whole == intervals_of(order, "binary", 0.4, DAY, found)
    monkeypatch.setattr(module, "MOST_ROWS", 300)
    some = gate_intervals(frame, use_case, found, 0.4)
    assert 250 < some["rows"] < 350
    widths = [one["metrics"]["f1"]["high"] - one["metrics"]["f1"]["low"] for one in (some, whole)]
    assert widths[0] == pytest.approx(widths[1], rel=0.3)  # of all rows, whatever was drawn from
    monkeypatch.setattr(module, "MOST_ROWS", 0)
    assert gate_intervals(frame, use_case, found, 0.4)["metrics"] == {}
