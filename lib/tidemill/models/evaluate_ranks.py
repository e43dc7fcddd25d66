"""All metrics of binary scores in plain Spark, for many groups in one pass: each distinct score once, with its rows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F

from tidemill.models.evaluate_sums import RowSums
from tidemill.stats.binary import BinarySums
from tidemill.stats.confusion import Confusion
from tidemill.stats.counted import Totals
from tidemill.stats.lift import PERCENTS
from tidemill.stats.probabilities import EDGES, LEAST, ProbabilitySums
from tidemill.stats.ranking import RankSums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame, Row


def binary_sums_by_group(scored: DataFrame, by: Sequence[str], threshold: float) -> dict[tuple[Any, ...], RowSums]:
    """What the rows of each group add to the metrics of a binary task.

    Args:
        scored: `label` and `score`.
        by: the columns that make a group; there are few groups.
        threshold: of the decisions.
    """
    found = _ranks(scored, by, threshold)
    return {tuple(row[name] for name in by): _binary_sums(row) for row in found.toLocalIterator()}


def in_bins(score: Column) -> list[Column]:
    """Whether a score lies in each of the ten bins of calibration."""
    inner = [float(edge) for edge in EDGES[1:-1]]
    inside = [(score > a) & (score <= b) for a, b in pairwise(inner)]
    return [score <= inner[0], *inside, score > inner[-1]]


def _ranks(scored: DataFrame, by: Sequence[str], threshold: float) -> DataFrame:
    """One row a group: sums over its distinct scores, each beside the rows that lie above it."""
    bad_score = F.col("score").isNull() | F.isnan("score")
    bad_label = ~F.coalesce(F.col("label").isin(0.0, 1.0), F.lit(False))
    good = ~(bad_label | bad_score)
    ties = scored.groupBy(*by, "score").agg(
        F.count_if(good & (F.col("label") == 1.0)).alias("p"),
        F.count_if(good & (F.col("label") == 0.0)).alias("n"),
        F.count_if(bad_label & ~bad_score).alias("bad_labels"),
        F.count_if(bad_score).alias("bad_scores"),
    )
    down = Window.partitionBy(*by).orderBy(F.desc_nulls_last("score"))
    down = down.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    whole = Window.partitionBy(*by)
    ranked = ties.select(
        *by,
        "score",
        "p",
        "n",
        "bad_labels",
        "bad_scores",
        F.sum("p").over(down).alias("true"),  # rows with this score or a higher one
        F.sum("n").over(down).alias("false"),
        F.sum("p").over(whole).alias("positives"),
        F.sum("n").over(whole).alias("negatives"),
    )
    return ranked.groupBy(*by).agg(*[column.alias(name) for name, column in _sums(threshold).items()])


def _sums(threshold: float) -> dict[str, Column]:
    p, n, score = F.col("p"), F.col("n"), F.col("score")
    true, false, positives, negatives = (F.col(name) for name in ("true", "false", "positives", "negatives"))
    some_positives, some_negatives = F.nullif(positives, F.lit(0)), F.nullif(negatives, F.lit(0))
    difference = true / some_positives - false / some_negatives
    lost = (2 * false - n) / (2 * some_negatives)
    beaten = (2 * (positives - true) + p) / (2 * some_positives)
    kept = F.least(F.greatest(score, F.lit(LEAST)), F.lit(1 - LEAST))
    return {
        "bad_labels": F.sum("bad_labels"),
        "bad_scores": F.sum("bad_scores"),
        "positives": F.sum(p),
        "negatives": F.sum(n),
        "wins": F.sum(p * (2 * (negatives - false) + n)),
        "precision": F.sum(p * true / F.nullif(true + false, F.lit(0))),
        "high": F.max(difference),
        "low": F.min(difference),
        "lost": F.sum(p * lost * lost),
        "beaten": F.sum(n * beaten * beaten),
        "outside": F.sum(F.when((score < 0) | (score > 1), p + n).otherwise(0)),
        "log_loss": -F.sum(p * F.ln(kept) + n * F.log1p(-kept)),
        "brier": F.sum(p * (1 - score) * (1 - score) + n * score * score),
        "decided_true": F.sum(F.when(score >= threshold, p).otherwise(0)),
        "decided_false": F.sum(F.when(score >= threshold, n).otherwise(0)),
        "bin_rows": F.array(*[F.sum(F.when(inside, p + n).otherwise(0)) for inside in in_bins(score)]),
        "bin_positives": F.array(*[F.sum(F.when(inside, p).otherwise(0)) for inside in in_bins(score)]),
        "bin_scores": F.array(*[F.sum(F.when(inside, score * (p + n)).otherwise(0.0)) for inside in in_bins(score)]),
        "caught": F.array(*[F.max(_caught(percent)) for percent in PERCENTS]),
    }


def _caught(percent: int) -> Column:
    """The positives among the highest-scored rows, on the row of the score that they end with; else null."""
    p, n, true, false = (F.col(name) for name in ("p", "n", "true", "false"))
    k = F.ceil((F.col("positives") + F.col("negatives")) * percent / 100)
    end = true + false
    return F.when((end - p - n < k) & (k <= end), true - p * ((end - k) / F.nullif(p + n, F.lit(0))))


def _binary_sums(row: Row) -> RowSums:
    total = Totals(row["positives"] or 0, row["negatives"] or 0)
    if not total.rows:
        return RowSums(row["bad_labels"] or 0, row["bad_scores"] or 0, total, None)
    true, false = row["decided_true"], row["decided_false"]
    rank = RankSums(
        row["wins"],
        row["precision"],
        max(0.0, row["high"] or 0.0),
        min(0.0, row["low"] or 0.0),
        row["lost"] or 0.0,
        row["beaten"] or 0.0,
    )
    probability = ProbabilitySums(row["outside"])
    if not row["outside"]:
        bins = (tuple(row[name]) for name in ("bin_rows", "bin_positives", "bin_scores"))
        probability = ProbabilitySums(0, row["log_loss"], row["brier"], *bins)
    confusion = Confusion(true, false, total.positives - true, total.negatives - false)
    sums = BinarySums(rank, probability, confusion, tuple(row["caught"]))
    return RowSums(row["bad_labels"], row["bad_scores"], total, sums)
