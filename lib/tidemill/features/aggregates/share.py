"""The share of one value among the column's non-null values, compared as texts; null over none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.algebra import Algebra, Cut, there
from tidemill.features.names import name_part

if TYPE_CHECKING:
    from pyspark.sql import Column

    from tidemill.features.algebra import Array, State


def _spark(value: Column, _order: Column, wanted: str) -> Column:
    from pyspark.sql import functions as F

    is_wanted = F.when(value.cast("string") == F.lit(wanted), 1)
    return F.count(is_wanted).cast("double") / F.nullif(F.count(value), F.lit(0))


def _label(wanted: str) -> str:
    return f"share_{name_part(wanted)}"


def _reduce(cut: Cut) -> State:
    return (cut.counts, Cut(cut.values.astype(np.int64), cut.counts).folded(np.add, 0))


def _combine(older: State, newer: State) -> State:
    return (older[0] + newer[0], older[1] + newer[1])


def _final(state: State, _scale: int) -> tuple[Array, Array]:
    return state[1] / np.maximum(state[0], 1), there(state)


KIND = AggregateKind(
    "double",
    None,
    needs_column=True,
    spark=_spark,
    parameter="value",
    label=_label,
    arrow=Algebra(_reduce, _combine, _final, takes="truths"),
)
