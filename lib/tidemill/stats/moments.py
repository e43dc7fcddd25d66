"""Count, mean, spread and range of numbers, in parts that merge. NumPy only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """Of finite numbers.

    Args:
        rows: of them.
        mean: 0 without rows.
        squares: the sum of squared differences from the mean; infinite, or not a number, where it is too large.
        low, high: the least and the largest; infinite, the wrong way round, without rows.
    """

    rows: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    @property
    def deviation(self) -> float:
        """The standard deviation, of the rows as they are; 0 without rows."""
        return math.sqrt(self.squares / self.rows) if self.rows else 0.0


def moments_of(values: NDArray[np.float64], times: NDArray[np.int64] | None = None) -> Moments:
    """The moments of finite numbers, each of which may stand for several rows.

    Args:
        values: finite.
        times: how many rows each stands for, at least 1; None for one each.
    """
    rows = len(values) if times is None else int(times.sum())
    if not rows:
        return Moments()
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.mean(values)) if times is None else float(np.sum(values * times)) / rows
        apart = values - mean
        apart *= apart
        squares = float(np.sum(apart if times is None else apart * times))
    return Moments(rows, mean, squares, float(values.min()), float(values.max()))


def merge_moments(parts: Sequence[Moments]) -> Moments:
    """The moments of all rows together (Chan, Golub and LeVeque 1983), stable where means are large beside spreads."""
    some = [p for p in parts if p.rows]
    if not some:
        return Moments()
    rows = sum(p.rows for p in some)
    # Differences from one part's mean keep the digits that sums of large values would lose.
    mean = some[0].mean + sum((p.mean - some[0].mean) * p.rows for p in some) / rows
    squares = sum(p.squares + p.rows * (p.mean - mean) * (p.mean - mean) for p in some)
    return Moments(rows, mean, squares, min(p.low for p in some), max(p.high for p in some))
