"""The number of events, or of the column's non-null values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.algebra import Algebra

if TYPE_CHECKING:
    from pyspark.sql import Column

    from tidemill.features.algebra import Array, Cut, State


def _spark(value: Column, _order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.count(value).cast("double")


def _reduce(cut: Cut) -> State:
    return (cut.counts,)


def _combine(older: State, newer: State) -> State:
    return (older[0] + newer[0],)


def _final(state: State, _scale: int) -> tuple[Array, None]:
    return state[0].astype(np.float64), None


KIND = AggregateKind(
    "double", 0.0, needs_column=False, spark=_spark, arrow=Algebra(_reduce, _combine, _final, takes="events")
)
