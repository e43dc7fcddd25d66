"""How far predicted values are from true ones: RMSE, MAE, MAPE, R2. NumPy only, mergeable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class ResidualSums:
    """What some rows add.

    Args:
        rows: their number.
        squares, absolutes: sums of squared and of absolute errors.
        relatives: sum of absolute errors over absolute labels, which count as at least 2^-52.
        mean, spread: of the labels: their mean, and the sum of squared distances from it.
    """

    rows: int = 0
    squares: float = 0.0
    absolutes: float = 0.0
    relatives: float = 0.0
    mean: float = 0.0
    spread: float = 0.0


@dataclass(frozen=True)
class Regression:
    """Metrics of predicted values.

    Args:
        rows: their number.
        rmse, mae: root of the mean squared error, and mean absolute error, in the label's unit.
        mape: mean of absolute errors over absolute labels, as a share.
        r2: the share of the labels' variance that is explained; where that is zero 1 for a perfect and 0 for any other
            prediction, as in scikit-learn; None for fewer than two rows.
    """

    rows: int
    rmse: float
    mae: float
    mape: float
    r2: float | None


def residual_sums(label: Floats, score: Floats) -> ResidualSums:
    """What rows add; all values finite."""
    if not len(label):
        return ResidualSums()
    error = score - label
    size = np.abs(error)
    mean = float(label.mean())
    return ResidualSums(
        len(label),
        float(np.sum(error * error)),
        float(np.sum(size)),
        float(np.sum(size / np.maximum(np.abs(label), LEAST))),
        mean,
        float(np.sum((label - mean) ** 2)),
    )


def merge_residual_sums(parts: Sequence[ResidualSums]) -> ResidualSums:
    """What several lots of rows add together (Chan, Golub and LeVeque 1983)."""
    rows = sum(p.rows for p in parts)
    if not rows:
        return ResidualSums()
    mean = math.fsum(p.rows * p.mean for p in parts) / rows
    return ResidualSums(
        rows,
        math.fsum(p.squares for p in parts),
        math.fsum(p.absolutes for p in parts),
        math.fsum(p.relatives for p in parts),
        mean,
        math.fsum(p.spread + p.rows * (p.mean - mean) ** 2 for p in parts),
    )


def regression(sums: ResidualSums) -> Regression | None:
    """The metrics, or None without a row."""
    if not sums.rows:
        return None
    if sums.rows < 2:
        r2 = None
    elif sums.spread:
        r2 = 1 - sums.squares / sums.spread
    else:
        r2 = 0.0 if sums.squares else 1.0
    return Regression(
        sums.rows,
        math.sqrt(sums.squares / sums.rows),
        sums.absolutes / sums.rows,
        sums.relatives / sums.rows,
        r2,
    )
