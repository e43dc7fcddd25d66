"""The sample standard deviation of the column's values (n - 1), null over fewer than two (Welford's update)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.features.aggregates.kind import AggregateKind

if TYPE_CHECKING:
    from pyspark.sql import Column


def _spark(value: Column, _order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.when(F.count(value) > 1, F.stddev_samp(value.cast("double")))


KIND = AggregateKind("double", None, needs_column=True, spark=_spark)
