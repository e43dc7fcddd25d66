"""Performance of the newest scores before their labels are there, from histograms of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.monitoring.performance import score_bins
from tidemill.stats.expected import Estimate, estimate_rmse, estimate_roc_auc

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SCORE_BINS = 2_000
_ERROR_BINS = 20
_FEWEST = 100


def estimate(known: DataFrame, scored: DataFrame, task: str, realised: float) -> Estimate:
    """The primary metric to expect of scored rows.

    Args:
        known: `score` and `label` of rows that the model was not fitted on.
        scored: `score` of the rows.
        task: `binary` or `regression`.
        realised: the metric of the rows with labels.

    Returns:
        The estimate, or why it is refused: too few rows, scores that are not calibrated, or scores never seen.
    """
    if task == "regression":
        return _estimate_rmse(known, scored)
    place = F.least(F.floor(F.col("score") * _SCORE_BINS), F.lit(_SCORE_BINS - 1))
    counted = scored.groupBy(place.alias("bin")).agg(F.count(F.lit(1)).alias("rows"), F.avg("score").alias("mean"))
    found = list(counted.orderBy("bin").toLocalIterator())
    rows = [row["rows"] for row in found]
    if sum(rows) < _FEWEST:
        return Estimate(None, f"refused: fewer than {_FEWEST} rows were scored")
    return estimate_roc_auc(score_bins(known, _SCORE_BINS), rows, [row["mean"] for row in found], realised)


def _estimate_rmse(known: DataFrame, scored: DataFrame) -> Estimate:
    ends = known.agg(F.min("score").alias("low"), F.max("score").alias("high")).first()
    if ends is None or ends["low"] is None or ends["high"] <= ends["low"]:
        return Estimate(None, "refused: the scores of rows with labels do not differ")
    low, high = float(ends["low"]), float(ends["high"])
    # Two bins more for scores beyond those of rows with labels.
    place = F.floor((F.col("score") - low) / (high - low) * _ERROR_BINS)
    bin_of = F.greatest(F.lit(-1), F.least(place, F.lit(_ERROR_BINS))) + 1
    last = F.when(F.col("score") == high, F.lit(_ERROR_BINS)).otherwise(bin_of)
    error = F.col("score") - F.col("label")
    rows, squares, now = ([0.0] * (_ERROR_BINS + 2) for _ in range(3))
    told = known.groupBy(last.alias("bin")).agg(F.count(F.lit(1)).alias("rows"), F.sum(error * error).alias("squares"))
    for row in told.toLocalIterator():
        rows[row["bin"]], squares[row["bin"]] = float(row["rows"]), float(row["squares"])
    for row in scored.groupBy(last.alias("bin")).agg(F.count(F.lit(1)).alias("rows")).toLocalIterator():
        now[row["bin"]] = float(row["rows"])
    if sum(now) < _FEWEST:
        return Estimate(None, f"refused: fewer than {_FEWEST} rows were scored")
    return estimate_rmse(rows, squares, now)
