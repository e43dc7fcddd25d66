"""The number of different values of the column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.features.aggregates.kind import AggregateKind

if TYPE_CHECKING:
    from pyspark.sql import Column


def _spark(value: Column, _order: Column) -> Column:
    from pyspark.sql import functions as F

    # A set per group, where COUNT(DISTINCT) would expand every row once for each distinct aggregate of the view.
    return F.size(F.collect_set(value)).cast("double")


KIND = AggregateKind("double", 0.0, needs_column=True, spark=_spark)
