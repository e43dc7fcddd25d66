"""The column's value in the oldest event of the window that has one, as a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.features.aggregates.kind import AggregateKind

if TYPE_CHECKING:
    from pyspark.sql import Column


def _spark(value: Column, order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.min_by(value, F.when(value.isNotNull(), order)).cast("double")


KIND = AggregateKind("double", None, needs_column=True, spark=_spark)
