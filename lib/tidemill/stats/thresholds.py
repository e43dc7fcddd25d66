"""The threshold of a decision, from validation scores: by the cost of errors, by capacity, by F-beta. NumPy only.

A row whose score is at least the threshold is decided positive. Thresholds are scores that occur, so that a decision
does not hang on a value between two rows; infinity decides nobody. Without rows, or with infinite scores, all raise
ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidemill.stats.confusion import Confusion, confusion_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tidemill.stats.counted import Counted

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Costs:
    """What each decision costs, in one unit; gains are negative."""

    true_positive: float = 0.0
    false_positive: float = 1.0
    false_negative: float = 1.0
    true_negative: float = 0.0


@dataclass(frozen=True)
class Threshold:
    """A chosen threshold.

    Args:
        value: the least score that is decided positive.
        confusion: of the rows that it was chosen on.
        reached: what was optimised: the mean cost of a row, the share of rows decided positive, or F-beta.
    """

    value: float
    confusion: Confusion
    reached: float


def by_cost(counted: Counted, costs: Costs) -> Threshold:
    """The threshold of the least mean cost; of equal ones the highest, which decides the fewest positive."""
    true, false = _decided(counted)
    total = counted.totals
    cost = (
        true * costs.true_positive
        + false * costs.false_positive
        + (total.positives - true) * costs.false_negative
        + (total.negatives - false) * costs.true_negative
    )
    at = int(np.argmin(cost))
    return _chosen(counted, at, float(cost[at]) / total.rows)


def by_capacity(counted: Counted, share: float) -> Threshold:
    """The least threshold that decides no more than a share of the rows positive.

    Equal scores are decided alike, so where many rows have the score at the limit, fewer are decided than the share.
    """
    true, false = _decided(counted)
    decided = true + false
    rows = counted.totals.rows
    at = int(np.searchsorted(decided, share * rows, "right")) - 1
    return _chosen(counted, at, float(decided[at]) / rows)


def by_f_beta(counted: Counted, beta: float = 1.0) -> Threshold:
    """The threshold of the highest F-beta; of equal ones the highest."""
    true, false = _decided(counted)
    weight = beta * beta
    base = true + weight * counted.totals.positives + false
    value = np.divide((1 + weight) * true, base, out=np.zeros(len(true)), where=base > 0)
    at = int(np.argmax(value))
    return _chosen(counted, at, float(value[at]))


def _decided(counted: Counted) -> tuple[Floats, Floats]:
    """Rows of each class at or above each threshold: infinity first, then the scores from the highest down."""
    if not np.isfinite(counted.scores).all() or not len(counted.scores):
        raise ValueError("a threshold needs rows to be chosen on, with finite scores")
    return tuple(np.concatenate([[0.0], np.cumsum(c[::-1])]) for c in (counted.positives, counted.negatives))  # type: ignore[return-value]


def _chosen(counted: Counted, at: int, reached: float) -> Threshold:
    value = float("inf") if at == 0 else float(counted.scores[-at])
    return Threshold(value, confusion_at(counted, value), reached)
