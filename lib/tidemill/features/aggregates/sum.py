"""The sum of the column's values; exact where the column is a decimal, since it is rounded once, at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.algebra import Algebra, add, as_doubles, summed

if TYPE_CHECKING:
    from pyspark.sql import Column

    from tidemill.features.algebra import Array, State


def _spark(value: Column, _order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.coalesce(F.sum(value).cast("double"), F.lit(0.0))


def _final(state: State, scale: int) -> tuple[Array, None]:
    return as_doubles(state[1], scale), None


KIND = AggregateKind("double", 0.0, needs_column=True, spark=_spark, arrow=Algebra(summed, add, _final))
