"""The spread of a column over few bins, for a small picture. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EDGES = (1.0, 99.0)  # percentiles: what lies beyond is counted in the outer bins, so that one giant hides nothing


@dataclass(frozen=True)
class Spread:
    """How values are spread.

    Args:
        rows: all of them.
        nulls: those without a value; not a number counts as none.
        low, high: the least and largest finite number, or None.
        labels, counts: of the bins; empty where there is no value.
    """

    rows: int
    nulls: int
    low: float | None
    high: float | None
    labels: tuple[str, ...]
    counts: tuple[int, ...]


def spread_of_numbers(values: NDArray[np.float64], bins: int = 12) -> Spread:
    """Equal bins between the 1st and the 99th percentile; not a number and nulls are NaN."""
    finite = values[np.isfinite(values)]
    nulls = int(np.isnan(values).sum())
    if not len(finite):
        return Spread(len(values), nulls, None, None, (), ())
    low, high = (float(v) for v in np.percentile(finite, _EDGES))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    if high <= low:
        return Spread(len(values), nulls, low, low, (f"{low:g}",), (len(finite),))
    edges = np.linspace(low, high, bins + 1)
    counts = np.histogram(np.clip(finite, low, high), edges)[0]
    labels = tuple(f"{a:.4g} to {b:.4g}" for a, b in pairwise(edges))
    return Spread(
        len(values), nulls, float(finite.min()), float(finite.max()), labels, tuple(int(count) for count in counts)
    )


def spread_of_texts(values: NDArray[Any], known: NDArray[np.bool_], most: int = 8) -> Spread:
    """The commonest texts, and one bin for all others."""
    nulls = int((~known).sum())
    found, counts = np.unique(values[known].astype(str), return_counts=True)
    order = sorted(range(len(found)), key=lambda i: (-counts[i], found[i]))
    labels = [str(found[i]) for i in order[:most]]
    held = [int(counts[i]) for i in order[:most]]
    if len(found) > most:
        labels, held = [*labels, "other"], [*held, int(counts.sum()) - sum(held)]
    return Spread(len(known), nulls, None, None, tuple(labels), tuple(held))
