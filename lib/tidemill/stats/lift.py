"""The highest-scored rows: precision, recall and lift at the top k, the table of lift and gain. NumPy only.

Where the k-th row is one of several with its score, each of these counts with the same share: the mean over all orders
of equal rows, so that no order of the input decides. Exact and mergeable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.stats.counted import Counted, Totals

PERCENTS = (1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)


@dataclass(frozen=True)
class Top:
    """The k highest-scored rows.

    Args:
        rows: k.
        positives: among them.
        precision: share of positives among them.
        recall: share of all positives that are among them, the gain; None where there is no positive.
        lift: precision over the share of positives among all rows; None where there is no positive.
    """

    rows: int
    positives: float
    precision: float
    recall: float | None
    lift: float | None


def sizes(total: Totals) -> tuple[int, ...]:
    """The k of the table of lift and gain: each percentage of all rows, rounded up."""
    return tuple(-(-total.rows * percent // 100) for percent in PERCENTS)


def caught(counted: Counted, above: Totals, most: Sequence[int]) -> tuple[float | None, ...]:
    """The positives among the k highest-scored rows, for each k that ends in a range; None for others.

    Args:
        counted: the range.
        above: rows whose score is higher than any of the range.
        most: the k, each at least 1.
    """
    positives = counted.positives[::-1]  # highest score first
    rows = positives + counted.negatives[::-1]
    ends = above.rows + np.cumsum(rows)
    found = above.positives + np.cumsum(positives)
    last = int(ends[-1]) if len(ends) else above.rows
    answer: list[float | None] = []
    for k in most:
        if not above.rows < k <= last:
            answer.append(None)
            continue
        at = int(np.searchsorted(ends, k, "left"))
        missing = int(ends[at]) - k
        answer.append(float(found[at]) - int(positives[at]) * (missing / int(rows[at])))
    return tuple(answer)


def merge_caught(parts: Sequence[Sequence[float | None]]) -> tuple[float | None, ...]:
    """The answers of several ranges together: each k ends in one of them."""
    return tuple(next((v for v in found if v is not None), None) for found in zip(*parts, strict=True))


def top(k: int, positives: float, total: Totals) -> Top:
    """The figures of the k highest-scored rows.

    Args:
        k: at least 1.
        positives: among them.
        total: all rows.
    """
    if not total.positives:
        return Top(k, positives, positives / k, None, None)
    return Top(k, positives, positives / k, positives / total.positives, positives / k * total.rows / total.positives)
