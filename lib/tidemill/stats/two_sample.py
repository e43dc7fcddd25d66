"""How well two samples can be told apart by a score that was made without their labels' help. NumPy only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.stats.binary import binary_of
from tidemill.stats.intervals import Interval, roc_auc_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray


def folds_of(side: NDArray[Any], number: int) -> NDArray[np.int64]:
    """A fold for each row, so that every fold has as many rows of each side as another, give or take one.

    Args:
        side: 0 or 1, rows in an order that has nothing to do with what they hold.
        number: of folds.
    """
    found = np.empty(len(side), np.int64)
    for value in (0, 1):
        rows = np.flatnonzero(side == value)
        found[rows] = np.arange(len(rows)) % number
    return found


def separation(side: NDArray[Any], score: NDArray[Any], fold: NDArray[Any]) -> Interval:
    """The ROC AUC of telling one sample from another, 0.5 for samples of one distribution, with its 95 % interval.

    A classifier two-sample test (Lopez-Paz and Oquab 2017), cross-fitted: the mean of the folds, each scored by a model
    that has not seen it. Variances are DeLong's; that the models share most of their rows is not in them.

    Args:
        side: 0 or 1; each at least twice in every fold.
        score: higher where a row is taken for one of side 1.
        fold: of each row.

    Raises:
        ValueError: where a fold lacks rows of a side.
    """
    values, variances = [], []
    for one in np.unique(fold):
        found = binary_of(side[fold == one], score[fold == one]).ranking
        if found.roc_auc is None or found.roc_auc_variance is None:
            raise ValueError(f"the fold {one} lacks rows of a side")
        values.append(found.roc_auc)
        variances.append(found.roc_auc_variance)
    return roc_auc_interval(float(np.mean(values)), float(np.sum(variances)) / len(values) ** 2)
