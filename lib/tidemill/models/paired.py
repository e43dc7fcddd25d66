"""Two scorings of the same rows by one metric: the gain of one over the other, with its paired interval. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.models.specs import HIGHER_IS_BETTER
from tidemill.stats.bootstrap import mean_of, replicates, roc_auc_of, root_mean_of
from tidemill.stats.classes import losses, squared_errors
from tidemill.stats.delong import paired_auc
from tidemill.stats.intervals import difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tidemill.stats.bootstrap import Statistic

    Floats = NDArray[np.float64]

ROC_AUC, BRIER, LOG_LOSS = "roc_auc", "brier", "log_loss"
DELONG, BOOTSTRAP, BLOCKS = "delong", "bootstrap", "block_bootstrap"
# From label and score to the metric of weighted rows. Of the Brier score, as of every loss, less is better.
_METRICS: dict[str, Callable[[Floats, Floats], Statistic]] = {
    ROC_AUC: roc_auc_of,
    "rmse": lambda label, score: root_mean_of((score - label) ** 2),
    BRIER: lambda label, score: mean_of(
        (score - label) ** 2 if score.ndim == 1 else squared_errors(label.astype(np.int64), score)
    ),
    LOG_LOSS: lambda label, score: mean_of(losses(label.astype(np.int64), score)),
}


@dataclass(frozen=True)
class Scored:
    """Rows with two scores, all of one length.

    Args:
        label: of each row; of several classes its number.
        one, other: the two scores, without NaN; of several classes probabilities, shape (rows, classes).
        unit: what is drawn together with all its rows: an entity, or a block of time.
        drawn: how intervals are made that are not DeLong's: `bootstrap` over entities, or `block_bootstrap`.
    """

    label: Floats
    one: Floats
    other: Floats
    unit: NDArray[Any]
    drawn: str = BOOTSTRAP

    def where(self, kept: NDArray[np.bool_]) -> Scored:
        """Some of the rows."""
        return Scored(self.label[kept], self.one[kept], self.other[kept], self.unit[kept], self.drawn)


@dataclass(frozen=True)
class Resampling:
    """How an interval is made: its confidence, and draws and seed of the bootstrap."""

    confidence: float
    draws: int
    seed: int


@dataclass(frozen=True)
class Gain:
    """By how much one scoring is better than another on the same rows: above 0 it is, whichever way the metric runs.

    Args:
        rows: that were compared.
        one, other: the metric of both.
        gain: their difference.
        low, high: of its interval; None where the rows are too few or too alike to tell.
        method: `delong`, `bootstrap` over entities, or `block_bootstrap` over blocks of time.
    """

    rows: int
    one: float
    other: float
    gain: float
    low: float | None
    high: float | None
    method: str


def gain(metric: str, rows: Scored, how: Resampling) -> Gain | None:
    """The gain of `one` over `other`, or None where the rows do not allow the metric: ROC AUC of one class, no row.

    ROC AUC has DeLong's interval where every unit is one row. Rows of one unit depend on each other: where some have
    several, and for every other metric, units are drawn with all their rows, and the interval is that of the normal
    distribution with the variance of the draws (Efron 1979; of blocks of time Carlstein 1986).

    Args:
        metric: `roc_auc`, `log_loss` (of several classes), `rmse` or `brier`.
        rows: the rows.
        how: the interval is made.
    """
    if not len(rows.label):
        return None
    both = [_METRICS[metric](rows.label, score) for score in (rows.one, rows.other)]
    one, other = (float(statistic(np.ones((1, len(rows.label))))[0]) for statistic in both)
    if np.isnan(one) or np.isnan(other):
        return None
    units = len(np.unique(rows.unit))
    positives = int(np.sum(rows.label == 1))
    if metric == ROC_AUC and units == len(rows.label) and min(positives, len(rows.label) - positives) >= 2:
        method, variance = DELONG, paired_auc(rows.label, rows.one, rows.other).variance
    else:
        drawn = replicates(both, rows.unit, how.draws, how.seed)
        apart = (drawn[0] - drawn[1])[~np.isnan(drawn[0] - drawn[1])]
        known = units >= 2 and len(apart) >= 2
        method, variance = rows.drawn, float(np.var(apart, ddof=1)) if known else np.nan
    first, second = (one, other) if HIGHER_IS_BETTER.get(metric, False) else (other, one)
    if np.isnan(variance):
        return Gain(len(rows.label), one, other, first - second, None, None, method)
    found = difference(first, second, variance, how.confidence)
    return Gain(len(rows.label), one, other, found.estimate, found.low, found.high, method)
