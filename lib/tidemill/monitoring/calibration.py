"""What is usual for a column, learnt from a quiet period; and what is odd about its newest days. Pure.

A distance of histograms says how far a column moved, not whether it moves so far every Monday. So each figure of a
column is held against the variation that the same figure had in the reference period: by weekday, from day to day, and
by the number of rows. A test of many figures and windows counts as many tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidemill.monitoring.figures import LEVEL, MISSING, SHAPE, SHARE, SPREAD, Day, Figure, figures, index_of, share_of
from tidemill.stats.bins import OTHER
from tidemill.stats.variation import Variation, variation_of, windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.core.config_monitor import Least
    from tidemill.stats.bins import Bins

WINDOWS = (1, 3, 7)
_STILL = 1 / 3  # of a mean's movement, at least, has to be the judged day's own: what only was odd is told already
_SURE = 1e-6  # among movements as sure as that, the plainest and largest is told


@dataclass(frozen=True, eq=False)
class Usual:
    """What is usual for a column.

    Args:
        bins: of the column.
        reference: rows per bin of the whole quiet period.
        typical: rows of a typical day.
        days: of the quiet period.
        variations: by figure and name.
    """

    bins: Bins
    reference: tuple[float, ...]
    typical: float
    days: int
    variations: Mapping[tuple[str, str], Variation]


@dataclass(frozen=True)
class Odd:
    """The oddest that the newest days of a column show.

    Args:
        tail: the probability of something so odd on a quiet day, all figures and windows counted; 1 where nothing that
            matters moved.
        large: whether it is so large that no second day is needed.
        reason: what moved, by how much and over how many days.
        what: the kind of figure that the reason tells of, or empty.
        name: of the value whose share it is, or empty.
    """

    tail: float
    large: bool
    reason: str
    what: str = ""
    name: str = ""


class _Seen(NamedTuple):
    """A movement that matters: its tail, whether it says what happened, its size, and its words."""

    tail: float
    plain: bool
    size: float
    reason: str
    figure: Figure


def learn(bins: Bins, quiet: Sequence[Day], season: int, year: float = math.inf) -> Usual | None:
    """What is usual for a column, or None where fewer than two days have a row.

    Args:
        bins: of the column.
        quiet: days when nothing was wrong, oldest first.
        season: days after which the same may be expected again.
        year: days of a year, as they are numbered; infinite for no course over the year.
    """
    days = [d for d in quiet if d.rows]
    if len(days) < 2 or not any(sum(d.counts) for d in days):
        return None
    reference = tuple(float(sum(column)) for column in zip(*(d.counts for d in days), strict=True))
    typical = float(np.median([d.rows for d in days]))
    places = np.array([d.place for d in days])
    found = figures(bins, reference, typical, days)
    variations = {
        (f.what, f.name): variation_of(f.values, places, float(np.mean(f.noise)), season, year) for f in found
    }
    return Usual(bins, reference, typical, len(days), variations)


def oddest(usual: Usual, newest: Sequence[Day], least: Least) -> Odd:
    """The oddest of the windows that end with the newest day.

    Args:
        usual: of the column.
        newest: days after the quiet period, oldest first; the last one is judged and has a row.
        least: movements that matter.
    """
    days = [d for d in newest[-WINDOWS[-1] :] if d.rows]
    places = np.array([d.place for d in days])
    spans = windows(places.tolist(), WINDOWS)
    found = figures(usual.bins, usual.reference, usual.typical, days)
    tests = len(spans) * len(found)
    seen: list[_Seen] = []
    for figure in found:
        variation = usual.variations[figure.what, figure.name]
        for span in spans:
            apart, tail = variation.tail(figure.values[span], places[span], float(np.mean(figure.noise[span])))
            today = figure.values[-1] - variation.expected(places[-1:])[0]
            if today * math.copysign(1.0, apart) < _STILL * abs(apart):
                continue
            foretold = float(np.mean(variation.expected(places[span])))
            size, words = _movement(figure, foretold, foretold + apart, least)
            if size >= 1:
                reason = f"{words}{_over(span)}; by chance {_chance(tail)}"
                seen.append(_Seen(tail, figure.what != SHAPE, size, reason, figure))
    if not seen:
        return Odd(1.0, False, "nothing that matters moved beyond what is usual")
    tail = min(one.tail for one in seen)
    sure = [one for one in seen if one.tail <= max(tail, _SURE)]
    told = max(sure, key=lambda one: (one.plain, one.size))
    large = any(one.size >= least.large for one in sure)
    return Odd(min(1.0, tail * tests), large, told.reason, told.figure.what, told.figure.name)


def _movement(figure: Figure, foretold: float, found: float, least: Least) -> tuple[float, str]:
    """How large a movement is, 1 being the least that matters, and in words."""
    if figure.what == LEVEL:
        way = "above" if found > foretold else "below"
        return abs(found - foretold) / least.level, f"its level is {abs(found - foretold):.2f} sd {way} the usual"
    if figure.what == SPREAD:
        way = "wider" if found > foretold else "narrower"
        ratio = (max(found, 0.0) / foretold) ** 0.5 if foretold > 0 else 1.0
        return abs(found - foretold) / least.spread, f"its spread is {way}, {ratio:.2f} times the usual"
    if figure.what == SHAPE:
        index, usual = index_of(found), index_of(foretold)
        return (index - usual) / least.shape, f"its shape has an index of {index:.3f}, usually {usual:.3f}"
    now, then = share_of(found), share_of(foretold)
    name = "missing values" if figure.what == MISSING else f"the value {figure.name!r}"
    if figure.what == SHARE and figure.name == OTHER:
        name = "values that were rare or unknown"
    return abs(now - then) / least.share, f"{name}: {now:.1%} of rows, usually {then:.1%}"


def _over(span: slice) -> str:
    days = span.stop - span.start
    return "" if days == 1 else f", mean of {days} days"


def _chance(tail: float) -> str:
    return "less than once in 10,000 days" if tail < 1e-4 else f"once in {1 / max(tail, 1e-4):,.0f} days"
