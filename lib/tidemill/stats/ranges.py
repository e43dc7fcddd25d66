"""Where to cut scores into ranges of about equally many rows, by counts that merge. NumPy only.

A bin is all keys (see `counted`) that begin with the same bits. Bins are counted first by few bits; those that hold too
many rows are counted again by more, at the end by all, so a range is never much larger than asked for unless one score
alone is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.stats.counted import ZERO, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tidemill.stats.counted import Ints, Keys

DEPTHS = (20, 36, 52, 64)  # bits by which bins are counted: sign, exponent and 8 bits of the fraction come first
_ONE = np.uint64(1)


@dataclass(frozen=True)
class Bins:
    """Rows by bin; bins without rows are left out.

    Args:
        lower: the lowest key of each, strictly ascending.
        positives, negatives: rows of each class, as long.
    """

    lower: Keys
    positives: Ints
    negatives: Ints

    @property
    def totals(self) -> Totals:
        """Rows of each class."""
        return Totals(int(self.positives.sum()), int(self.negatives.sum()))


@dataclass(frozen=True)
class Ranges:
    """Ranges of scores, lowest first, that together hold every score.

    Args:
        lower: the lowest key of each but the first, which holds whatever lies below the second.
        above: the rows that lie above each.
        total: all rows.
    """

    lower: Keys
    above: tuple[Totals, ...]
    total: Totals


def count_bins(keys: Keys, label: NDArray[Any], level: int, within: Keys) -> Bins:
    """Counts rows by bin.

    Args:
        keys: of the rows' scores.
        label: 0 or 1.
        level: the place in `DEPTHS` of the bits that make a bin.
        within: beyond the first level: the lowest keys of the bins of the level before whose rows are counted.
    """
    shift = np.uint64(64 - DEPTHS[level])
    if level == 0:
        place = ((keys >> shift) << _ONE | label.astype(np.uint64)).astype(np.int64)
        table = np.bincount(place, minlength=2 << DEPTHS[0]).reshape(-1, 2)
        held = np.flatnonzero(table.any(axis=1))
        return Bins(held.astype(np.uint64) << shift, table[held, 1], table[held, 0])
    before = np.uint64(64 - DEPTHS[level - 1])
    kept = np.isin(keys >> before, within >> before)
    lower, positive = (keys[kept] >> shift) << shift, np.asarray(label)[kept] == 1
    found, place = np.unique(lower, return_inverse=True)
    positives = np.bincount(place[positive], minlength=len(found))
    return Bins(found, positives, np.bincount(place, minlength=len(found)) - positives)


def merge_bins(parts: Sequence[Bins]) -> Bins:
    """The bins of several lots of rows together; also bins of several depths that do not overlap."""
    lower = np.concatenate([np.empty(0, np.uint64), *(p.lower for p in parts)])
    found, place = np.unique(lower, return_inverse=True)
    sums = []
    for name in ("positives", "negatives"):
        values = np.zeros(len(found), np.int64)
        np.add.at(values, place, np.concatenate([np.empty(0, np.int64), *(getattr(p, name) for p in parts)]))
        sums.append(values)
    return Bins(found, *sums)


def find_ranges(count: Callable[[int, Keys], Bins], most: int) -> Ranges:
    """The ranges of all rows; bins of more than `most` rows are counted again by more bits.

    Args:
        count: counts all rows, as `count_bins` does a few: given the level, and the bins whose rows are counted.
        most: rows of a range, about; it may hold twice as many, and however many have one and the same score.
    """
    found, heavy = [], np.empty(0, np.uint64)
    for level in range(len(DEPTHS)):
        bins = count(level, heavy)
        again = (bins.positives + bins.negatives > most) & (level + 1 < len(DEPTHS))
        found.append(Bins(bins.lower[~again], bins.positives[~again], bins.negatives[~again]))
        heavy = bins.lower[again]
        if not len(heavy):
            break
    return _cut(merge_bins(found), most)


def split_codes(codes: Keys, below: bool, lower: Keys) -> Iterator[tuple[int, slice]]:
    """Where each range lies in sorted codes of one side of zero; ranges without rows are left out.

    Args:
        codes: ascending, see `counted.sides`.
        below: whether the side is that of the negative scores.
        lower: the lowest keys of the ranges.
    """
    # The range that the side begins in, and all that begin on the side.
    first = 0 if below else max(0, int(np.searchsorted(lower, ZERO, "right")) - 1)
    last = int(np.searchsorted(lower, ZERO, "left")) if below else len(lower)
    last = max(last, first + 1)
    cuts = np.searchsorted(codes, lower[first + 1 : last] << _ONE)
    edges = [0, *cuts.tolist(), len(codes)]
    for number in range(first, last):
        a, b = edges[number - first], edges[number - first + 1]
        if a < b:
            yield number, slice(a, b)


def _cut(bins: Bins, most: int) -> Ranges:
    """Neighbouring bins together until they hold about `most` rows; at least one range."""
    rows = bins.positives + bins.negatives
    number = (np.cumsum(rows) - rows) // most
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    total = bins.totals
    before = [np.concatenate([[0], np.cumsum(c)]) for c in (bins.positives, bins.negatives)]
    ends = [*starts[1:].tolist(), len(rows)]
    above = [Totals(total.positives - int(before[0][e]), total.negatives - int(before[1][e])) for e in ends]
    lower = bins.lower[starts] if len(starts) else np.zeros(1, np.uint64)
    return Ranges(lower, tuple(above), total)
