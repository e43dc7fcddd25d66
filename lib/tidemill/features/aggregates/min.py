"""The smallest of the column's values, null over none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.algebra import Algebra, as_doubles, there

if TYPE_CHECKING:
    from pyspark.sql import Column

    from tidemill.features.algebra import Array, Cut, State


def _spark(value: Column, _order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.min(value).cast("double")


def _reduce(cut: Cut) -> State:
    # NaN is the largest number of all, as in SQL: `fmin` passes it over while there is another.
    empty = np.nan if cut.values.dtype == np.float64 else np.iinfo(np.int64).max
    return (cut.counts, cut.folded(np.fmin, empty))


def _combine(older: State, newer: State) -> State:
    return (older[0] + newer[0], np.fmin(older[1], newer[1]))


def _final(state: State, scale: int) -> tuple[Array, Array]:
    return as_doubles(np.where(there(state), state[1], 0), scale), there(state)


KIND = AggregateKind("double", None, needs_column=True, spark=_spark, arrow=Algebra(_reduce, _combine, _final))
