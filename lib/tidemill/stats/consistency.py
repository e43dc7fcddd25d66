"""How large a calibration error chance alone makes, where every score is the probability that it claims. NumPy only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemill.stats.intervals import CONFIDENCE
from tidemill.stats.probabilities import EDGES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def error_by_chance(score: Floats, draws: int, seed: int, confidence: float = CONFIDENCE) -> float:
    """The expected calibration error that perfectly calibrated scores stay below with the given confidence.

    The consistency resampling of Bröcker and Smith (2007): of each bin the positives are drawn from what the scores
    say, here from the normal distribution with the variance of that sum. Few rows make a large error by chance.

    Args:
        score: probabilities, at least one.
        draws: how many times labels are drawn.
        seed: the same seed and scores give the same draws.
        confidence: between 0 and 1.
    """
    place = np.clip(np.searchsorted(EDGES, score, "left") - 1, 0, len(EDGES) - 2)
    spread = np.sqrt(np.bincount(place, score * (1 - score), len(EDGES) - 1))
    drawn = np.random.default_rng(seed).standard_normal((draws, len(spread)))
    return float(np.quantile(np.abs(drawn * spread).sum(axis=1) / len(score), confidence))
