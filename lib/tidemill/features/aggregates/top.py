"""The most frequent of the column's values, as a text: a category; of equally frequent ones the smallest text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.features.aggregates.kind import AggregateKind

if TYPE_CHECKING:
    from pyspark.sql import Column


def _spark(value: Column, _order: Column) -> Column:
    from pyspark.sql import functions as F

    return F.mode(value.cast("string"), deterministic=True)


KIND = AggregateKind("string", None, needs_column=True, spark=_spark)
