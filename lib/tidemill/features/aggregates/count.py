"""The number of events, or of the column's non-null values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.features.aggregates.kind import AggregateKind

if TYPE_CHECKING:
    from pyspark.sql import Column


def _spark(value: Column, _order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.count(value).cast("double")


KIND = AggregateKind("double", 0.0, needs_column=False, spark=_spark)
