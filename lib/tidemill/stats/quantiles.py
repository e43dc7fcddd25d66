"""Quantiles of many numbers from few, with a bound on the error that the summary itself carries. NumPy only.

A summary holds every so-many-th value of the sorted rows. Summaries merge by weighing their values, and a merge that
grows too large is collapsed to evenly spaced values again (Manku, Rajagopalan and Lindsay 1998; mergeable summaries:
Agarwal et al. 2012). A collapse adds half a step to the error, however many parts it takes; so merge many at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SIZE = 512  # values of a summary; a collapse adds 1 / 1024 of the rows to the error
RANK_ERROR = 0.01  # of a summary that was merged in few levels, as a share of its rows


@dataclass(frozen=True, eq=False)
class Quantiles:
    """A summary.

    Args:
        rows: that it stands for.
        values: ascending; each stands for `rows / len(values)` rows. Infinities are values like others.
        error: the number of rows with values up to x differs from what the summary says by at most this.
    """

    rows: int
    values: Floats
    error: float

    def share_up_to(self, place: float) -> float:
        """The share of rows with values up to a place; off by at most `error / rows`."""
        return float(np.searchsorted(self.values, place, side="right")) / len(self.values)

    def at(self, shares: Any) -> Floats:
        """The values at shares of the rows, from 0 to 1; there must be a row."""
        places = np.ceil(np.asarray(shares, np.float64) * len(self.values)).astype(np.int64) - 1
        found: Floats = self.values[np.clip(places, 0, len(self.values) - 1)]
        return found


def quantiles_of(ordered: Floats, size: int = SIZE) -> Quantiles:
    """The summary of sorted numbers; exact where there are no more than it may hold."""
    rows = len(ordered)
    if rows <= size:
        return Quantiles(rows, ordered, 0.0)
    return Quantiles(rows, ordered[np.ceil(_middles(rows, size)).astype(np.int64) - 1], rows / (2 * size))


def merge_quantiles(parts: Sequence[Quantiles], size: int = SIZE) -> Quantiles:
    """The summary of all rows together; its error is that of the parts and half a step."""
    some = [p for p in parts if p.rows]
    if len(some) <= 1:
        return some[0] if some else Quantiles(0, np.empty(0), 0.0)
    rows, error = sum(p.rows for p in some), math.fsum(p.error for p in some)
    values = np.concatenate([p.values for p in some])
    weights = np.concatenate([np.full(len(p.values), p.rows / len(p.values)) for p in some])
    order = np.argsort(values, kind="stable")
    values = values[order]
    if len(values) <= size and all(p.rows == len(p.values) for p in some):
        return Quantiles(rows, values, error)
    ends = np.cumsum(weights[order])
    # The last end is the rows up to rounding: no middle may look for more than there is.
    found = np.minimum(np.searchsorted(ends, _middles(rows, size)), len(values) - 1)
    return Quantiles(rows, values[found], error + rows / (2 * size))


def mean_distance(one: Quantiles, other: Quantiles) -> float:
    """The first Wasserstein distance of two summaries, in the unit of their values; each needs a row."""
    ends = np.union1d(*(np.arange(len(side.values) + 1) / len(side.values) for side in (one, other)))
    middles = (ends[1:] + ends[:-1]) / 2  # between two ends neither side has a step
    return float(np.sum(np.diff(ends) * np.abs(one.at(middles) - other.at(middles))))


def _middles(rows: int, size: int) -> Floats:
    """The middles of equally many rows."""
    middles: Floats = (np.arange(size, dtype=np.float64) + 0.5) * (rows / size)
    return middles
