"""Every distance between two sketches of a column. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.stats.bins import NUMBER, Bins
from tidemill.stats.distances import chi_square, hellinger, jensen_shannon, kolmogorov_smirnov, l_infinity
from tidemill.stats.quantiles import mean_distance

if TYPE_CHECKING:
    from tidemill.stats.sketch import Sketch


def distances(bins: Bins, reference: Sketch, current: Sketch) -> dict[str, float | None]:
    """The distances by name, over the bins and the nulls; None where a side has no row.

    Kolmogorov-Smirnov's and Wasserstein's are those of numbers without nulls; the second is in standard deviations of
    the reference, or None where that has none.
    """
    names = ("jensen_shannon", "hellinger", "kolmogorov_smirnov", "wasserstein", "chi_square", "l_infinity")
    found: dict[str, float | None] = dict.fromkeys(names)
    if reference.counts is None or current.counts is None or not reference.rows or not current.rows:
        return found
    one = (*reference.counts.tolist(), reference.nulls)
    other = (*current.counts.tolist(), current.nulls)
    found |= {"jensen_shannon": jensen_shannon(one, other), "hellinger": hellinger(one, other)}
    found |= {"l_infinity": l_infinity(one, other), "chi_square": chi_square(one, other).statistic}
    if bins.kind == NUMBER and reference.counts.sum() and current.counts.sum():
        found["kolmogorov_smirnov"] = kolmogorov_smirnov(reference.counts, current.counts)
        spread = reference.moments.deviation
        if spread > 0:
            found["wasserstein"] = mean_distance(reference.quantiles, current.quantiles) / spread
    return found
