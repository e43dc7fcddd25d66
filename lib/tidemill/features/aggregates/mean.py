"""The arithmetic mean of the column's values, null over none; its sum is exact where the column is a decimal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.algebra import Algebra, add, as_doubles, summed, there

if TYPE_CHECKING:
    from pyspark.sql import Column

    from tidemill.features.algebra import Array, State


def _spark(value: Column, _order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.sum(value).cast("double") / F.nullif(F.count(value), F.lit(0))


def _final(state: State, scale: int) -> tuple[Array, Array]:
    return as_doubles(state[1], scale) / np.maximum(state[0], 1), there(state)


KIND = AggregateKind("double", None, needs_column=True, spark=_spark, arrow=Algebra(summed, add, _final))
