"""The column's value in the newest event of the window that has one, as a text: a category."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.algebra import Algebra, there

if TYPE_CHECKING:
    from pyspark.sql import Column

    from tidemill.features.algebra import Array, Cut, State


def _spark(value: Column, order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.max_by(value, F.when(value.isNotNull(), order)).cast("string")


def _reduce(cut: Cut) -> State:
    return (cut.counts, cut.spread(cut.values[cut.ends], None))


def _combine(older: State, newer: State) -> State:
    return (older[0] + newer[0], np.where(there(newer), newer[1], older[1]))


def _final(state: State, _scale: int) -> tuple[Array, Array]:
    return state[1], there(state)


KIND = AggregateKind(
    "string",
    None,
    needs_column=True,
    spark=_spark,
    arrow=Algebra(_reduce, _combine, _final, takes="texts", ordered=True),
)
