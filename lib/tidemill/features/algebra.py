"""Aggregates in NumPy: partial results of segments, which can be put together.

A segment is a stretch of one entity's events between two edges of windows, so nothing ever runs on from one entity into
the next. The segments of all entities lie one behind the other; what is said of one is said of all of them in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[Any]
State = tuple[Array, ...]  # one entry a segment in each array; the first is how many values the segment has

# A running sum of so many terms is rounded once a term: longer ones are summed in blocks of this length first.
_BLOCK = 1024
_EXACT = 2.0**53  # doubles hold every whole number below
_INT64 = 2.0**63


@dataclass(frozen=True)
class Cut:
    """The values of a column that count, cut into segments.

    Args:
        values: doubles, whole numbers (of decimals: times `10 ** scale`), texts or truths; none is null.
        counts: how many of them each segment has, in their order; zero for an empty one.
        scale: digits behind the point of decimals.
        times: event times of the values, microseconds; None where no aggregate looks at them.
    """

    values: Array
    counts: Array
    scale: int = 0
    times: Array | None = None

    @cached_property
    def filled(self) -> Array:
        """Which segments have any value."""
        return self.counts > 0

    @cached_property
    def starts(self) -> Array:
        """Where each filled segment begins."""
        return (np.cumsum(self.counts) - self.counts)[self.filled]

    @cached_property
    def ends(self) -> Array:
        """Where each filled segment has its last value."""
        return np.cumsum(self.counts)[self.filled] - 1

    def spread(self, found: Array, empty: Any) -> Array:
        """What was found of the filled segments, and `empty` in the others."""
        if len(found) == len(self.counts):
            return found
        whole = np.full(len(self.counts), empty, found.dtype)
        whole[self.filled] = found
        return whole

    def folded(self, fold: np.ufunc, empty: Any) -> Array:
        """Each segment's values folded into one."""
        # An empty stretch of `reduceat` gives the element behind it: only filled ones are asked for.
        found = fold.reduceat(self.values, self.starts) if len(self.values) else self.values
        return self.spread(found, empty)


@dataclass(frozen=True)
class Algebra:
    """The NumPy form of an aggregate.

    Args:
        reduce: the values of many segments to their partial results.
        combine: the partial results of older and of newer segments of the same entities to those of both.
        final: partial results and the scale of decimals to values, and which of them there are; None for all.
        takes: what it looks at: that a value is there, numbers, texts, or whether a value's text is the declaration's
            `value`.
        ordered: whether the order of equal instants matters.
        timed: whether it looks at event times, too.
    """

    reduce: Callable[[Cut], State]
    combine: Callable[[State, State], State]
    final: Callable[[State, int], tuple[Array, Array | None]]
    takes: Literal["events", "numbers", "texts", "truths"] = "numbers"
    ordered: bool = False
    timed: bool = False


def summed(cut: Cut) -> State:
    """Count and sum: of whole numbers and decimals exact, of doubles in blocks."""
    values = cut.values
    if values.dtype == np.float64:
        return (cut.counts, cut.spread(_block_sums(values, cut), 0.0))
    if _largest(values) * float(cut.counts.max(initial=0)) >= _INT64:
        values = values.astype(object)  # Python's whole numbers have no end
    return (cut.counts, Cut(values, cut.counts).folded(np.add, 0))


def add(older: State, newer: State) -> State:
    """Count and sum of both."""
    left, right = older[1], newer[1]
    if left.dtype == np.int64 and right.dtype == np.int64 and _largest(left) + _largest(right) >= _INT64:
        left = left.astype(object)
    return (older[0] + newer[0], left + right)


def as_doubles(values: Array, scale: int) -> Array:
    """Whole numbers divided by `10 ** scale` and rounded once, as Spark's decimals are; doubles as they are."""
    if values.dtype == np.float64:
        return values
    if values.dtype == np.int64 and (scale == 0 or _largest(values) < _EXACT):
        return values.astype(np.float64) / 10.0**scale  # both are exact, so the quotient alone is rounded
    return np.array([int(value) / 10**scale for value in values], np.float64)


def there(state: State) -> Array:
    """Which segments have any value."""
    return state[0] > 0


def _block_sums(values: Array, cut: Cut) -> Array:
    if not len(values):
        return values
    if cut.counts.max() <= _BLOCK:
        return np.add.reduceat(values, cut.starts)
    blocks = np.union1d(cut.starts, np.arange(0, len(values), _BLOCK))
    return np.add.reduceat(np.add.reduceat(values, blocks), np.searchsorted(blocks, cut.starts))


def _largest(values: Array) -> float:
    """The largest size among whole numbers."""
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))
