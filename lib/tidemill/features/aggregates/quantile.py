"""The exact q-quantile of the column's values, null over none.

Between two values it interpolates linearly, as NumPy's default does (Hyndman and Fan 1996, definition 7), to the last
bit. NaN counts as the largest value, as for `max`; next to an infinity the nearer one's share decides.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tidemill.features.aggregates.kind import AggregateKind
from tidemill.features.arrays import let

if TYPE_CHECKING:
    from pyspark.sql import Column


def _spark(value: Column, _order: Column, q: float) -> Column:
    from pyspark.sql import functions as F

    def between(values: Column) -> Column:
        place = F.lit(q) * (F.size(values) - 1)
        low = F.floor(place).cast("int")
        part = place - low
        return _lerp(F.get(values, low), F.coalesce(F.get(values, low + 1), F.get(values, low)), part)

    ordered = F.sort_array(F.collect_list(value.cast("double")))
    return let(ordered, lambda values: F.when(F.size(values) > 0, between(values)))


def _lerp(low: Column, high: Column, part: Column) -> Column:
    from pyspark.sql import functions as F

    inner = F.when(part < 0.5, low + (high - low) * part).otherwise(high - (high - low) * (1 - part))
    finite = F.abs(high - low) < float("inf")
    return F.when(part == 0, low).when(finite, inner).otherwise(low * (1 - part) + high * part)


def _label(q: float) -> str:
    percent = (Decimal(str(q)) * 100).normalize()
    return f"q{percent:f}".replace(".", "_")


KIND = AggregateKind("double", None, needs_column=True, spark=_spark, parameter="q", label=_label)
