"""All metrics of several classes in plain Spark, for many groups: cells of the confusion matrix, and ranks by class."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.models.class_columns import exact_sum, loss_of, predicted_of, squared_error_of
from tidemill.models.decisions import THRESHOLD
from tidemill.models.evaluate_ranks import binary_sums_by_group, in_bins
from tidemill.models.evaluate_sums import RowSums
from tidemill.models.tables import PROBABILITIES, SCORE
from tidemill.stats.binary import BinarySums
from tidemill.stats.classes import ClassSums
from tidemill.stats.counted import Totals
from tidemill.stats.probabilities import BINS, ProbabilitySums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame, Row

    from tidemill.stats.ranking import RankSums

    Group = tuple[Any, ...]

_LABEL, _PREDICTED, _CLASS = "label__", "predicted__", "class__"  # so that no group, which may be a slice, has the name


def class_sums_by_group(scored: DataFrame, by: Sequence[str]) -> dict[Group, RowSums]:
    """What the rows of each group add to the metrics of several classes.

    Args:
        scored: `label` and `probabilities`.
        by: the columns that make a group; there are few groups.
    """
    found = F.col(PROBABILITIES)
    bad_score = found.isNull() | F.coalesce(F.exists(found, lambda p: p.isNull() | F.isnan(p)), F.lit(False))
    label, last = F.col("label"), F.size(found) - 1
    bad_label = ~bad_score & ~F.coalesce((label >= 0) & (label <= last) & (label == F.floor(label)), F.lit(False))
    rows = scored.select(*by, "label", PROBABILITIES, bad_label.alias("bad_label"), bad_score.alias("bad_score"))
    cells = defaultdict(list)
    for row in _cells(rows, by).toLocalIterator():
        cells[tuple(row[name] for name in by)].append(row)
    good = rows.where(~(bad_label | bad_score)).select(*by, "label", F.posexplode(PROBABILITIES).alias(_CLASS, SCORE))
    sides = good.select(*by, _CLASS, SCORE, (F.col("label") == F.col(_CLASS)).cast("double").alias("label"))
    ranks: dict[Group, dict[int, RowSums]] = defaultdict(dict)
    for (*group, number), sums in binary_sums_by_group(sides, [*by, _CLASS], THRESHOLD).items():
        ranks[tuple(group)][number] = sums
    return {group: _sums(cells[group], ranks[group]) for group in cells}


def _cells(rows: DataFrame, by: Sequence[str]) -> DataFrame:
    """One row a group, label and decision; rows that cannot be judged have neither."""
    good = ~(F.col("bad_label") | F.col("bad_score"))
    found, label = F.when(good, F.col(PROBABILITIES)), F.when(good, F.col("label"))
    loss, score = loss_of(label, found), F.array_max(found)
    return rows.groupBy(*by, label.alias(_LABEL), predicted_of(found).alias(_PREDICTED)).agg(
        F.count(label).alias("rows"),
        F.count_if("bad_label").alias("bad_labels"),
        F.count_if("bad_score").alias("bad_scores"),
        exact_sum(loss).alias("log_loss"),
        exact_sum(loss * loss).alias("squares"),
        F.sum(squared_error_of(label, found)).alias("brier"),
        F.array(*[F.count_if(inside) for inside in in_bins(score)]).alias("bin_rows"),
        F.array(*[F.sum(F.when(inside, score).otherwise(0.0)) for inside in in_bins(score)]).alias("bin_scores"),
    )


def _sums(cells: Sequence[Row], ranks: Mapping[int, RowSums]) -> RowSums:
    bad = sum(row["bad_labels"] for row in cells), sum(row["bad_scores"] for row in cells)
    judged = [row for row in cells if row["rows"]]
    if not judged:
        return RowSums(*bad, Totals(0, 0), None)
    confusion = [0] * len(ranks) ** 2
    for row in judged:
        confusion[int(row[_LABEL]) * len(ranks) + int(row[_PREDICTED])] = row["rows"]
    right = [row for row in judged if row[_LABEL] == row[_PREDICTED]]
    confidence = ProbabilitySums(
        rows=tuple(sum(row["bin_rows"][b] for row in judged) for b in range(BINS)),
        positives=tuple(sum(row["bin_rows"][b] for row in right) for b in range(BINS)),
        scores=tuple(sum(row["bin_scores"][b] for row in judged) for b in range(BINS)),
    )
    lost, squares = (float(sum(row[name] for row in judged)) for name in ("log_loss", "squares"))
    sums = ClassSums(tuple(confusion), lost, squares, sum(row["brier"] for row in judged), confidence)
    return RowSums(*bad, Totals(0, 0), sums, tuple(_rank(ranks[number]) for number in sorted(ranks)))


def _rank(found: RowSums) -> RankSums:
    if not isinstance(found.sums, BinarySums):
        raise TypeError("a class has no ranks")
    return found.sums.rank
