"""Metrics on all rows, computed where the rows are.

ROC AUC is the Mann-Whitney statistic with ties counted half (Hanley and McNeil 1982), exact. Log losses are summed as
decimals, so that the same rows give the same mean in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from tidemill.models.class_columns import exact_sum, loss_of, predicted_of
from tidemill.models.specs import MULTICLASS, REGRESSION
from tidemill.models.tables import PROBABILITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame


def build_metrics(scored: DataFrame, task: str, by: Sequence[str]) -> DataFrame:
    """Metrics of each group of scored rows.

    Args:
        scored: `label` and `score`, both doubles without nulls; of a multiclass task `label` and `probabilities`.
        task: `binary`, `multiclass` or `regression`.
        by: the columns that make a group.

    Returns:
        Grain: group. `rows`; for binary tasks `positive_rate` and `roc_auc` (null where only one class is there); for
        multiclass ones `log_loss` in nats (null where a row has no probability), the standard deviation of a row's,
        `log_loss_deviation` (null for one row), and `accuracy`; for regression `rmse` and `mae`, in the label's unit.
    """
    if task == MULTICLASS:
        loss = loss_of(F.col("label"), F.col(PROBABILITIES))
        rows = F.count(F.lit(1))
        right = predicted_of(F.col(PROBABILITIES)) == F.col("label")
        return scored.groupBy(*by).agg(
            rows.alias("rows"),
            F.when(F.count(loss) == rows, exact_sum(loss).cast("double") / rows).alias("log_loss"),
            F.stddev_samp(loss).alias("log_loss_deviation"),
            F.avg(right.cast("double")).alias("accuracy"),
        )
    if task == REGRESSION:
        error = F.col("score") - F.col("label")
        return scored.groupBy(*by).agg(
            F.count(F.lit(1)).alias("rows"),
            F.sqrt(F.avg(error * error)).alias("rmse"),
            F.avg(F.abs(error)).alias("mae"),
        )
    ties = scored.groupBy(*by, "score").agg(
        F.sum("label").alias("positives"), F.sum(1 - F.col("label")).alias("negatives")
    )
    below = Window.partitionBy(*by).orderBy("score").rowsBetween(Window.unboundedPreceding, -1)
    ranked = ties.withColumn("below", F.coalesce(F.sum("negatives").over(below), F.lit(0.0)))
    won = F.sum(F.col("positives") * (F.col("below") + F.col("negatives") / 2))
    positives, negatives = F.sum("positives"), F.sum("negatives")
    return ranked.groupBy(*by).agg(
        (positives + negatives).cast("bigint").alias("rows"),
        (positives / (positives + negatives)).alias("positive_rate"),
        (won / F.nullif(positives * negatives, F.lit(0.0))).alias("roc_auc"),
    )
