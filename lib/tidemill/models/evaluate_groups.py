"""All metrics of scored rows in plain Spark, for many groups in one pass: the twin of `evaluate_files`.

It judges frames that lie in no file yet, candidates beside each other, and tables whose files Arrow cannot read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.models.evaluate_classes import class_sums_by_group
from tidemill.models.evaluate_ranks import binary_sums_by_group
from tidemill.models.evaluate_sums import RowSums
from tidemill.models.specs import MULTICLASS, REGRESSION
from tidemill.stats.counted import Totals
from tidemill.stats.probabilities import LEAST
from tidemill.stats.residuals import ResidualSums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame, Row


def sums_by_group(scored: DataFrame, task: str, by: Sequence[str], threshold: float) -> dict[tuple[Any, ...], RowSums]:
    """What the rows of each group add to the metrics.

    Args:
        scored: `label` and `score`; of a multiclass task `label` and `probabilities`.
        task: `binary`, `multiclass` or `regression`.
        by: the columns that make a group; there are few groups.
        threshold: of the decisions of a binary task.
    """
    if task == REGRESSION:
        found = _residuals(scored, by)
        return {tuple(row[name] for name in by): _residual_sums(row) for row in found.toLocalIterator()}
    if task == MULTICLASS:
        return class_sums_by_group(scored, by)
    return binary_sums_by_group(scored, by, threshold)


def _residuals(scored: DataFrame, by: Sequence[str]) -> DataFrame:
    infinite = F.lit(float("inf"))
    bad_label = F.col("label").isNull() | F.isnan("label") | (F.abs("label") == infinite)
    bad_score = F.col("score").isNull() | F.isnan("score") | (F.abs("score") == infinite)
    good = ~(bad_label | bad_score)
    label, score = (F.when(good, F.col(name)) for name in ("label", "score"))
    size = F.abs(score - label)
    return scored.groupBy(*by).agg(
        F.count_if(bad_label).alias("bad_labels"),
        F.count_if(bad_score).alias("bad_scores"),
        F.count(label).alias("rows"),
        F.sum(size * size).alias("squares"),
        F.sum(size).alias("absolutes"),
        F.sum(size / F.greatest(F.abs(label), F.lit(LEAST))).alias("relatives"),
        F.avg(label).alias("mean"),
        (F.var_pop(label) * F.count(label)).alias("spread"),
    )


def _residual_sums(row: Row) -> RowSums:
    names = ("squares", "absolutes", "relatives", "mean", "spread")
    sums = ResidualSums(row["rows"], *(row[name] for name in names)) if row["rows"] else ResidualSums()
    return RowSums(row["bad_labels"], row["bad_scores"], Totals(0, 0), sums)
