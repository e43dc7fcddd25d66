"""The commonest values, with a bound on what their counts may lack. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Value = float | str

SIZE = 64


@dataclass(frozen=True)
class Frequent:
    """Counts of the commonest values (Misra and Gries 1982, in the form that merges: Agarwal et al. 2012).

    Args:
        counts: rows by value, at most `SIZE` of them; every value that more than `error` rows have is there.
        error: a value has as many rows as its count says, or up to this many more; 0 where all is counted.
    """

    counts: Mapping[Value, int] = field(default_factory=dict)
    error: int = 0


def kept(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Which of counted values a summary keeps, and what is taken off the count of each.

    Args:
        counts: rows of each value.

    Returns:
        Their places, the commonest first, and what is taken off.
    """
    off = 0 if len(counts) <= SIZE else int(np.partition(counts, len(counts) - SIZE - 1)[len(counts) - SIZE - 1])
    places = np.flatnonzero(counts > off)
    return places[np.argsort(-counts[places], kind="stable")], off


def merge_frequent(parts: Sequence[Frequent]) -> Frequent:
    """The commonest values of all rows together; the error is at most a `SIZE + 1`-th of the rows."""
    sums: dict[Value, int] = {}
    for part in parts:
        for value, count in part.counts.items():
            sums[value] = sums.get(value, 0) + count
    values = list(sums)
    places, off = kept(np.fromiter(sums.values(), np.int64, len(sums)))
    return Frequent({values[i]: sums[values[i]] - off for i in places}, off + sum(p.error for p in parts))
