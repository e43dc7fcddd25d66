"""From a score to a probability that means what it says: Platt's sigmoid, and isotonic regression. NumPy only.

Both are fitted on validation scores, which no model was fitted on, and never decrease with the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidemill.stats.counted import recounted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tidemill.stats.counted import Counted

    Floats = NDArray[np.float64]

LEAST = 1e-9  # nearer to 0 and 1 the log-odds of a score are what its rounding makes of them
_STEPS = 100
_ENOUGH = 1e-10  # of the gradient, per row


@dataclass(frozen=True)
class Platt:
    """`1 / (1 + exp(-(slope * log-odds of the score + offset)))`; slope 1 and offset 0 change nothing."""

    slope: float
    offset: float

    def apply(self, score: Floats) -> Floats:
        """Calibrated probabilities; NaN stays NaN."""
        with np.errstate(invalid="ignore"):
            return _sigmoid(self.slope * _log_odds(score) + self.offset)

    @property
    def steepest(self) -> float:
        """By how much an error of a score is multiplied, at most: the largest slope at 20,000 scores."""
        ends = _log_odds(np.array([0.0, 1.0]))
        odds = np.linspace(ends[0], ends[1], 10_000)
        if self.slope > 1:  # it rises within a few of these: as many again, even in what they become
            odds = np.concatenate([odds, np.clip((odds - self.offset) / self.slope, ends[0], ends[1])])
        before, after = _sigmoid(odds), _sigmoid(self.slope * odds + self.offset)
        return float(np.max(self.slope * after * (1 - after) / (before * (1 - before))))


@dataclass(frozen=True)
class Isotonic:
    """A never-decreasing function: linear between knots, constant beyond them.

    Args:
        scores: of the knots, strictly ascending.
        values: at the knots.
    """

    scores: tuple[float, ...]
    values: tuple[float, ...]

    def apply(self, score: Floats) -> Floats:
        """Calibrated probabilities; NaN stays NaN."""
        within = np.interp(score, self.scores, self.values)
        kept = np.clip(within, self.values[0], self.values[-1])  # rounding may end beyond a knot
        return np.where(np.isnan(score), score, kept)

    @property
    def steepest(self) -> float:
        """By how much an error of a score is multiplied, at most."""
        return float(np.max(np.diff(self.values) / np.diff(self.scores), initial=0.0))


def grouped(counted: Counted, most: int) -> Counted:
    """Neighbouring scores together, at the mean score of their rows, so that about `most` are left.

    Each group has about the same share of the positives and negatives, both classes counting the same: where one is
    rare, its rows are told apart as finely as those of the other. A score that many rows have is not taken apart.
    """
    rows, total = (counted.positives + counted.negatives).astype(np.float64), counted.totals
    mass = counted.positives / max(1, total.positives) + counted.negatives / max(1, total.negatives)
    starts = np.flatnonzero(np.diff(np.floor((np.cumsum(mass) - mass) / mass.sum() * most), prepend=-1.0))
    positives, negatives = (np.add.reduceat(c, starts) for c in (counted.positives, counted.negatives))
    means = np.add.reduceat(counted.scores * rows, starts) / np.add.reduceat(rows, starts)
    return recounted(means, positives, negatives)


def fit_platt(counted: Counted) -> Platt:
    """Fits the sigmoid by Newton's method with halved steps (Platt 1999; Lin, Lin and Weng 2007).

    The targets are Platt's, a little inside 0 and 1, so that scores that separate the classes do not make it infinitely
    steep. A slope below 0, which would turn the order around, becomes 0: the scores then tell nothing.

    Args:
        counted: validation rows whose scores are probabilities.

    Raises:
        ValueError: where there is no row, or a score is no probability.
    """
    x, weight, target = _log_odds(_checked(counted)), *_targets(counted)
    slope, offset = _newton(x, weight, target)
    if slope >= 0:
        return Platt(slope, offset)
    share = float(np.sum(weight * target) / weight.sum())
    return Platt(0.0, float(np.log(share / (1 - share))))


def fit_isotonic(counted: Counted) -> Isotonic:
    """The never-decreasing function of least squared error, by pooling adjacent violators (Ayer et al. 1955).

    Args:
        counted: validation rows whose scores are probabilities.

    Raises:
        ValueError: where there is no row, or a score is no probability.
    """
    scores = _checked(counted)
    first, last = np.arange(len(scores)), np.arange(len(scores))
    sums, rows = counted.positives.astype(np.float64), (counted.positives + counted.negatives).astype(np.float64)
    while len(rows) > 1:
        # Neighbours that do not rise end in one block whatever else is pooled, so each round pools whole runs of them.
        rises = sums[1:] * rows[:-1] > sums[:-1] * rows[1:]
        if rises.all():
            break
        starts = np.concatenate([[0], np.flatnonzero(rises) + 1])
        sums, rows = np.add.reduceat(sums, starts), np.add.reduceat(rows, starts)
        first, last = first[starts], last[np.append(starts[1:], len(last)) - 1]
    values = sums / rows
    ends = np.ravel(np.column_stack([first, last]))
    kept = np.concatenate([[True], np.diff(ends) > 0])
    return Isotonic(tuple(scores[ends[kept]].tolist()), tuple(np.repeat(values, 2)[kept].tolist()))


def _checked(counted: Counted) -> Floats:
    scores = counted.scores
    if not len(scores) or scores[0] < 0 or scores[-1] > 1:
        raise ValueError("a calibration needs rows whose scores are probabilities")
    return scores


def _targets(counted: Counted) -> tuple[Floats, Floats]:
    """Weight and mean target of each distinct score."""
    total = counted.totals
    high, low = (total.positives + 1) / (total.positives + 2), 1 / (total.negatives + 2)
    weight = (counted.positives + counted.negatives).astype(np.float64)
    return weight, (counted.positives * high + counted.negatives * low) / weight


def _newton(x: Floats, weight: Floats, target: Floats) -> tuple[float, float]:
    share = np.sum(weight * target) / weight.sum()
    at = np.array([0.0, np.log(share / (1 - share))])
    design = np.column_stack([x, np.ones_like(x)])
    loss = _loss(design @ at, weight, target)
    for _ in range(_STEPS):
        p = _sigmoid(design @ at)
        gradient = design.T @ (weight * (p - target))
        if np.abs(gradient).max() <= _ENOUGH * weight.sum():
            break
        curvature = design.T @ (design * (weight * p * (1 - p))[:, None])
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]  # one distinct score has no slope of its own
        while (ahead := _loss(design @ (at - step), weight, target)) > loss and np.abs(step).max() > _ENOUGH:
            step = step / 2
        at, loss = at - step, ahead
    return float(at[0]), float(at[1])


def _loss(z: Floats, weight: Floats, target: Floats) -> float:
    return float(np.sum(weight * (np.logaddexp(0.0, z) - target * z)))


def _log_odds(score: Floats) -> Floats:
    kept = np.clip(score, LEAST, 1 - LEAST)
    return np.log(kept) - np.log1p(-kept)


def _sigmoid(z: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -z))
