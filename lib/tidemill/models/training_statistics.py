"""What a training set holds, column by column: kept beside the model card, readable when the rows are not at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.core.time import format_time, from_micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame

STATISTICS = "training_set.json"
_NUMBERS = ("double", "bigint", "int")


def column_statistics(rows: DataFrame, columns: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Rows, and of each column nulls, least, largest, mean and how many values there are, in one pass.

    Args:
        rows: the training set.
        columns: names and Spark SQL types.

    Returns:
        JSON values. Least, largest and mean of a number are those of its finite values; what is neither null nor finite
        is counted as `not_finite`. Times are texts in UTC; a string has no mean. `distinct` is right to some 2 %
        (HyperLogLog++, Heule, Nunkesser and Hall 2013).
    """
    wanted = {f"{place}_{name}": c for place, column in enumerate(columns) for name, c in _measures(*column).items()}
    found = rows.agg(F.count(F.lit(1)).alias("rows"), *[c.alias(name) for name, c in wanted.items()]).first()
    values: dict[str, Any] = {} if found is None else found.asDict()
    made = [_described(place, name, kind, values) for place, (name, kind) in enumerate(columns)]
    return {"rows": int(values["rows"]), "columns": made}


def _measures(name: str, kind: str) -> dict[str, Column]:
    column = F.col(f"`{name}`")
    value = F.unix_micros(column) if kind == "timestamp" else column
    if kind == "double":
        value = F.when(F.abs(column) < float("inf"), column)  # Spark orders NaN above infinity
    measures = {
        "nulls": F.count_if(column.isNull()),
        "finite": F.count(value),
        "min": F.min(value),
        "max": F.max(value),
        "distinct": F.approx_count_distinct(column, 0.02),
    }
    return {**measures, "mean": F.avg(value)} if kind in _NUMBERS else measures


def _described(place: int, name: str, kind: str, values: dict[str, Any]) -> dict[str, Any]:
    kept = ("nulls", "min", "max", "mean", "distinct")
    found: dict[str, Any] = {measure: values.get(f"{place}_{measure}") for measure in kept}
    if kind == "timestamp":
        for edge in ("min", "max"):
            found[edge] = None if found[edge] is None else format_time(from_micros(found[edge]))
    not_finite = int(values["rows"]) - int(found["nulls"]) - int(values[f"{place}_finite"])
    return {"name": name, "type": kind, **found, "not_finite": not_finite}
