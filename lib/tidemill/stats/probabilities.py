"""How good scores are as probabilities: log loss, Brier score, calibration. NumPy only, exact, mergeable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.stats.counted import Counted, Totals

BINS = 10
EDGES = np.linspace(0.0, 1.0, BINS + 1)
LEAST = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class ProbabilitySums:
    """What some rows add.

    Args:
        outside: rows whose score is no probability.
        log_loss: sum of -ln of the probability given to the label, in nats, kept within 2^-52 of 0 and 1.
        brier: sum of squared differences of score and label.
        rows, positives, scores: of each of ten equal bins of the score: rows, positives among them, sum of scores.
    """

    outside: int = 0
    log_loss: float = 0.0
    brier: float = 0.0
    rows: tuple[int, ...] = (0,) * BINS
    positives: tuple[int, ...] = (0,) * BINS
    scores: tuple[float, ...] = (0.0,) * BINS


@dataclass(frozen=True)
class CalibrationBin:
    """The rows of one bin of the score, `low` (beyond the first bin: exclusive) to `high`.

    Args:
        low, high: its edges.
        rows: of it.
        mean_score, positive_rate: of these rows, or None where there is none.
    """

    low: float
    high: float
    rows: int
    mean_score: float | None
    positive_rate: float | None


@dataclass(frozen=True)
class Probabilities:
    """Metrics of probabilities.

    Args:
        log_loss: mean, in nats.
        brier: mean squared difference of score and label (Brier 1950).
        expected_calibration_error: mean over rows of the distance between mean score and share of positives in their
            bin (Naeini, Cooper and Hauskrecht 2015).
        calibration: ten bins of equal width.
    """

    log_loss: float
    brier: float
    expected_calibration_error: float
    calibration: tuple[CalibrationBin, ...]


def probability_sums(counted: Counted) -> ProbabilitySums:
    """What counted rows add; nothing but their number where some score is no probability."""
    scores, positives, negatives = counted.scores, counted.positives, counted.negatives
    if not len(scores):
        return ProbabilitySums()
    if scores[0] < 0 or scores[-1] > 1:
        outside = (scores < 0) | (scores > 1)
        return ProbabilitySums(int((positives + negatives)[outside].sum()))
    kept = np.clip(scores, LEAST, 1 - LEAST)
    with_score = positives + negatives
    cuts = [0, *np.searchsorted(scores, EDGES[1:-1], "right").tolist(), len(scores)]
    spans = [slice(a, b) for a, b in pairwise(cuts)]
    weighted = scores * with_score
    return ProbabilitySums(
        0,
        -float(np.sum(positives * np.log(kept) + negatives * np.log1p(-kept))),
        float(np.sum(positives * (1 - scores) ** 2 + negatives * scores**2)),
        tuple(int(with_score[s].sum()) for s in spans),
        tuple(int(positives[s].sum()) for s in spans),
        tuple(float(weighted[s].sum()) for s in spans),
    )


def merge_probability_sums(parts: Sequence[ProbabilitySums]) -> ProbabilitySums:
    """What several lots of rows add together."""
    return ProbabilitySums(
        sum(p.outside for p in parts),
        math.fsum(p.log_loss for p in parts),
        math.fsum(p.brier for p in parts),
        tuple(sum(p.rows[b] for p in parts) for b in range(BINS)),
        tuple(sum(p.positives[b] for p in parts) for b in range(BINS)),
        tuple(math.fsum(p.scores[b] for p in parts) for b in range(BINS)),
    )


def probabilities(sums: ProbabilitySums, total: Totals) -> Probabilities | None:
    """The metrics, or None where a score is no probability, or there is no row."""
    if sums.outside or not total.rows:
        return None
    gaps = [abs(score - positive) for score, positive in zip(sums.scores, sums.positives, strict=True)]
    return Probabilities(
        sums.log_loss / total.rows,
        sums.brier / total.rows,
        math.fsum(gaps) / total.rows,
        tuple(_bin(sums, b) for b in range(BINS)),
    )


def _bin(sums: ProbabilitySums, b: int) -> CalibrationBin:
    rows = sums.rows[b]
    low, high = float(EDGES[b]), float(EDGES[b + 1])
    if not rows:
        return CalibrationBin(low, high, 0, None, None)
    return CalibrationBin(low, high, rows, sums.scores[b] / rows, sums.positives[b] / rows)
