"""Metrics of several classes from arrays in NumPy, beside which Spark's are held."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from tidemill.stats.classes import ClassSums, classes_of, losses, squared_errors
from tidemill.stats.counted import Totals, count
from tidemill.stats.probabilities import probability_sums
from tidemill.stats.ranking import RankSums, rank_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tidemill.stats.classes import Classes

    Floats = NDArray[np.float64]


def classes_in_numpy(label: NDArray[np.int64], scores: Floats) -> Classes | None:
    """All metrics.

    Args:
        label: classes, counted from 0.
        scores: shape (rows, classes): probabilities that add up to 1.
    """
    return classes_of(_sums(label, scores), _ranks(label, scores))


def _sums(label: NDArray[np.int64], scores: Floats) -> ClassSums:
    classes, decided = scores.shape[1], scores.argmax(axis=1)
    cells = np.bincount(label * classes + decided, minlength=classes * classes)
    lost = losses(label, scores)
    return ClassSums(
        tuple(cells.tolist()),
        math.fsum(lost),
        math.fsum(lost * lost),
        math.fsum(squared_errors(label, scores)),
        probability_sums(count(label == decided, scores.max(axis=1))),
    )


def _ranks(label: NDArray[np.int64], scores: Floats) -> tuple[RankSums, ...]:
    sides = [count(label == c, scores[:, c]) for c in range(scores.shape[1])]
    return tuple(rank_sums(side, Totals(0, 0), side.totals) for side in sides)
