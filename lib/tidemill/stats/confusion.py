"""Decisions at a threshold against what came true: accuracy, precision, recall, F. NumPy only, exact, mergeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.stats.counted import Counted


@dataclass(frozen=True)
class Confusion:
    """Rows by decision and label. A share whose base has no row is 0, as in scikit-learn.

    Args:
        true_positives, false_positives: rows that were decided positive, by label.
        false_negatives, true_negatives: rows that were decided negative, by label.
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    true_negatives: int = 0

    @property
    def rows(self) -> int:
        """All rows."""
        return self.true_positives + self.false_positives + self.false_negatives + self.true_negatives

    @property
    def accuracy(self) -> float:
        """The share of right decisions."""
        return _share(self.true_positives + self.true_negatives, self.rows)

    @property
    def majority_rate(self) -> float:
        """The accuracy of always deciding for the commoner class: what an accuracy has to be seen beside."""
        positives = self.true_positives + self.false_negatives
        return _share(max(positives, self.rows - positives), self.rows)

    @property
    def precision(self) -> float:
        """The share of positives among those decided positive."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """The share of positives that were decided positive."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    def f_beta(self, beta: float = 1.0) -> float:
        """The weighted harmonic mean of precision and recall (van Rijsbergen 1979).

        Args:
            beta: how many times more recall weighs; 1 gives F1.
        """
        weight = beta * beta
        right = (1 + weight) * self.true_positives
        return _share(right, right + weight * self.false_negatives + self.false_positives)


def confusion_at(counted: Counted, threshold: float) -> Confusion:
    """Decides positive where the score is at least the threshold."""
    cut = int(np.searchsorted(counted.scores, threshold, "left"))
    true, false = int(counted.positives[cut:].sum()), int(counted.negatives[cut:].sum())
    total = counted.totals
    return Confusion(true, false, total.positives - true, total.negatives - false)


def merge_confusions(parts: Sequence[Confusion]) -> Confusion:
    """The decisions about several lots of rows, at one threshold, together."""
    return Confusion(
        sum(p.true_positives for p in parts),
        sum(p.false_positives for p in parts),
        sum(p.false_negatives for p in parts),
        sum(p.true_negatives for p in parts),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
