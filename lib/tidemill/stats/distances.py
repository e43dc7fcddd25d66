"""Distances between two histograms on the same bins. NumPy only.

Counts are made shares; where a distance would be infinite for a bin that is empty on one side, that is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.stats.tails import chi_square_tail

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

# Half a row in a bin that is empty on one side, as in a Jeffreys prior: an empty bin is no infinite distance.
_HALF_ROW = 0.5


@dataclass(frozen=True)
class ChiSquare:
    """A test of homogeneity.

    Args:
        statistic: Pearson's, without unit.
        freedom: bins that any side has, less one.
        tail: the probability of one at least so large if both sides are drawn from one distribution.
    """

    statistic: float
    freedom: int
    tail: float


def population_stability_index(reference: ArrayLike, current: ArrayLike) -> float:
    """The population stability index: sum of (q - p) ln(q / p) over bins; symmetric, 0 for equal shares.

    Args:
        reference: counts per bin; half a row is added to each bin of both sides.
        current: counts on the same bins.

    Returns:
        The index, without unit (Siddiqi 2006); also Jeffreys' divergence of the two distributions.

    Raises:
        ValueError: where the bins differ in number, or a side has no row.
    """
    p, q = _counts(reference, current)
    p, q = _shares(p + _HALF_ROW), _shares(q + _HALF_ROW)
    return float(np.sum((q - p) * np.log(q / p)))


def jensen_shannon(reference: ArrayLike, current: ArrayLike) -> float:
    """The Jensen-Shannon distance, to base 2: 0 for equal shares, 1 where no bin has rows of both (Lin 1991)."""
    p, q = map(_shares, _counts(reference, current))
    middle = (p + q) / 2
    divergence = (_divergence(p, middle) + _divergence(q, middle)) / 2
    return math.sqrt(max(0.0, divergence))


def hellinger(reference: ArrayLike, current: ArrayLike) -> float:
    """The Hellinger distance: 0 for equal shares, 1 where no bin has rows of both (Hellinger 1909)."""
    p, q = map(_shares, _counts(reference, current))
    return float(np.sqrt(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2))


def kolmogorov_smirnov(reference: ArrayLike, current: ArrayLike) -> float:
    """The largest difference of the two distribution functions, at the ends of ordered bins; from 0 to 1."""
    return float(np.max(np.abs(_gaps(*_counts(reference, current)))))


def chi_square(reference: ArrayLike, current: ArrayLike) -> ChiSquare:
    """Pearson's test that both sides are drawn alike (Pearson 1900); bins empty on both do not count."""
    p, q = _counts(reference, current)
    kept = p + q > 0
    table = np.vstack([p[kept], q[kept]])
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic, freedom = float(np.sum((table - expected) ** 2 / expected)), int(kept.sum()) - 1
    return ChiSquare(statistic, freedom, chi_square_tail(statistic, freedom) if freedom else 1.0)


def l_infinity(reference: ArrayLike, current: ArrayLike) -> float:
    """The largest difference of a bin's shares; from 0 to 1."""
    p, q = map(_shares, _counts(reference, current))
    return float(np.max(np.abs(p - q)))


def _counts(reference: Any, current: Any) -> tuple[Floats, Floats]:
    p, q = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if p.shape != q.shape or p.sum() <= 0 or q.sum() <= 0:
        raise ValueError("both histograms need the same bins and at least one row")
    return p, q


def _shares(counts: Floats) -> Floats:
    shares: Floats = counts / counts.sum()
    return shares


def _gaps(reference: Floats, current: Floats) -> Floats:
    """The differences of the two distribution functions; counts are added up before they are divided."""
    gaps: Floats = np.cumsum(reference) / reference.sum() - np.cumsum(current) / current.sum()
    return gaps


def _divergence(p: Floats, q: Floats) -> float:
    some = p > 0
    return float(np.sum(p[some] * np.log2(p[some] / q[some])))
