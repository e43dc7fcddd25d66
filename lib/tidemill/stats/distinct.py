"""How many distinct values there are, from the least of their hashes. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

SIZE = 256  # an estimate is right to 1 / sqrt(254), some 6 %, in two of three cases
_GOLDEN, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_BASE = np.uint64(0x100000001B3)


@dataclass(frozen=True, eq=False)
class Distinct:
    """The least hashes of the values (KMV: Bar-Yossef et al. 2002; merging: Beyer et al. 2007).

    Args:
        hashes: at most `SIZE`, ascending, each once.
    """

    hashes: Hashes

    @property
    def estimate(self) -> float:
        """How many distinct values there are; exact while there are fewer than `SIZE`."""
        if len(self.hashes) < SIZE:
            return float(len(self.hashes))
        return (SIZE - 1) / ((float(self.hashes[-1]) + 1) / 2.0**64)


def distinct_of(hashes: Hashes) -> Distinct:
    """The least of hashes, in any order and any number of times."""
    if len(hashes) > 64 * SIZE:
        # Hashes are spread evenly, so that the least stand below a bound that few others meet; unless they repeat.
        few = hashes[hashes < np.uint64(2**64 // len(hashes) * 4 * SIZE)]
        least = np.unique(few)
        if len(least) >= SIZE:
            return Distinct(least[:SIZE])
    return Distinct(np.unique(hashes)[:SIZE])


def merge_distinct(parts: Sequence[Distinct]) -> Distinct:
    """The least hashes of all: what one pass over all values would hold."""
    none = np.empty(0, np.uint64)
    return Distinct(np.unique(np.concatenate([none, *(p.hashes for p in parts)]))[:SIZE])


def hash_numbers(values: NDArray[np.float64]) -> Hashes:
    """A hash of each number by its bits; 0.0 and -0.0 have the same (SplitMix64: Steele, Lea and Flood 2014)."""
    return _mixed((values + 0.0).view(np.uint64))


def hash_texts(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Hashes:
    """A hash of each text by its bytes: a polynomial, then mixed.

    Args:
        data: the bytes of all texts.
        offsets: where each begins, and where the last ends.
    """
    lengths = np.diff(offsets)
    first, last = int(offsets[0]), int(offsets[-1])
    powers = np.full(int(lengths.max(initial=0)) + 1, _BASE, np.uint64)
    powers[0] = 1
    np.multiply.accumulate(powers, out=powers)
    places = np.arange(first, last) - np.repeat(offsets[:-1], lengths)
    terms = (data[first:last].astype(np.uint64) + np.uint64(1)) * powers[places]
    sums = np.zeros(len(lengths), np.uint64)
    some = lengths > 0
    if some.any():
        sums[some] = np.add.reduceat(terms, offsets[:-1][some] - first)
    return _mixed(sums + lengths.astype(np.uint64) * _GOLDEN)


def _mixed(bits: Hashes) -> Hashes:
    """Bits spread evenly; each step can be undone, so that different bits stay different."""
    bits += _GOLDEN
    moved = np.empty_like(bits)
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        np.right_shift(bits, np.uint64(shift), out=moved)
        bits ^= moved
        bits *= factor
    np.right_shift(bits, np.uint64(31), out=moved)
    bits ^= moved
    return bits
