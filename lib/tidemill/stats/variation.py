"""How much a daily figure varies when nothing is wrong, by its weekday and from day to day; and how odd a new day is.

A figure is a course over the year, a mean of its phase (the weekday, where the season is seven days) and a deviation.
The course is learnt where a whole year was quiet, phases where they foretell left-out days better than one mean of all
does. NumPy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidemill.stats.tails import student_tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


_WHOLE_YEAR = 24  # days, weeks or months that a year's course needs


@dataclass(frozen=True, eq=False)
class Variation:
    """A figure over the days of a quiet period.

    Args:
        season: days after which phases come again; 1 where phases foretell nothing.
        means: by phase.
        times: days of each phase.
        deviation: of a day from its phase's mean, at least what its rows alone would make.
        freedom: degrees of freedom of the deviation.
        carried: how much the deviations of neighbouring days have in common: their correlations, from one day apart on.
        noise: the part of the squared deviation that the number of rows makes.
        year: days of a year, as places are numbered.
        course: weights of the cosine and sine of one and of two waves a year; none where there is no course.
    """

    season: int
    means: Floats
    times: Ints
    deviation: float
    freedom: int
    carried: Floats
    noise: float
    year: float
    course: Floats

    def expected(self, places: Ints) -> Floats:
        """What the year and the phase foretell of each day."""
        found: Floats = self.means[places % self.season] + _waves(places, self.year, len(self.course)) @ self.course
        return found

    def tail(self, values: Floats, places: Ints, noise: float) -> tuple[float, float]:
        """How odd the mean of some neighbouring days is.

        Args:
            values: of the days, at least one.
            places: the days, numbered as those of the quiet period were.
            noise: the squared deviation that their numbers of rows make, on average.

        Returns:
            How far the mean lies from what its days foretell, and Student's two-sided tail of that.
        """
        number = len(values)
        apart = float(np.mean(values - self.expected(places)))
        square = self.deviation**2 + max(0.0, noise - self.noise)
        neighbours = range(1, min(number - 1, len(self.carried)) + 1)
        shared = sum(2 * (1 - k / number) * float(self.carried[k - 1]) for k in neighbours)
        foretold = float(np.mean(1 / self.times[places % self.season])) / min(number, self.season)
        foretold += len(self.course) / int(self.times.sum())
        return apart, student_tail(apart / math.sqrt(square * ((1 + shared) / number + foretold)), self.freedom)


def variation_of(values: Floats, places: Ints, noise: float, season: int, year: float = math.inf) -> Variation:
    """The variation of a figure over quiet days.

    Args:
        values: one a day.
        places: the days' numbers, ascending; a day missing leaves a gap.
        noise: the squared deviation that a day's number of rows alone makes.
        season: days after which phases may come again; each needs two days, or there is one phase.
        year: days of a year, as places are numbered; infinite where there is no course over the year to learn.
    """
    course = _course(values, places, year)
    values = values - _waves(places, year, len(course)) @ course
    by_phase = np.bincount(places % season, minlength=season)
    if season > 1 and by_phase.min() >= 2 and _left_out(values, places, season) < _left_out(values, places, 1):
        used = season
    else:
        used = 1
    times = np.bincount(places % used, minlength=used)
    means = np.bincount(places % used, values, used) / times
    rest = values - means[places % used]
    freedom = max(1, len(values) - used - len(course))
    square = max(float(np.sum(rest * rest)) / freedom, noise, math.ulp(1.0))
    return Variation(used, means, times, math.sqrt(square), freedom, _carried(rest, places), noise, year, course)


def _course(values: Floats, places: Ints, year: float) -> Floats:
    """The weights of the waves of a year, where a whole one is known and they leave a tenth less to chance."""
    if len(values) < _WHOLE_YEAR or places[-1] - places[0] + 1 < 0.95 * year:
        return np.empty(0)
    waves = np.column_stack([np.ones(len(values)), _waves(places, year, 4)])
    weights = np.asarray(np.linalg.lstsq(waves, values, rcond=None)[0], np.float64)
    left = float(np.sum((values - waves @ weights) ** 2)) / (len(values) - len(weights))
    course: Floats = weights[1:]
    return course if left < 0.9 * float(np.var(values, ddof=1)) else np.empty(0)


def _waves(places: Ints, year: float, number: int) -> Floats:
    """Cosine and sine of one and of two waves a year, a row a day; as many columns as are asked for."""
    angle = 2 * math.pi * places / year
    columns = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    found: Floats = columns[:, :number]
    return found


def _left_out(values: Floats, places: Ints, season: int) -> float:
    """The squared error of foretelling each day by the others of its phase."""
    phase = places % season
    times = np.bincount(phase, minlength=season)[phase]
    means = (np.bincount(phase, values, season)[phase] - values) / (times - 1)
    return float(np.sum((values - means) ** 2))


def _carried(rest: Floats, places: Ints, most: int = 6) -> Floats:
    """Correlations of deviations some days apart, as far as they stand out of chance; none is taken as negative."""
    total = float(np.mean(rest * rest))
    found: list[float] = []
    for apart in range(1, most + 1):
        _, one, other = np.intersect1d(places, places - apart, return_indices=True)
        if len(one) < 8 or total <= 0:
            break
        likeness = float(np.mean(rest[one] * rest[other])) / total
        if likeness < 1 / math.sqrt(len(one)):
            break
        found.append(min(likeness, 0.99))
    return np.array(found)


def windows(places: Sequence[int], lengths: Sequence[int]) -> list[slice]:
    """The last days as windows of some lengths, each without a gap; the shortest that there is comes first."""
    end = len(places)
    whole = [n for n in lengths if n <= end and places[-1] - places[-n] == n - 1]
    return [slice(end - n, end) for n in whole]
