"""The sample standard deviation of the column's values (n - 1), null over fewer than two (Welford's update)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.algebra import Algebra, Cut, as_doubles, summed

if TYPE_CHECKING:
    from pyspark.sql import Column

    from tidemill.features.algebra import Array, State


def _spark(value: Column, _order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.when(F.count(value) > 1, F.stddev_samp(value.cast("double")))


def _reduce(cut: Cut) -> State:
    """Count, mean, and the sum of squared distances from the mean: two passes, so that large values cancel nothing."""
    values = as_doubles(cut.values, cut.scale)
    counts, sums = summed(Cut(values, cut.counts))
    means = sums / np.maximum(counts, 1)
    _, squares = summed(Cut((values - np.repeat(means, counts)) ** 2, counts))
    return (counts, means, squares)


def _combine(older: State, newer: State) -> State:
    """Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979)."""
    counts = older[0] + newer[0]
    share = newer[0] / np.maximum(counts, 1)
    apart = np.where((older[0] > 0) & (newer[0] > 0), newer[1] - older[1], 0.0)
    means = np.where(older[0] > 0, older[1] + apart * share, newer[1])
    return (counts, means, older[2] + newer[2] + apart**2 * share * older[0])


def _final(state: State, _scale: int) -> tuple[Array, Array]:
    return np.sqrt(state[2] / np.maximum(state[0] - 1, 1)), state[0] > 1


KIND = AggregateKind("double", None, needs_column=True, spark=_spark, arrow=Algebra(_reduce, _combine, _final))
