"""All metrics of a binary score, from what ranges of scores add. NumPy only, exact, mergeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.stats.confusion import Confusion, confusion_at, merge_confusions
from tidemill.stats.counted import Counted, Totals, count
from tidemill.stats.lift import Top, caught, merge_caught, sizes, top
from tidemill.stats.probabilities import (
    Probabilities,
    ProbabilitySums,
    merge_probability_sums,
    probabilities,
    probability_sums,
)
from tidemill.stats.ranking import Ranking, RankSums, merge_rank_sums, rank_sums, ranking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class BinarySums:
    """What a range of scores adds to each metric.

    Args:
        rank, probability, confusion: to the metrics of their modules.
        caught: positives among the k highest-scored rows of the table of lift and gain, where k ends in the range.
    """

    rank: RankSums
    probability: ProbabilitySums
    confusion: Confusion
    caught: tuple[float | None, ...]


@dataclass(frozen=True)
class Binary:
    """All metrics of a binary score.

    Args:
        total: rows of each class.
        ranking: what depends on the order of the scores only.
        probabilities: what takes the scores as probabilities, or None where they are none.
        confusion: decisions at `threshold`.
        threshold: a row whose score is at least that is decided positive.
        lift: the table of lift and gain, for the highest percentages of all rows, least first.
    """

    total: Totals
    ranking: Ranking
    probabilities: Probabilities | None
    confusion: Confusion
    threshold: float
    lift: tuple[Top, ...]


def binary_sums(counted: Counted, above: Totals, total: Totals, threshold: float) -> BinarySums:
    """What a range adds.

    Args:
        counted: the range.
        above: rows whose score is higher than any of the range.
        total: all rows.
        threshold: of the decisions.
    """
    return BinarySums(
        rank_sums(counted, above, total),
        probability_sums(counted),
        confusion_at(counted, threshold),
        caught(counted, above, sizes(total)),
    )


def merge_binary_sums(parts: Sequence[BinarySums]) -> BinarySums:
    """What several ranges, at least one, add together."""
    return BinarySums(
        merge_rank_sums([p.rank for p in parts]),
        merge_probability_sums([p.probability for p in parts]),
        merge_confusions([p.confusion for p in parts]),
        merge_caught([p.caught for p in parts]),
    )


def binary(sums: BinarySums, total: Totals, threshold: float) -> Binary:
    """The metrics, from what all ranges add."""
    found = zip(sizes(total), sums.caught, strict=True)
    return Binary(
        total,
        ranking(sums.rank, total),
        probabilities(sums.probability, total),
        sums.confusion,
        threshold,
        tuple(top(k, positives, total) for k, positives in found if positives is not None),
    )


def binary_of(label: NDArray[Any], score: NDArray[Any], threshold: float = 0.5) -> Binary:
    """The metrics of rows.

    Raises:
        ValueError: where a label is neither 0 nor 1, or a score is no number.
    """
    counted = count(label, score)
    total = counted.totals
    return binary(binary_sums(counted, Totals(0, 0), total, threshold), total, threshold)
