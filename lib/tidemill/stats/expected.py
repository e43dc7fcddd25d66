"""Performance before labels: what calibrated scores themselves let one expect. NumPy only.

Of a classifier: each row counts as positive with its probability (confidence-based performance estimation, after
Guillory et al. 2021 and Garg et al. 2022). It is right while the scores mean what they say on these rows, too: that
holds under a shift of features that the model has learnt, and not where the outcome now depends on them otherwise.
Of a regression, and of several classes: errors are expected to be as large as they were for such scores (direct loss
estimation, binned), whether or not the scores mean what they say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.stats.calibration import fit_platt
from tidemill.stats.counted import Counted
from tidemill.stats.intervals import Interval, roc_auc_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tidemill.stats.curves import ScoreBin

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

MOST_APART = 0.02  # of the AUC that is expected of the rows with labels, from theirs
MOST_UNCALIBRATED = 0.05  # expected calibration error of the rows with labels
MOST_BEYOND = 0.1  # rows whose score no row with a label had
_AS_LARGE = "expected of the scores, if {} are as large as they were for such scores on the gate rows"
_GROUPS = 10
_RANGES = 20  # of scores, from the least to the largest of a row with a label


@dataclass(frozen=True)
class Estimate:
    """An expected value, or why there is none.

    Args:
        value: with its interval; None where it was refused.
        reason: what it rests on, or why it was refused.
    """

    value: Interval | None
    reason: str


def expected_roc_auc(rows: Any, probabilities: Any) -> Interval:
    """The ROC AUC to expect of rows, if each is positive with its probability and independent of the others.

    Args:
        rows: of each bin of scores, lowest score first; some.
        probabilities: of each bin, calibrated, between 0 and 1.

    Returns:
        Expected wins over expected pairs; its interval by the variance of Hanley and McNeil (1982).
    """
    count, p = np.asarray(rows, np.float64), np.asarray(probabilities, np.float64)
    positives, negatives, alone = count * p, count * (1 - p), count * p * (1 - p)
    below = np.cumsum(negatives) - negatives
    wins = float(np.sum(positives * below + (positives * negatives - alone) / 2))
    pairs = float(positives.sum() * negatives.sum() - alone.sum())
    auc = wins / pairs if pairs > 0 else 0.5
    return roc_auc_interval(auc, hanley_mcneil(auc, float(positives.sum()), float(negatives.sum())))


def hanley_mcneil(auc: float, positives: float, negatives: float) -> float:
    """The variance of a ROC AUC by its value and the rows of each class (Hanley and McNeil 1982)."""
    if positives <= 0 or negatives <= 0:
        return 0.0
    one, other = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    spread = (positives - 1) * (one - auc * auc) + (negatives - 1) * (other - auc * auc)
    return max(0.0, (auc * (1 - auc) + spread) / (positives * negatives))


def estimate_roc_auc(known: Sequence[ScoreBin], rows: Any, scores: Any, realised: float) -> Estimate:
    """The ROC AUC to expect of scored rows, refused where the scores are not calibrated, or are not such as were.

    Its interval is of the outcomes that the scored rows may have; that of the curve is not in it.

    Args:
        known: rows with labels that the model was not fitted on, by score, lowest first.
        rows: of each bin of the scored rows, lowest score first.
        scores: the mean score of each bin.
        realised: the ROC AUC of the rows with labels.
    """
    bins = [b for b in known if b.positives + b.negatives > 0]
    positives, negatives = (np.array([getattr(b, side) for b in bins], np.int64) for side in ("positives", "negatives"))
    sizes = positives + negatives
    means = np.array([b.total for b in bins]) / sizes
    curve = fit_platt(Counted(means, positives, negatives))
    calibrated = curve.apply(means)
    apart = abs(expected_roc_auc(sizes, calibrated).estimate - realised)
    if apart > MOST_APART:
        reason = f"refused: of rows with labels it would have been {apart:.3f} off, more than {MOST_APART:g}"
        return Estimate(None, reason)
    error = _calibration_error(sizes, positives, calibrated)
    if error > MOST_UNCALIBRATED:
        return Estimate(None, f"refused: the scores are not calibrated, by {error:.3f} on rows with labels")
    beyond = _share_beyond(means, np.asarray(rows, np.float64), np.asarray(scores, np.float64))
    if beyond > MOST_BEYOND:
        return _refused_beyond(beyond)
    found = expected_roc_auc(rows, curve.apply(np.asarray(scores, np.float64)))
    return Estimate(found, "expected of the scores, if outcomes depend on features as they did on the gate rows")


def estimate_rmse(known_rows: Any, known_squares: Any, rows: Any) -> Estimate:
    """The RMSE to expect of scored rows, if errors are as large as they were for such scores.

    Its interval is of both: what the rows with labels tell of the errors, and the errors that the scored rows may have.

    Args:
        known_rows: rows with labels of each bin of scores.
        known_squares: their summed squared errors.
        rows: scored rows of each bin.
    """
    count, squares, now = (np.asarray(v, np.float64) for v in (known_rows, known_squares, rows))
    beyond = float(now[count == 0].sum() / now.sum())
    if beyond > MOST_BEYOND:
        return _refused_beyond(beyond)
    some = count > 0
    share = now[some] / now[some].sum()
    square = float(np.sum(share * squares[some] / count[some]))
    value = rmse_interval(math.sqrt(square), float(1 / (1 / count.sum() + 1 / now.sum())))
    return Estimate(value, _AS_LARGE.format("errors"))


def estimate_mean(known_rows: Any, known_totals: Any, known_squares: Any, rows: Any) -> Estimate:
    """The mean loss to expect of scored rows, if losses are as large as they were for such scores.

    Its interval is of both: what the rows with labels tell of the losses, and the losses that the scored rows may have.

    Args:
        known_rows: rows with labels of each bin of scores.
        known_totals: their summed losses, which are at least 0.
        known_squares: their summed squared losses.
        rows: scored rows of each bin.
    """
    count, totals, squares, now = (np.asarray(v, np.float64) for v in (known_rows, known_totals, known_squares, rows))
    beyond = float(now[count == 0].sum() / now.sum())
    if beyond > MOST_BEYOND:
        return _refused_beyond(beyond)
    some = count > 0
    share, means = now[some] / now[some].sum(), totals[some] / count[some]
    spread = np.maximum(squares[some] / count[some] - means * means, 0.0)
    mean = float(share @ means)
    variance = float(np.sum(share * share * spread / count[some]) + share @ spread / now.sum())
    half = 1.959964 * math.sqrt(variance)
    found = Interval(mean, max(0.0, mean - half), mean + half)
    return Estimate(found, _AS_LARGE.format("losses"))


def rmse_interval(rmse: float, rows: float) -> Interval:
    """The 95 % interval of an RMSE of normal errors: a mean of n squares deviates by sqrt(2 / n)."""
    half = 1.959964 * rmse / math.sqrt(2 * rows)
    return Interval(rmse, max(0.0, rmse - half), rmse + half)


def _share_beyond(known: Floats, rows: Floats, scores: Floats) -> float:
    """The share of rows whose score lies in a range of scores that no row with a label is in, or outside all ranges."""
    low, width = float(known.min()), float(np.ptp(known)) or 1.0
    held = np.unique(np.floor((known - low) / width * _RANGES))
    there = np.isin(np.floor((scores - low) / width * _RANGES), held)
    return float(rows[~there].sum() / rows.sum())


def _refused_beyond(share: float) -> Estimate:
    return Estimate(None, f"refused: {share:.0%} of the scores are such as no row with a label had")


def _calibration_error(sizes: Ints, positives: Ints, calibrated: Floats) -> float:
    """The mean distance of observed shares from probabilities, over groups of about equally many rows."""
    group = np.minimum(np.cumsum(sizes) * _GROUPS // (sizes.sum() + 1), _GROUPS - 1).astype(np.int64)
    apart = np.bincount(group, positives - sizes * calibrated, _GROUPS)
    return float(np.sum(np.abs(apart)) / sizes.sum())
