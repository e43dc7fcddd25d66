"""What is watched of a column's histograms: a few figures a day, each with what its number of rows makes it vary. Pure.

Of a number: its level and its spread in normal scores, which no outlier can move far; of a text, and of a number that
never varied: the share of each value, and of values that the reference did not know. Of all: missing values, and the
shape as a whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from tidemill.stats.bins import NUMBER, Bins
from tidemill.stats.distances import population_stability_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LEAST = 1e-6
LEVEL, SPREAD, MISSING, SHARE, SHAPE = "level", "spread", "missing", "share", "shape"


@dataclass(frozen=True)
class Day:
    """A column's histogram on one day.

    Args:
        place: the day's number; neighbouring days have neighbouring numbers.
        counts: rows per bin.
        nulls: rows without a value.
    """

    place: int
    counts: tuple[int, ...]
    nulls: int

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(self.counts) + self.nulls


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure over some days.

    Args:
        what: `level`, `spread`, `missing`, `share` or `shape`.
        name: of the value whose share it is, else empty.
        values: one a day; shares as arcsines of their roots, whose variation does not depend on the share; of the
            shape the logarithm of the population stability index against the whole reference.
        noise: the squared deviation that each day's rows make.
    """

    what: str
    name: str
    values: Floats
    noise: Floats


def figures(bins: Bins, reference: Sequence[float], typical: float, days: Sequence[Day]) -> list[Figure]:
    """The figures of some days.

    Args:
        bins: of the column.
        reference: rows per bin of the whole reference, which say what a normal score is.
        typical: rows of a day of the reference.
        days: each with a row.
    """
    counts = np.array([d.counts for d in days], np.float64)
    nulls = np.array([d.nulls for d in days], np.float64)
    valued = counts.sum(axis=1)
    rows = valued + nulls
    found = [Figure(MISSING, "", _arcsine(nulls, rows), 1 / (4 * rows + 2))]
    shape = np.array([_shape(reference, day, typical) for day in days])
    found.append(Figure(SHAPE, "", shape, np.full(len(days), 2 / max(1, bins.size - 1))))
    if bins.kind != NUMBER or np.count_nonzero(reference) < 2:
        shares = [_arcsine(counts[:, i], valued) for i in range(bins.size)]
        noise = 1 / (4 * valued + 2)
        return found + [Figure(SHARE, name, values, noise) for name, values in zip(bins.labels, shares, strict=True)]
    weights, known = np.asarray(reference, np.float64), np.maximum(valued, 1)
    scores = _normal_scores(weights)
    scores -= np.average(scores, weights=weights)
    scores /= math.sqrt(float(np.average(scores**2, weights=weights))) or 1.0
    fourth = float(np.average((scores**2 - 1) ** 2, weights=weights))
    found.append(Figure(LEVEL, "", counts @ scores / known, 1 / known))
    found.append(Figure(SPREAD, "", np.where(valued > 0, counts @ scores**2 / known, 1.0), fourth / known))
    return found


def share_of(value: float) -> float:
    """The share whose figure is a value."""
    return math.sin(min(max(value, 0.0), math.pi / 2)) ** 2


def index_of(value: float) -> float:
    """The population stability index whose figure is a value."""
    return math.exp(value)


def _shape(reference: Sequence[float], day: Day, typical: float) -> float:
    """The logarithm of the index, after what chance makes of it is that of a typical day's rows."""
    if not sum(day.counts):
        return math.log(_LEAST)
    index = population_stability_index(reference, day.counts)
    by_chance = (len(day.counts) - 1) * (1 / typical - 1 / sum(day.counts))
    return math.log(max(index + by_chance, _LEAST))


def _arcsine(part: Floats, whole: Floats) -> Floats:
    """The arcsine of the root of a share, with Anscombe's three eighths (1948)."""
    found: Floats = np.arcsin(np.sqrt((part + 0.375) / (whole + 0.75)))
    return found


def _normal_scores(reference: Floats) -> Floats:
    """The mean normal score of the rows of each bin (van der Waerden 1952), by the reference's own shares.

    A bin without reference rows has the score of the nearest bin with some: a score of its own would have no bound, and
    one new value in ten thousand rows would move the spread of a rare flag.
    """
    ends = np.cumsum(np.concatenate([[0.0], reference])) / reference.sum()
    normal = NormalDist()
    density = np.array([normal.pdf(normal.inv_cdf(p)) if 0 < p < 1 else 0.0 for p in ends])
    held = np.flatnonzero(reference)
    nearest = held[np.argmin(np.abs(np.arange(len(reference))[:, None] - held), axis=1)]
    scores: Floats = (-np.diff(density) * reference.sum())[nearest] / reference[nearest]
    return scores
