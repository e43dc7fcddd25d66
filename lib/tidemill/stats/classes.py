"""Metrics of more than two classes: accuracy, macro F1, log loss. NumPy only, mergeable by addition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LEAST = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class ClassSums:
    """What some rows add.

    Args:
        confusion: rows by label and decision, row by row: class times classes plus decided class.
        log_loss: sum of -ln of the probability given to the label, in nats.
    """

    confusion: tuple[int, ...]
    log_loss: float


@dataclass(frozen=True)
class Classes:
    """Metrics of several classes.

    Args:
        accuracy: the share of right decisions.
        majority_rate: the accuracy of always deciding for the commonest class.
        macro_f1: the mean of F1 over the classes that are a label or a decision of some row.
        log_loss: mean, in nats.
    """

    accuracy: float
    majority_rate: float
    macro_f1: float
    log_loss: float


def class_sums(label: NDArray[np.int64], scores: NDArray[np.float64]) -> ClassSums:
    """What rows add; the class of the highest probability is decided, of equal ones the first.

    Args:
        label: classes, counted from 0.
        scores: shape (rows, classes): probabilities that add up to 1.
    """
    classes = scores.shape[1]
    cells = np.bincount(label * classes + scores.argmax(axis=1), minlength=classes * classes)
    given = np.clip(scores[np.arange(len(label)), label], _LEAST, 1 - _LEAST)
    return ClassSums(tuple(cells.tolist()), -float(np.sum(np.log(given))))


def merge_class_sums(parts: Sequence[ClassSums]) -> ClassSums:
    """What several lots of rows, at least one, add together."""
    cells = np.sum([p.confusion for p in parts], axis=0)
    return ClassSums(tuple(cells.tolist()), sum(p.log_loss for p in parts))


def classes_of(sums: ClassSums) -> Classes | None:
    """The metrics, or None without a row."""
    size = int(len(sums.confusion) ** 0.5)
    table = np.array(sums.confusion, np.float64).reshape(size, size)
    rows, right = table.sum(), np.diag(table)
    if not rows:
        return None
    either = table.sum(axis=0) + table.sum(axis=1)
    found = either > 0
    return Classes(
        float(right.sum() / rows),
        float(table.sum(axis=1).max() / rows),
        float(np.mean(2 * right[found] / either[found])),
        sums.log_loss / float(rows),
    )
