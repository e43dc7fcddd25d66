"""All that a profile holds of a column, in parts that merge: the parts of a day, the days of a month. NumPy only.

A batch of numbers is sorted once, and everything is read off the sorted rows. Of texts, the distinct ones of a batch
are looked at, each with how many rows have it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from tidemill.stats.distinct import Distinct, distinct_of, hash_numbers, merge_distinct
from tidemill.stats.frequent import SIZE, Frequent, kept, merge_frequent
from tidemill.stats.moments import Moments, merge_moments, moments_of
from tidemill.stats.quantiles import Quantiles, merge_quantiles, quantiles_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tidemill.stats.bins import Bins

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


@dataclass(frozen=True, eq=False)
class Sketch:
    """A column over some rows.

    Args:
        rows: all of them.
        nulls: those without a value; not a number counts as none.
        zeros: rows of the number 0, or of the empty text.
        infinite: rows of an infinite number.
        moments: of finite numbers, or of the lengths of texts in characters.
        quantiles: of numbers; empty for texts.
        distinct: of the values.
        frequent: the commonest values.
        counts: rows per bin on edges known before, or by values known before with all others last; or None.
    """

    rows: int
    nulls: int
    zeros: int = 0
    infinite: int = 0
    moments: Moments = field(default_factory=Moments)
    quantiles: Quantiles = field(default_factory=lambda: quantiles_of(np.empty(0)))
    distinct: Distinct = field(default_factory=lambda: distinct_of(np.empty(0, np.uint64)))
    frequent: Frequent = field(default_factory=Frequent)
    counts: Ints | None = None


def sketch_numbers(values: Floats, rows: int, edges: Floats | None = None) -> Sketch:
    """The sketch of numbers.

    Args:
        values: without nulls; NaN counts as one.
        rows: nulls included.
        edges: inner edges of bins, ascending; bin i holds `edges[i-1] <= x < edges[i]`.
    """
    ordered = np.sort(values)
    ordered = ordered[: int(np.searchsorted(ordered, np.nan))]
    zero, above = (int(np.searchsorted(ordered, 0.0, side)) for side in _SIDES)
    least, most = int(np.searchsorted(ordered, -np.inf, "right")), int(np.searchsorted(ordered, np.inf))
    counts = None
    if edges is not None:
        ends = np.searchsorted(ordered, edges, side="left")
        counts = np.diff(np.concatenate([[0], ends, [len(ordered)]]))
    new = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]  # a value's first row
    each_once = bool(new.all())
    starts = None if each_once else np.flatnonzero(new)
    unique = ordered if starts is None else ordered[starts]
    return Sketch(
        rows,
        rows - len(ordered),
        above - zero,
        least + len(ordered) - most,
        moments_of(ordered[least:most]),
        quantiles_of(ordered),
        distinct_of(hash_numbers(unique)),
        _frequent_numbers(unique, starts, len(ordered)),
        counts,
    )


def sketch_texts(rows: int, times: Ints, lengths: Ints, hashes: NDArray[np.uint64], frequent: Frequent) -> Sketch:
    """The sketch of texts.

    Args:
        rows: nulls included.
        times: rows of each distinct text, at least 1.
        lengths: of each, in characters.
        hashes: of each.
        frequent: the commonest of them.
    """
    return Sketch(
        rows,
        rows - int(times.sum()),
        int(times[lengths == 0].sum()),
        0,
        moments_of(lengths.astype(np.float64), times),
        distinct=distinct_of(hashes),
        frequent=frequent,
    )


def nothing_on(bins: Bins) -> Sketch:
    """The sketch of no row, counted on bins."""
    return Sketch(0, 0, counts=np.zeros(bins.size, np.int64))


def merge_sketches(parts: Sequence[Sketch]) -> Sketch:
    """The sketch of all rows together: counts, moments and distinct hashes are those of one pass over all.

    The parts are taken in an order of what they hold, whatever order they come in, since sums of floating-point numbers
    depend on it.

    Raises:
        ValueError: where some were counted on bins and others were not, or on other numbers of bins.
    """
    binned = [p.counts for p in parts if p.counts is not None]
    if binned and (len(binned) != len(parts) or len({len(c) for c in binned}) > 1):
        raise ValueError("sketches merge where all are counted on the same bins, or none is")
    parts = sorted(parts, key=lambda p: repr((p.rows, p.moments))) if len(parts) > 1 else parts
    return Sketch(
        sum(p.rows for p in parts),
        sum(p.nulls for p in parts),
        sum(p.zeros for p in parts),
        sum(p.infinite for p in parts),
        merge_moments([p.moments for p in parts]),
        merge_quantiles([p.quantiles for p in parts]),
        merge_distinct([p.distinct for p in parts]),
        merge_frequent([p.frequent for p in parts]),
        np.sum(binned, axis=0) if binned else None,
    )


def _frequent_numbers(unique: Floats, starts: Ints | None, rows: int) -> Frequent:
    """The commonest of distinct values, by where the rows of each start; None where each has one row."""
    if starts is None and rows > SIZE:  # none is commoner than another
        return Frequent({}, 1)
    times = np.ones(rows, np.int64) if starts is None else np.diff(starts, append=rows)
    places, off = kept(times)
    return Frequent(dict(zip(unique[places].tolist(), (times[places] - off).tolist(), strict=True)), off)
