"""Distances between two histograms on the same bins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

# Half a row in a bin that is empty on one side, as in a Jeffreys prior: an empty bin is no infinite distance.
_HALF_ROW = 0.5


def population_stability_index(reference: Sequence[float], current: Sequence[float]) -> float:
    """The population stability index: sum of (q - p) ln(q / p) over bins; symmetric, 0 for equal shares.

    Args:
        reference: counts per bin.
        current: counts on the same bins.

    Returns:
        The index, without unit (Siddiqi 2006); also Jeffreys' divergence of the two distributions.

    Raises:
        ValueError: where the bins differ in number, or a side has no row.
    """
    p, q = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if p.shape != q.shape or p.sum() <= 0 or q.sum() <= 0:
        raise ValueError("both histograms need the same bins and at least one row")
    p = (p + _HALF_ROW) / (p + _HALF_ROW).sum()
    q = (q + _HALF_ROW) / (q + _HALF_ROW).sum()
    return float(np.sum((q - p) * np.log(q / p)))
