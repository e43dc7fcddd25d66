"""Scorings of the same rows, judged in one pass: on a fold by the primary metric, on the gate by all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.models.evaluate import build_metrics
from tidemill.models.evaluate_groups import sums_by_group
from tidemill.models.evaluate_sums import metrics_of
from tidemill.models.tables import judged_on

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import Column, DataFrame

    from tidemill.models.evaluate_sums import Metrics, RowSums
    from tidemill.models.use_case import UseCase

FLOOR = 100  # rows of a slice, below which its metrics would say more about chance than about the slice
_TRAIN = "the rows it was fitted on"
_WHERE = "scores of the gate fits"


@dataclass(frozen=True)
class Slice:
    """The gate rows that have one value of a column.

    Args:
        column: a feature.
        value: as text, or None for null.
        rows: of the slice.
        metrics: None below the floor of 100 rows.
    """

    column: str
    value: str | None
    rows: int
    metrics: Metrics | None


@dataclass(frozen=True)
class Judged:
    """What the gate fits reached.

    Args:
        gate: of each scoring, on the gate rows.
        train: of the best, on the rows that its gate fit has learned from.
        slices: of the best, on the gate rows, by column and value.
    """

    gate: Mapping[str, Metrics]
    train: Metrics
    slices: tuple[Slice, ...]


def judge(gate: Mapping[str, DataFrame], train: DataFrame, use_case: UseCase, threshold: float) -> Judged:
    """Judges scorings of the same rows.

    Args:
        gate: by name, the best first: the gate rows with `label` and `score` (of several classes `probabilities`), and
            of the best the columns of slices.
        train: the rows that the best was fitted on, likewise.
        use_case: task and slices.
        threshold: of the decisions of a binary task, in all scorings.

    Raises:
        TidemillError: E_LABEL_VALUE or E_SCORE_VALUE (data), E_NO_ROWS (no input).
    """
    best = next(iter(gate))
    frames = [_named(frame, name, use_case, use_case.slices if name == best else ()) for name, frame in gate.items()]
    rows = reduce(lambda a, b: a.unionByName(b), [*frames, _named(train, _TRAIN, use_case)])
    found = sums_by_group(rows, use_case.task, ["name", "column", "value"], threshold)
    slices = [
        _slice(column, value, sums, threshold) for (_, column, value), sums in found.items() if column is not None
    ]
    return Judged(
        {name: metrics_of(found[name, None, None], threshold, _WHERE) for name in gate},
        metrics_of(found[_TRAIN, None, None], threshold, _WHERE),
        tuple(sorted(slices, key=lambda s: (use_case.slices.index(s.column), s.value is None, s.value or ""))),
    )


def judge_fold(frames: Mapping[str, DataFrame], use_case: UseCase) -> dict[str, dict[str, Any]]:
    """The primary metric, and what goes with it, of several scorings of the same rows, in one pass."""
    judged = judged_on(use_case.task)
    named = [frame.select(F.lit(name).alias("candidate"), "label", judged) for name, frame in frames.items()]
    metrics = build_metrics(reduce(lambda a, b: a.unionByName(b), named), use_case.task, ["candidate"])
    return {row["candidate"]: row.asDict() for row in metrics.toLocalIterator()}


def by_slices(frame: DataFrame, kept: Sequence[Column], slices: Sequence[str]) -> DataFrame:
    """The rows once as they are and once for each slice that they belong to.

    Args:
        frame: with the columns of slices.
        kept: what is kept of a row.
        slices: columns whose values make slices.

    Returns:
        `kept`, `column` and `value` of the slice as texts: both null for all rows, `value` null for a null.
    """
    whole = F.struct(F.lit(None).cast("string").alias("column"), F.lit(None).cast("string").alias("value"))
    parts = [F.struct(F.lit(s).alias("column"), F.col(s).cast("string").alias("value")) for s in slices]
    return frame.select(*kept, F.inline(F.array(whole, *parts)))


def _slice(column: str, value: str | None, sums: RowSums, threshold: float) -> Slice:
    rows = sums.rows
    return Slice(column, value, rows, metrics_of(sums, threshold, _WHERE) if rows >= FLOOR else None)


def _named(frame: DataFrame, name: str, use_case: UseCase, slices: Sequence[str] = ()) -> DataFrame:
    return by_slices(frame, [F.lit(name).alias("name"), F.col("label"), F.col(judged_on(use_case.task))], slices)
