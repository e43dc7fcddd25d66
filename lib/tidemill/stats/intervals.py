"""Confidence intervals that have a formula: of a share, a mean, a ROC AUC, the difference of two. NumPy-free."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its confidence interval, in the unit of the estimate."""

    estimate: float
    low: float
    high: float


def wilson(successes: float, rows: int, confidence: float = CONFIDENCE) -> Interval:
    """The interval of a share (Wilson 1927): sensible for few rows and for shares near 0 and 1, too.

    Args:
        successes: among the rows.
        rows: at least 1, independent.
        confidence: of the interval, between 0 and 1.
    """
    z = _quantile(confidence)
    share, weight = successes / rows, z * z / rows
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / rows + weight / (4 * rows))
    # At shares of 0 and 1 an end is the share itself; rounding must not put it beside.
    return Interval(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def roc_auc_interval(auc: float, variance: float, confidence: float = CONFIDENCE) -> Interval:
    """The interval of a ROC AUC from its variance, symmetric in log-odds, which keeps it within 0 and 1 (Pepe 2003).

    Likewise of any metric from 0 to 1. One of exactly 0 or 1 has a variance of 0, and an interval of one point: its
    rows cannot tell how far off it is.
    """
    if not 0 < auc < 1:
        return Interval(auc, auc, auc)
    odds, half = math.log(auc / (1 - auc)), _quantile(confidence) * math.sqrt(variance) / (auc * (1 - auc))
    return Interval(auc, *(1 / (1 + math.exp(-(odds + side))) for side in (-half, half)))


def positive_interval(value: float, variance: float, confidence: float = CONFIDENCE) -> Interval:
    """The interval of what is above 0, a loss say, from its variance, symmetric in its logarithm; of 0 a point."""
    if value <= 0:
        return Interval(value, value, value)
    half = _quantile(confidence) * math.sqrt(variance) / value
    return Interval(value, value * math.exp(-half), value * math.exp(half))


def mean_interval(total: float, squares: float, rows: int, confidence: float = CONFIDENCE) -> Interval:
    """The interval of a mean of independent values that are at least 0, by the normal distribution.

    Args:
        total: the sum of the values.
        squares: the sum of their squares.
        rows: their number, at least 1; of one alone the interval is a point.
        confidence: of the interval, between 0 and 1.
    """
    mean = total / rows
    variance = max(0.0, squares / rows - mean * mean) * rows / (rows - 1) if rows > 1 else 0.0
    half = _quantile(confidence) * math.sqrt(variance / rows)
    return Interval(mean, max(0.0, mean - half), mean + half)


def difference(one: float, other: float, variance: float, confidence: float = CONFIDENCE) -> Interval:
    """The interval of `one - other` from the variance of that difference.

    Of two independent estimates the variance is the sum of theirs; of two scores of the same rows see `delong`.
    """
    half = _quantile(confidence) * math.sqrt(variance)
    return Interval(one - other, one - other - half, one - other + half)


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)
