"""Divisions of rows: each has one part, an entity's stay together, and no fold learns from what it is judged on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tidemill.core.time import Grid
from tidemill.declare import Splits, days
from tidemill.models.divisions import fold_fit_rows, fold_rows, gate_fit_rows, gate_rows
from tidemill.models.splits import plan_splits

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

GRID = Grid("2024-01-01", every=days(30))
TIMES = GRID.times(datetime(2024, 6, 1, tzinfo=UTC))
KEY = "who is it"
Row = tuple[str, datetime]


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    made = [(f"c{number}", time) for number in range(200) for time in TIMES]
    return spark.createDataFrame(made, f"`{KEY}` string, event_timestamp timestamp").coalesce(1).persist()


def chosen(rows: DataFrame, condition: str) -> set[Row]:
    return {(row[0], row[1].replace(tzinfo=UTC)) for row in rows.where(condition).collect()}


@pytest.mark.parametrize("by", ["time", "entity", "random"])
def test_every_row_is_judged_at_most_once_and_never_learned_from_then(rows: DataFrame, by: str) -> None:
    plan = plan_splits(TIMES, Splits(by=by, gate=1, folds=3), days(30), GRID)
    gate, early = chosen(rows, gate_rows(plan, KEY)), chosen(rows, gate_fit_rows(plan, KEY))
    assert not gate & early
    judged = [chosen(rows, fold_rows(plan, fold, KEY)) for fold in plan.folds]
    learned = [chosen(rows, fold_fit_rows(plan, fold, KEY)) for fold in plan.folds]
    assert len(judged) == 3
    assert len(set().union(gate, *judged)) == len(gate) + sum(map(len, judged))
    for seen, unseen in zip(learned, judged, strict=True):
        assert not seen & unseen
        assert not seen & gate
        assert unseen
    if by == "time":
        assert gate == {(f"c{number}", TIMES[-1]) for number in range(200)}
        return
    assert len(set().union(gate, *judged)) == 200 * len(TIMES)
    assert early | gate == set().union(gate, *judged)
    groups = [{who for who, _ in part} for part in (gate, *judged)]
    together = all(not one & other for one in groups for other in groups if one is not other)
    assert together == (by == "entity")
    assert all(150 < len(part) < 350 for part in (gate, *judged))  # of 1,200 rows a quarter each, or so
