"""Metrics of more than two classes, from the probabilities of each class. NumPy only.

What rows add is mergeable by addition; ranks of each class against all others come from the machinery of `ranking`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidemill.stats.counted import Totals
from tidemill.stats.intervals import mean_interval
from tidemill.stats.probabilities import LEAST, ProbabilitySums, probabilities
from tidemill.stats.ranking import RankSums, ranking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tidemill.stats.intervals import Interval
    from tidemill.stats.probabilities import CalibrationBin
    from tidemill.stats.ranking import Ranking

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassSums:
    """What some rows add.

    Args:
        confusion: rows by label and decision, row by row: class times classes plus decided class.
        log_loss, squares: sums of -ln of the probability given to the label, in nats, and of its square.
        brier: sum over rows and classes of squared differences of probability and what came true (0 or 1).
        confidence: of the decided class's probability against whether it was right.
    """

    confusion: tuple[int, ...]
    log_loss: float
    squares: float
    brier: float
    confidence: ProbabilitySums

    @property
    def rows(self) -> int:
        """Their number."""
        return sum(self.confusion)


@dataclass(frozen=True)
class OneClass:
    """One class against all others.

    Args:
        rows: whose label it is.
        precision, recall, f1: of the decisions for it; a share whose base has no row is 0, as in scikit-learn.
        roc_auc, average_precision: of its probability; None where a side has no row.
    """

    rows: int
    precision: float
    recall: float
    f1: float
    roc_auc: float | None
    average_precision: float | None


@dataclass(frozen=True)
class Averages:
    """Means over the classes that are a label or a decision of some row: of equal weight, or by the rows of a class."""

    macro: float
    weighted: float


@dataclass(frozen=True)
class Classes:
    """Metrics of several classes; the class of the highest probability is decided, of equal ones the first.

    Args:
        rows: their number.
        accuracy: the share of right decisions.
        majority_rate: the accuracy of always deciding for the commonest class.
        precision, recall, f1: means over classes.
        roc_auc: the mean over classes of each against all others (macro); None where one has no row, or all.
        log_loss: mean, in nats, with its 95 % interval, rows taken as independent; probabilities are kept within 2^-52
            of 0 and 1.
        brier: mean of the summed squared differences of probabilities and what came true, from 0 to 2 (Brier 1950).
        expected_calibration_error: of the decided class's probability (Guo, Pleiss, Sun and Weinberger 2017).
        calibration: of the decided class's probability, in ten bins of equal width.
        confusion: rows by label, then by decision.
        classes: each against all others.
    """

    rows: int
    accuracy: float
    majority_rate: float
    precision: Averages
    recall: Averages
    f1: Averages
    roc_auc: float | None
    log_loss: Interval
    brier: float
    expected_calibration_error: float
    calibration: tuple[CalibrationBin, ...]
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[OneClass, ...]

    @property
    def right(self) -> int:
        """Rows whose label was decided."""
        return sum(self.confusion[c][c] for c in range(len(self.confusion)))


def losses(label: NDArray[np.int64], scores: Floats) -> Floats:
    """Of each row -ln of the probability given to its label, in nats.

    Args:
        label: classes, counted from 0.
        scores: shape (rows, classes): probabilities that add up to 1.
    """
    return np.asarray(-np.log(np.clip(scores[np.arange(len(label)), label], LEAST, 1 - LEAST)))


def squared_errors(label: NDArray[np.int64], scores: Floats) -> Floats:
    """Of each row the sum over classes of squared differences of probability and what came true."""
    return np.asarray(np.sum((scores - np.eye(scores.shape[1])[label]) ** 2, axis=1))


def classes_of(sums: ClassSums, ranks: Sequence[RankSums]) -> Classes | None:
    """The metrics, or None without a row.

    Args:
        sums: of all rows.
        ranks: of each class, of all rows.
    """
    table = np.array(sums.confusion, np.int64).reshape(len(ranks), len(ranks))
    rows, right = int(table.sum()), np.diag(table)
    confident = probabilities(sums.confidence, Totals(int(right.sum()), rows - int(right.sum())))
    if confident is None:
        return None
    support, decided = table.sum(axis=1), table.sum(axis=0)
    precision, recall, f1 = _shares(right, decided), _shares(right, support), _shares(2 * right, decided + support)
    ranked = [ranking(r, Totals(int(n), rows - int(n))) for r, n in zip(ranks, support, strict=True)]
    aucs = [r.roc_auc for r in ranked if r.roc_auc is not None]
    found = decided + support > 0
    return Classes(
        rows,
        float(right.sum()) / rows,
        float(support.max()) / rows,
        _averages(precision, support, found),
        _averages(recall, support, found),
        _averages(f1, support, found),
        math.fsum(aucs) / len(aucs) if len(aucs) == len(ranked) else None,
        mean_interval(sums.log_loss, sums.squares, rows),
        sums.brier / rows,
        confident.expected_calibration_error,
        confident.calibration,
        tuple(tuple(row) for row in table.tolist()),
        tuple(
            OneClass(int(support[c]), float(precision[c]), float(recall[c]), float(f1[c]), r.roc_auc, _precision(r))
            for c, r in enumerate(ranked)
        ),
    )


def _precision(found: Ranking) -> float | None:
    return None if found.roc_auc is None else found.average_precision


def _shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _averages(values: Floats, support: NDArray[np.int64], found: NDArray[np.bool_]) -> Averages:
    return Averages(float(values[found].mean()), float(values @ support) / float(support.sum()))
