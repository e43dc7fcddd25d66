"""What a declaration needs to know of an aggregate, without Spark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column

    from tidemill.features.algebra import Algebra


@dataclass(frozen=True)
class AggregateKind:
    """An aggregate function over the events of one entity that lie in one window.

    Args:
        type: Spark SQL type of its result.
        missing: its result over no event at all, or None for null.
        needs_column: whether it aggregates a column's values or the events themselves.
        spark: from the value (null where the event lies outside the window or fails the condition) and the event's
            order (`struct(event_time, seq, row_id)`) to the aggregated column; what has a parameter takes it third.
        parameter: the field of the declaration that it needs beside the column, `value` or `q`.
        label: what stands for the function in the derived name, given the parameter.
        arrow: the same in NumPy, for workers that read files with Arrow; None where it is not algebraic, and Spark
            alone computes it.
    """

    type: str
    missing: float | None
    needs_column: bool
    spark: Callable[..., Column]
    parameter: str | None = None
    label: Callable[[Any], str] | None = None
    arrow: Algebra | None = None
