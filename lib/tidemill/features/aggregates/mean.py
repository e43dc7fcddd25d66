"""The arithmetic mean of the column's values, null over none; its sum is exact where the column is a decimal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.features.aggregates.kind import AggregateKind

if TYPE_CHECKING:
    from pyspark.sql import Column


def _spark(value: Column, _order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.sum(value).cast("double") / F.nullif(F.count(value), F.lit(0))


KIND = AggregateKind("double", None, needs_column=True, spark=_spark)
