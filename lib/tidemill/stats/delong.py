"""Two scores of the same rows: the difference of their ROC AUC, with the variance that pairing leaves. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.stats.counted import count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedAuc:
    """The ROC AUC of two scores of the same rows.

    Args:
        one, other: their ROC AUC.
        variance: of the difference of the two.
    """

    one: float
    other: float
    variance: float


def paired_auc(label: NDArray[Any], one: NDArray[Any], other: NDArray[Any]) -> PairedAuc:
    """DeLong's estimate (DeLong, DeLong and Clarke-Pearson 1988), by ranks (Sun and Xu 2014); rows independent.

    Args:
        label: 0 or 1, at least two rows of each.
        one: a score, as long; no NaN.
        other: another score of the same rows.

    Raises:
        ValueError: where a class has fewer than two rows, a label is neither 0 nor 1, or a score is no number.
    """
    positive = np.asarray(label) == 1
    if min(positive.sum(), (~positive).sum()) < 2:
        raise ValueError("each class needs two rows")
    first, second = _components(label, one, positive), _components(label, other, positive)
    variance = sum(float(np.var(a - b, ddof=1)) / len(a) for a, b in zip(first, second, strict=True))
    return PairedAuc(float(first[0].mean()), float(second[0].mean()), variance)


def _components(label: NDArray[Any], score: NDArray[Any], positive: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Of each positive the share of negatives that it outranks; of each negative that of positives that outrank it."""
    counted = count(label, score)
    total = counted.totals
    place = np.searchsorted(counted.scores, np.asarray(score, np.float64))
    below = np.cumsum(counted.negatives) - counted.negatives / 2
    above = total.positives - np.cumsum(counted.positives) + counted.positives / 2
    return below[place[positive]] / total.negatives, above[place[~positive]] / total.positives
