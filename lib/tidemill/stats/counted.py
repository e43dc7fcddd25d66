"""Scores and labels, counted: every distinct score once, with the rows of each class that have it. NumPy only.

Whatever ranks rows by their score (ROC AUC, average precision, thresholds, lift) is exact on this form, with ties.
To make it quickly, a score and its label are packed into one integer that sorts like the score: a sign bit less, a
label bit more. So one side of zero is packed at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Keys = NDArray[np.uint64]

_ONE = np.uint64(1)
ZERO = np.uint64(1 << 63)  # the key of the score 0: keys below it are those of negative scores


@dataclass(frozen=True)
class Totals:
    """Rows of each class."""

    positives: int
    negatives: int

    @property
    def rows(self) -> int:
        """All rows."""
        return self.positives + self.negatives


@dataclass(frozen=True)
class Counted:
    """Distinct scores and how often each class has them.

    Args:
        scores: strictly ascending; infinities are scores like others, and -0.0 is 0.0.
        positives, negatives: rows of each class, as long as `scores`.
    """

    scores: Floats
    positives: Ints
    negatives: Ints

    @property
    def totals(self) -> Totals:
        """Rows of each class."""
        return Totals(int(self.positives.sum()), int(self.negatives.sum()))


def count(label: NDArray[Any], score: NDArray[Any]) -> Counted:
    """Counts rows.

    Args:
        label: 0 or 1.
        score: as long; not NaN.

    Raises:
        ValueError: where a label is neither 0 nor 1, a score is no number, or the lengths differ.
    """
    label, score = np.asarray(label, np.float64), np.asarray(score, np.float64)
    if label.shape != score.shape or label.ndim != 1:
        raise ValueError("label and score need one row each")
    if not usable(label, score).all():
        raise ValueError("labels are 0 or 1, and scores are numbers")
    keys = keys_of(score)
    return joined([counted_of(np.sort(codes), None, side) for side, codes in sides(keys, label)])


def usable(label: Floats, score: Floats) -> NDArray[np.bool_]:
    """Which rows can be judged: the label is 0 or 1, the score is a number."""
    return ((label == 0) | (label == 1)) & ~np.isnan(score)


def keys_of(score: Floats) -> Keys:
    """Integers that sort like the scores; equal scores, among them -0.0 and 0.0, have equal keys."""
    bits = (score + 0.0).view(np.int64)
    keys: Keys = (bits ^ ((bits >> 63) | np.int64(-(1 << 63)))).view(np.uint64)
    return keys


def sides(keys: Keys, label: NDArray[Any]) -> list[tuple[bool, Keys]]:
    """The rows of each side of zero that has any: whether it is the side of the negative scores, and their codes.

    A code is the key, without the bit that tells the side, and then the label's bit.
    """
    codes = (keys << _ONE) | label.astype(np.uint64)
    below = keys < ZERO
    if not below.any():
        return [(False, codes)] if len(codes) else []
    return [(side, codes[rows]) for side, rows in ((True, below), (False, ~below)) if rows.any()]


def collapsed(codes: Keys) -> tuple[Keys, Ints]:
    """Sorted codes, each once, and how often each was there."""
    starts = _starts(codes)
    return codes[starts], np.diff(starts, append=len(codes))


def counted_of(codes: Keys, times: Ints | None, below: bool) -> Counted:
    """The counted form of sorted codes.

    Args:
        codes: of one side of zero, ascending; the same one may stand there several times.
        times: how often each stands for a row, or None for once.
        below: whether the side is that of the negative scores.
    """
    values, labels = codes >> _ONE, (codes & _ONE).view(np.int64)
    starts = _starts(values)
    rows = np.ones(len(codes), np.int64) if times is None else times
    positives = labels if times is None else labels * times
    if len(starts) < len(codes):
        positives, rows, values = np.add.reduceat(positives, starts), np.add.reduceat(rows, starts), values[starts]
    scores = (~values if below else values).view(np.float64)
    return Counted(scores, positives, rows - positives)


def joined(parts: Sequence[Counted]) -> Counted:
    """Parts one after the other: every score of a part lies above all of the part before."""
    if len(parts) == 1:
        return parts[0]
    none = Counted(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    whole = (none, *parts)
    return Counted(
        np.concatenate([p.scores for p in whole]),
        np.concatenate([p.positives for p in whole]),
        np.concatenate([p.negatives for p in whole]),
    )


def recounted(scores: Floats, positives: Ints, negatives: Ints) -> Counted:
    """Counts of scores in any order and with repetitions, which are added up.

    Args:
        scores: not NaN.
        positives: rows of this class that have the score, as long as `scores`.
        negatives: likewise.
    """
    once, place = np.unique(scores + 0.0, return_inverse=True)
    sums = np.zeros((2, len(once)), np.int64)
    for into, rows in zip(sums, (positives, negatives), strict=True):
        np.add.at(into, place, rows)
    return Counted(once, sums[0], sums[1])


def pooled(parts: Sequence[Counted]) -> Counted:
    """Several lots of rows, at least one, together."""
    columns = zip(*((p.scores, p.positives, p.negatives) for p in parts), strict=True)
    return recounted(*(np.concatenate(column) for column in columns))


def _starts(values: Keys) -> Ints:
    """Where another value begins."""
    if not len(values):
        return np.empty(0, np.int64)
    new = np.empty(len(values), np.bool_)
    new[0] = True
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return np.flatnonzero(new)
