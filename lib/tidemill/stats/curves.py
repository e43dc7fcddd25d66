"""Curves of a binary score from its histogram by label: bounded input, whatever the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class ScoreBin:
    """The rows whose score falls in one bin.

    Args:
        total: sum of their scores.
        positives, negatives: their number by label.
    """

    total: float
    positives: float
    negatives: float


def roc_points(bins: Sequence[ScoreBin]) -> tuple[tuple[float, float], ...]:
    """The ROC curve at the bins' edges: (false positive rate, true positive rate), from (0, 0) to (1, 1).

    Args:
        bins: ordered by score, lowest first.
    """
    positives, negatives = sum(b.positives for b in bins), sum(b.negatives for b in bins)
    if not positives or not negatives:
        return ()
    points = [(0.0, 0.0)]
    true, false = 0.0, 0.0
    for item in reversed(bins):
        true += item.positives
        false += item.negatives
        points.append((false / negatives, true / positives))
    return tuple(points)


def calibration_points(bins: Sequence[ScoreBin], groups: int) -> tuple[tuple[float, float, int], ...]:
    """Mean score, observed share of positives and rows of about equally large groups of neighbouring bins."""
    rows = sum(b.positives + b.negatives for b in bins)
    found: list[tuple[float, float, int]] = []
    total = positives = count = 0.0
    for item in bins:
        total, positives, count = (
            total + item.total,
            positives + item.positives,
            count + item.positives + item.negatives,
        )
        if count and count >= rows / groups:
            found.append((total / count, positives / count, int(count)))
            total = positives = count = 0.0
    if count:
        found.append((total / count, positives / count, int(count)))
    return tuple(found)
