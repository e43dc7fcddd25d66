"""Stored predictions against the labels that have matured since: every metric, of all rows and of slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.core.time import from_micros
from tidemill.features.pairs import AS_OF
from tidemill.models.baseline import with_baseline_score
from tidemill.models.evaluate import build_metrics
from tidemill.models.evaluate_groups import sums_by_group
from tidemill.models.evaluate_sums import metrics_of
from tidemill.models.judge import by_slices
from tidemill.models.metric_values import scalars
from tidemill.models.tables import judged_on
from tidemill.stats.expected import rmse_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame

    from tidemill.models.baseline import AnyBaseline
    from tidemill.models.evaluate_sums import RowSums
    from tidemill.models.use_case import UseCase

_WHERE = "stored predictions with matured labels"
_NOT_METRICS = {"rows", "positive_rate", "majority_rate"}
_DIGITS = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True)
class Outcome:
    """One metric of the rows of one as-of time, or of a slice of them.

    Args:
        column, value_of: of the slice, the value as text or None for a null; both None for all rows.
        rows: with a label.
        positive_rate: of the labels of a binary task; else None.
        metric: its name.
        value: None where the rows do not allow it, such as a ROC AUC of one class.
        low, high: of the 95 % interval, rows taken as independent, where the metric has one.
        baseline: the primary metric of the one-feature baseline on the same rows; only beside the primary metric of
            all rows.
    """

    column: str | None
    value_of: str | None
    rows: int
    positive_rate: float | None
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None


@dataclass(frozen=True)
class JudgedTime:
    """What became of the scores of one as-of time.

    Args:
        at: the as-of time.
        digest: of the entities, labels and scores that were judged; equal for equal rows in any order.
        outcomes: those of all rows first.
    """

    at: datetime
    digest: str
    outcomes: tuple[Outcome, ...]


def judge_scores(
    rows: DataFrame, use_case: UseCase, baseline: AnyBaseline | None, threshold: float, floor: int
) -> list[JudgedTime]:
    """Judges the scores of one model version at all as-of times in one pass.

    Args:
        rows: entity, `event_timestamp`, `label`, `score` (of several classes `probabilities`), and the columns of the
            slices and of the baseline.
        use_case: the task, its primary metric and the slices.
        baseline: the version's own; None where its feature is built no more.
        threshold: of the version's decisions.
        floor: rows that a slice needs to be told.

    Returns:
        Oldest first; times without a row are left out.

    Raises:
        TidemillError: E_LABEL_VALUE or E_SCORE_VALUE (data).
    """
    judged = judged_on(use_case.task)
    rows = rows.withColumn("at", F.unix_micros(AS_OF)).persist()
    try:
        digests = _digests(rows, use_case.entity.key, judged)
        alone = {} if baseline is None else _values(with_baseline_score(rows, baseline), use_case)
        split = by_slices(rows, [F.col(name) for name in ("at", "label", judged)], use_case.slices)
        sums = sums_by_group(split, use_case.task, ["at", "column", "value"], threshold)
    finally:
        rows.unpersist()
    return [
        JudgedTime(
            from_micros(at),
            digest,
            tuple(
                outcome
                for column, value, group in _in_order(sums, at, use_case.slices, floor)
                for outcome in _outcomes(column, value, group, use_case, threshold, alone.get(at))
            ),
        )
        for at, digest in sorted(digests.items())
    ]


def _digests(rows: DataFrame, key: str, judged: str) -> dict[int, str]:
    content = F.bit_xor(F.xxhash64(F.col(key).cast("string"), "label", judged)).alias("content")
    found = rows.groupBy("at").agg(F.count(F.lit(1)).alias("rows"), content)
    return {row["at"]: f"{row['content'] & _DIGITS:016x}-{row['rows']}" for row in found.toLocalIterator()}


def _values(scored: DataFrame, use_case: UseCase) -> dict[int, float | None]:
    found = build_metrics(scored.select("at", "label", judged_on(use_case.task)), use_case.task, ["at"])
    return {row["at"]: row[use_case.metric] for row in found.toLocalIterator()}


def _in_order(
    sums: Mapping[tuple[Any, ...], RowSums], at: int, slices: Sequence[str], floor: int
) -> list[tuple[str | None, str | None, RowSums]]:
    """All rows of a time first, then its slices that have enough rows, as declared and by value."""
    kept = [
        (column, value, group)
        for (time, column, value), group in sums.items()
        if time == at and (column is None or group.rows >= floor)
    ]
    return sorted(kept, key=lambda g: (-1 if g[0] is None else slices.index(g[0]), g[1] is None, g[1] or ""))


def _outcomes(
    column: str | None, value_of: str | None, sums: RowSums, use_case: UseCase, threshold: float, alone: float | None
) -> list[Outcome]:
    found = scalars(metrics_of(sums, threshold, _WHERE))
    if "rmse" in found:
        half = rmse_interval(found["rmse"], found["rows"])
        found |= {"rmse_low": half.low, "rmse_high": half.high}
    ends = tuple(f"{name}{end}" for name in found for end in ("_low", "_high"))
    names = [use_case.metric, *sorted(set(found) - {use_case.metric, *_NOT_METRICS, *ends})]
    return [
        Outcome(
            column,
            value_of,
            sums.rows,
            found.get("positive_rate"),
            name,
            found.get(name),
            found.get(f"{name}_low"),
            found.get(f"{name}_high"),
            alone if column is None and name == use_case.metric else None,
        )
        for name in names
    ]
