"""Bins of a column that stay the same, so that its histograms of any days can be compared and added up."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf, nextafter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tidemill.stats.sketch import Sketch

NUMBER, TEXT = "number", "text"
OTHER = "other"  # what the bin of a text is called that holds all values without a bin of their own
_VALUES = 20
_MORE_SHARED = 1.5
_LEAST_OTHER = 0.02  # of rows: other values below that share are no reason for new bins


@dataclass(frozen=True)
class Bins:
    """The bins of one column.

    Args:
        column: its name.
        kind: `number` or `text`.
        edges: inner edges of a number's bins, ascending; bin i holds `edges[i-1] <= x < edges[i]`.
        values: a text's own bins; one more holds all others.
    """

    column: str
    kind: str
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many bins there are, nulls not counted."""
        return len(self.edges if self.kind == NUMBER else self.values) + 1

    @property
    def labels(self) -> tuple[str, ...]:
        """What each bin holds, for people."""
        if self.kind == TEXT:
            return (*self.values, OTHER)
        if not self.edges:
            return ("all",)
        own = {nextafter(a, inf): a for a, b in pairwise(self.edges) if b == nextafter(a, inf)}
        inner = [f"{a:g}" if b in own else f"{own.get(a, a):g} to {b:g}" for a, b in pairwise(self.edges)]
        last = self.edges[-1]
        return (f"< {self.edges[0]:g}", *inner, f"> {own[last]:g}" if last in own else f">= {last:g}")


def choose_bins(column: str, kind: str, found: Sketch, number: int, former: Bins | None = None) -> Bins:
    """Bins by reference rows: of a number about equally many rows each, of a text its commonest values.

    Former bins stay as long as they tell the rows apart about as well: that two rows share one is at most half as
    likely again as with new ones.

    A number that is several quantiles at once, or the least and a quantile, has a bin of its own: a flag, or a column
    that is zero but for a few rows, has bins on either side.

    Args:
        column: its name.
        kind: `number` or `text`.
        found: the sketch of the reference rows.
        number: of a number's bins of equally many rows; fewer where many rows have the same value.
        former: bins of older reference rows, or None.
    """
    new = _new_bins(column, kind, found, number)
    if former is None or former.kind != kind:
        return new
    return former if _shared(former, found) <= _MORE_SHARED * _shared(new, found) else new


def _shared(bins: Bins, found: Sketch) -> float:
    """How likely it is that two rows share a bin; of a text, that a row is among the other values."""
    if bins.kind == TEXT:
        valued = max(1, found.rows - found.nulls)
        return _LEAST_OTHER + max(0.0, 1 - sum(found.frequent.counts.get(v, 0) for v in bins.values) / valued)
    if not found.quantiles.rows:
        return 1.0
    ends = np.searchsorted(found.quantiles.values, np.asarray(bins.edges, np.float64))
    shares = np.diff(np.concatenate([[0], ends, [len(found.quantiles.values)]])) / len(found.quantiles.values)
    return float(np.sum(shares**2))


def _new_bins(column: str, kind: str, found: Sketch, number: int) -> Bins:
    if kind == TEXT:
        common = sorted(found.frequent.counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
        return Bins(column, TEXT, values=tuple(str(value) for value, _ in common[:_VALUES]))
    if not found.quantiles.rows:
        return Bins(column, NUMBER)
    edges, times = np.unique(found.quantiles.at(np.arange(1, number) / number), return_counts=True)
    own = edges[(times > 1) | (edges == found.quantiles.values[0])]
    edges = np.unique(np.concatenate([edges, np.nextafter(own, inf)]))
    return Bins(column, NUMBER, edges=tuple(edges[np.isfinite(edges)].tolist()))
