"""How well scores rank rows: ROC AUC with its variance, average precision, Kolmogorov-Smirnov. NumPy only.

All are exact and mergeable: what a range of scores adds can be computed alone, once it is known how many rows of each
class lie above the range and how many there are in all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.stats.counted import Counted, Totals, count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class RankSums:
    """What a range of scores adds.

    Args:
        wins: twice the pairs in which a positive of the range outranks any negative, a tie counting once; exact below
            4 x 10^18, the pairs of four thousand million rows.
        precision: sum over the range's positives of the precision among the rows that score at least as high.
        high, low: most and least of true positive rate less false positive rate at the range's scores.
        lost_positives: sum over the range's positives of the squared share of negatives that outrank them.
        lost_negatives: sum over the range's negatives of the squared share of positives that they outrank.
    """

    wins: int = 0
    precision: float = 0.0
    high: float = 0.0
    low: float = 0.0
    lost_positives: float = 0.0
    lost_negatives: float = 0.0


@dataclass(frozen=True)
class Ranking:
    """Metrics of a ranking; None where a class that they need has no row.

    Args:
        roc_auc: the Mann-Whitney statistic, ties counted half (Hanley and McNeil 1982).
        roc_auc_variance: of its estimate (DeLong, DeLong and Clarke-Pearson 1988); rows are taken as independent. None
            where a class has fewer than two rows.
        average_precision: the area under the steps of precision over recall, as scikit-learn defines it.
        ks: the largest difference of true and false positive rate.
    """

    roc_auc: float | None
    roc_auc_variance: float | None
    average_precision: float | None
    ks: float | None


def rank_sums(counted: Counted, above: Totals, total: Totals) -> RankSums:
    """What a range adds.

    Args:
        counted: the range.
        above: rows whose score is higher than any of the range.
        total: all rows.
    """
    positives, negatives, inside = counted.positives, counted.negatives, counted.totals
    if not inside.rows:
        return RankSums()
    # Rows with this score or a higher one.
    true = above.positives + inside.positives - np.cumsum(positives) + positives
    false = above.negatives + inside.negatives - np.cumsum(negatives) + negatives
    won = int(np.sum(positives * (2 * (total.negatives - false) + negatives)))
    precision = float(np.sum(positives * (true / (true + false))))
    if not total.positives or not total.negatives:
        return RankSums(won, precision)
    difference = true / total.positives - false / total.negatives
    lost = (2 * false - negatives) / (2 * total.negatives)
    beaten = (2 * (total.positives - true) + positives) / (2 * total.positives)
    return RankSums(
        won,
        precision,
        max(0.0, float(difference.max())),
        min(0.0, float(difference.min())),
        float(np.sum(positives * lost * lost)),
        float(np.sum(negatives * beaten * beaten)),
    )


def merge_rank_sums(parts: Sequence[RankSums]) -> RankSums:
    """What several ranges add together."""
    return RankSums(
        sum(p.wins for p in parts),
        math.fsum(p.precision for p in parts),
        max((p.high for p in parts), default=0.0),
        min((p.low for p in parts), default=0.0),
        math.fsum(p.lost_positives for p in parts),
        math.fsum(p.lost_negatives for p in parts),
    )


def ranking(sums: RankSums, total: Totals) -> Ranking:
    """The metrics, from what all ranges add."""
    both = total.positives > 0 and total.negatives > 0
    auc = sums.wins / (2 * total.positives * total.negatives) if both else None
    return Ranking(
        auc,
        _variance(sums, total, 1 - auc) if auc is not None and min(total.positives, total.negatives) > 1 else None,
        sums.precision / total.positives if total.positives else None,
        max(sums.high, -sums.low) if both else None,
    )


def roc_auc(label: NDArray[Any], score: NDArray[Any]) -> float:
    """ROC AUC of rows; both classes must be there."""
    counted = count(label, score)
    total = counted.totals
    return rank_sums(counted, Totals(0, 0), total).wins / (2 * total.positives * total.negatives)


def _variance(sums: RankSums, total: Totals, lost: float) -> float:
    """By the shares that are lost: near an AUC of 1 they are small, and so is what their squares lose in rounding."""
    p, n = total.positives, total.negatives
    of_positives = (sums.lost_positives - p * lost * lost) / (p - 1)
    of_negatives = (sums.lost_negatives - n * lost * lost) / (n - 1)
    return max(0.0, of_positives) / p + max(0.0, of_negatives) / n
