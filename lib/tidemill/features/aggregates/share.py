"""The share of one value among the column's non-null values, compared as texts; null over none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.names import name_part

if TYPE_CHECKING:
    from pyspark.sql import Column


def _spark(value: Column, _order: Column, wanted: str) -> Column:
    from pyspark.sql import functions as F

    is_wanted = F.when(value.cast("string") == F.lit(wanted), 1)
    return F.count(is_wanted).cast("double") / F.nullif(F.count(value), F.lit(0))


def _label(wanted: str) -> str:
    return f"share_{name_part(wanted)}"


KIND = AggregateKind("double", None, needs_column=True, spark=_spark, parameter="value", label=_label)
