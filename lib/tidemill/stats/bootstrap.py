"""Intervals by resampling entities: of any statistic of weighted rows, or of its difference between two models.

An entity is drawn with all its rows, so rows of one entity need not be independent. All statistics of a call see the
same draws, which makes their differences paired. NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tidemill.stats.counted import keys_of, usable
from tidemill.stats.intervals import CONFIDENCE, Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Statistic = Callable[["Floats"], "Floats"]  # weights of shape (draws, rows) to values of shape (draws,)
Scheme = Literal["poisson", "multinomial"]
_CELLS = 1 << 22  # weights that are held at the same time


def replicates(
    statistics: Sequence[Statistic], entities: NDArray[Any], draws: int, seed: int, scheme: Scheme = "poisson"
) -> Floats:
    """The statistics of resampled rows.

    Args:
        statistics: functions of weights; all see the same ones.
        entities: of each row.
        draws: how many times to resample.
        seed: the same seed and rows give the same draws.
        scheme: `multinomial` draws as many entities as there are (Efron 1979); `poisson` draws each on its own, once on
            average (Hanley and MacGibbon 2006).

    Returns:
        Shape (statistics, draws); NaN where a draw lacks what a statistic needs.
    """
    _, entity = np.unique(np.asarray(entities), return_inverse=True)
    count = int(entity.max()) + 1
    dice = np.random.default_rng(seed)
    at_once = max(1, _CELLS // max(1, len(entity)))
    found = np.empty((len(statistics), draws))
    for first in range(0, draws, at_once):
        size = min(at_once, draws - first)
        drawn = (
            dice.poisson(1.0, (size, count))
            if scheme == "poisson"
            else dice.multinomial(count, np.full(count, 1 / count), size)
        )
        weights = drawn[:, entity].astype(np.float64)
        for row, statistic in enumerate(statistics):
            found[row, first : first + size] = statistic(weights)
    return found


def percentile_interval(estimate: float, values: Floats, confidence: float = CONFIDENCE) -> Interval:
    """The percentile interval (Efron 1979); draws that are NaN do not count.

    Args:
        estimate: of the rows themselves.
        values: of the draws.
        confidence: of the interval, between 0 and 1.
    """
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high))


def mean_of(values: Floats) -> Statistic:
    """The mean of a value of each row: of a loss, a squared error, a right decision."""
    return ratio_of(values, np.ones(len(values)))


def ratio_of(part: Floats, whole: Floats) -> Statistic:
    """The sum of one value of each row over that of another: of right decisions over decisions the precision."""
    return lambda weights: _ratio(weights @ part, weights @ whole)


def root_mean_of(values: Floats) -> Statistic:
    """The root of the mean of a value of each row: of squared errors the RMSE."""
    mean = mean_of(values)
    return lambda weights: np.sqrt(mean(weights))


def roc_auc_of(label: NDArray[Any], score: NDArray[Any]) -> Statistic:
    """ROC AUC, ties counted half; sorted once for all draws.

    Raises:
        ValueError: where a label is neither 0 nor 1, or a score is no number.
    """
    label, score = np.asarray(label, np.float64), np.asarray(score, np.float64)
    if not usable(label, score).all():
        raise ValueError("labels are 0 or 1, and scores are numbers")
    keys = keys_of(score)
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=~keys[order[:1]]))
    positive = label[order] == 1

    def statistic(weights: Floats) -> Floats:
        ordered = weights[:, order]
        positives = np.add.reduceat(np.where(positive, ordered, 0.0), starts, axis=1)
        negatives = np.add.reduceat(np.where(positive, 0.0, ordered), starts, axis=1)
        below = np.cumsum(negatives, axis=1) - negatives / 2
        won = np.einsum("dr,dr->d", positives, below)
        return _ratio(won, positives.sum(axis=1) * negatives.sum(axis=1))

    return statistic


def average_precision_of(label: NDArray[Any], score: NDArray[Any]) -> Statistic:
    """The area under the steps of precision over recall, as scikit-learn defines it; sorted once for all draws."""
    keys = keys_of(np.asarray(score, np.float64))
    order = np.argsort(~keys, kind="stable")  # the highest score first
    starts = np.flatnonzero(np.diff(keys[order], prepend=~keys[order[:1]]))
    positive = np.asarray(label)[order] == 1

    def statistic(weights: Floats) -> Floats:
        ordered = weights[:, order]
        positives = np.add.reduceat(np.where(positive, ordered, 0.0), starts, axis=1)
        rows = np.cumsum(np.add.reduceat(ordered, starts, axis=1), axis=1)
        found = np.cumsum(positives, axis=1)
        precision = np.divide(found, rows, out=np.zeros_like(found), where=rows > 0)
        return _ratio(np.einsum("dr,dr->d", positives, precision), found[:, -1])

    return statistic


def r2_of(label: Floats, score: Floats) -> Statistic:
    """The share of the label's variance that is told: 1 less the squared errors over the squares about the mean."""
    squares, apart = (score - label) ** 2, label - label.mean()

    def statistic(weights: Floats) -> Floats:
        rows = weights.sum(axis=1)
        mean = _ratio(weights @ apart, rows)
        return 1 - _ratio(weights @ squares, weights @ apart**2 - rows * mean**2)

    return statistic


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
