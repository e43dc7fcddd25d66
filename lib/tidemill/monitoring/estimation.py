"""Performance of the newest scores before their labels are there, from histograms of scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.models.class_columns import entropy_of, loss_of
from tidemill.models.specs import HIGHER_IS_BETTER, MULTICLASS, REGRESSION
from tidemill.models.tables import PROBABILITIES
from tidemill.monitoring.performance import score_bins
from tidemill.stats.expected import Estimate, estimate_mean, estimate_rmse, estimate_roc_auc

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SCORE_BINS = 2_000
_ERROR_BINS = 20
_FEWEST = 100
_UNTOLD = Estimate(None, "refused: of some rows the model made no number")


def estimate(known: DataFrame, scored: DataFrame, task: str, realised: float) -> Estimate:
    """The primary metric to expect of scored rows.

    Args:
        known: `score` and `label` of rows that the model was not fitted on; of several classes `probabilities`, too.
        scored: `score` of the rows, and likewise.
        task: `binary`, `multiclass` or `regression`.
        realised: the metric of the rows with labels.

    Returns:
        The estimate, or why it is refused: too few rows, rows without a score, scores that are not calibrated, or
        scores never seen.
    """
    if task == REGRESSION:
        return _estimate_rmse(known, scored)
    if task == MULTICLASS:
        return _estimate_log_loss(known, scored)
    place = _where_told(F.least(F.floor(F.col("score") * _SCORE_BINS), F.lit(_SCORE_BINS - 1)), F.col("score"))
    counted = scored.groupBy(place.alias("bin")).agg(F.count(F.lit(1)).alias("rows"), F.avg("score").alias("mean"))
    found = list(counted.orderBy("bin").toLocalIterator())
    rows = [row["rows"] for row in found]
    if any(row["bin"] is None for row in found):
        return _UNTOLD
    if sum(rows) < _FEWEST:
        return Estimate(None, f"refused: fewer than {_FEWEST} rows were scored")
    return estimate_roc_auc(score_bins(known, _SCORE_BINS), rows, [row["mean"] for row in found], realised)


def _where_told(place: Column, said: Column) -> Column:
    """The bin of what a score says; null where there is none, which `least` and `greatest` would pass over."""
    return F.when(said.isNotNull(), place)


def effect_of(metric: str, promised: float, expected: Estimate) -> str:
    """What is expected of a metric before labels, beside what the gate promised, in words; empty where nothing is."""
    if expected.value is None:
        return ""
    value = expected.value.estimate
    short = promised - value if HIGHER_IS_BETTER[metric] else value - promised
    how = f"{short:.3g} worse than" if short > 0 else "no worse than"
    return f"the expected {metric} of {value:.3g} is {how} the {promised:.3g} that the gate promised"


def _estimate_rmse(known: DataFrame, scored: DataFrame) -> Estimate:
    error = F.col("score") - F.col("label")
    found = _binned(known, scored, F.col("score"), error * error)
    return found if isinstance(found, Estimate) else estimate_rmse(found.rows, found.totals, found.now)


def _estimate_log_loss(known: DataFrame, scored: DataFrame) -> Estimate:
    told = F.col(PROBABILITIES)
    found = _binned(known, scored, entropy_of(told), loss_of(F.col("label"), told))
    return found if isinstance(found, Estimate) else estimate_mean(found.rows, found.totals, found.squares, found.now)


@dataclass(frozen=True)
class _Binned:
    """Of each bin of what scores say: rows with labels, sums of their losses and of these squared, and rows now."""

    rows: list[float]
    totals: list[float]
    squares: list[float]
    now: list[float]


def _binned(known: DataFrame, scored: DataFrame, said: Column, loss: Column) -> _Binned | Estimate:
    """Rows by bins of what their scores say; or why nothing can be estimated of them."""
    ends = known.agg(F.min(said).alias("low"), F.max(said).alias("high")).first()
    if ends is None or ends["low"] is None or ends["high"] <= ends["low"]:
        return Estimate(None, "refused: the scores of rows with labels do not differ")
    low, high = float(ends["low"]), float(ends["high"])
    # Two bins more for scores beyond those of rows with labels.
    place = F.floor((said - low) / (high - low) * _ERROR_BINS)
    bin_of = F.greatest(F.lit(-1), F.least(place, F.lit(_ERROR_BINS))) + 1
    last = _where_told(F.when(said == high, F.lit(_ERROR_BINS)).otherwise(bin_of), said)
    rows, totals, squares, now = ([0.0] * (_ERROR_BINS + 2) for _ in range(4))
    sums = F.count(F.lit(1)).alias("rows"), F.sum(loss).alias("total"), F.sum(loss * loss).alias("squares")
    for row in known.groupBy(last.alias("bin")).agg(*sums).toLocalIterator():
        rows[row["bin"]], totals[row["bin"]], squares[row["bin"]] = (
            float(row[name]) for name in ("rows", "total", "squares")
        )
    for row in scored.groupBy(last.alias("bin")).agg(F.count(F.lit(1)).alias("rows")).toLocalIterator():
        if row["bin"] is None:
            return _UNTOLD
        now[row["bin"]] = float(row["rows"])
    if sum(now) < _FEWEST:
        return Estimate(None, f"refused: fewer than {_FEWEST} rows were scored")
    return _Binned(rows, totals, squares, now)
