"""How well one feature tells a label apart by itself, and whether it is that label under another name. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.stats.ranking import roc_auc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST = 50  # rows without which nothing is said
FEWEST_OF_A_CLASS = 10
_MOST_LEVELS = 3  # values a class, of which one may be the class under another name
_MOST_CATEGORIES = 0.05  # of the rows: a category a row would predict its own rows and nothing else


@dataclass(frozen=True)
class Alone:
    """One feature beside the label.

    Args:
        rows: that were looked at.
        strength: binary, or of several classes: ROC AUC of the value alone, turned to lie in [0.5, 1]; else |Pearson's
            r|. None where too little is known.
        same: binary: the share of rows in which the feature, of two values, says the same as the label, of the class in
            which that share is less; else the share in which it equals the label, of the rows with the commonest label
            or of the others, or 1 where it is a linear transform of it. None where it can be neither.
        nulls: binary: the share of rows in which being null says the same as the label, in the same way. None where
            that cannot be.
    """

    rows: int
    strength: float | None
    same: float | None
    nulls: float | None


def alone(values: NDArray[Any], known: NDArray[np.bool_], label: Floats, *, binary: bool) -> Alone:
    """Compares one feature with the label.

    Args:
        values: numbers, or texts as objects; what stands where `known` is false does not count.
        known: where the feature has a value; not a number counts as none.
        label: finite; 0 or 1 for a binary task.
        binary: the task.
    """
    rows = len(label)
    if binary:
        nulls = _agreement(~known, label) if _both(known) and _enough(label) else None
        whole, levels = _levels(values, known)
        same = _agreement(whole == levels - 1, label) if levels == 2 and _enough(label) else None
        return Alone(rows, _auc_of(values[known], label[known]), same, nulls)
    if values.dtype == object or known.sum() < FEWEST:
        return Alone(rows, None, None, None)
    value, target = values[known].astype(np.float64), label[known]
    r = correlation(value, target)
    return Alone(rows, r, 1.0 if r is not None and r > 1 - 1e-9 else _equal(value, target), None)


def alone_of_classes(values: NDArray[Any], known: NDArray[np.bool_], label: Floats) -> Alone:
    """Compares one feature with a label of several classes: with each of them against all others, as a binary label.

    What is told is that of the class which the feature says most of. A feature of a few values says the same as a class
    also by one of them.

    Args:
        values: as of `alone`.
        known: likewise.
        label: numbers of classes.
    """
    sides = [(label == number).astype(np.float64) for number in np.unique(label)]
    found = [alone(values, known, side, binary=True) for side in sides]
    whole, levels = _levels(values, known)
    places = range(levels if levels <= _MOST_LEVELS * len(sides) else 0)
    same = [_agreement(whole == place, side) for side in sides if _enough(side) for place in places]
    return Alone(
        len(label),
        _most([one.strength for one in found]),
        _most([*same, *(one.same for one in found)]),
        _most([one.nulls for one in found]),
    )


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def correlation(one: Floats, other: Floats) -> float | None:
    """|Pearson's r| over rows where both are finite; None where either does not vary there."""
    finite = np.isfinite(one) & np.isfinite(other)
    if finite.sum() < FEWEST:
        return None
    a, b = one[finite], other[finite]
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return float(abs((a * b).sum()) / size) if np.isfinite(size) and size > 0 else None


def _auc_of(values: NDArray[Any], label: Floats) -> float | None:
    if not _enough(label):
        return None
    if values.dtype == object:  # a text stands for the share of positives among its rows
        _, place = np.unique(values.astype(str), return_inverse=True)
        if place.max() + 1 > _MOST_CATEGORIES * len(label):
            return None
        values = (np.bincount(place, weights=label) / np.bincount(place))[place]
    found = roc_auc(label, values.astype(np.float64))
    return max(found, 1 - found)


def _levels(values: NDArray[Any], known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Each row's level, a null being one of its own, and how many levels there are."""
    place = np.zeros(len(known), dtype=np.int64)
    kept = values[known]
    found, inside = np.unique(kept.astype(str) if values.dtype == object else kept, return_inverse=True)
    place[known] = inside + (0 if known.all() else 1)
    return place, len(found) + (0 if known.all() else 1)


def _agreement(side: NDArray[np.bool_], label: Floats) -> float:
    of_positives, of_negatives = float(side[label == 1].mean()), float(side[label != 1].mean())
    return max(min(of_positives, 1 - of_negatives), min(1 - of_positives, of_negatives))


def _equal(value: Floats, target: Floats) -> float | None:
    """The share of equal values, of the rows with the commonest label or of the others, whichever is less."""
    found, counts = np.unique(target, return_counts=True)
    common = target == found[counts.argmax()]
    if (~common).sum() < FEWEST_OF_A_CLASS:
        return None
    same = value == target
    return float(min(same[common].mean(), same[~common].mean()))


def _both(side: NDArray[np.bool_]) -> bool:
    return bool(side.any() and not side.all())


def _enough(label: Floats) -> bool:
    positives = int(label.sum())
    return len(label) >= FEWEST and FEWEST_OF_A_CLASS <= positives <= len(label) - FEWEST_OF_A_CLASS
