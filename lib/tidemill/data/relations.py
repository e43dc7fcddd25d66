"""Rules that rows break together: values that may stand once only, and values that another table must have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from tidemill.data.contract import WARN
from tidemill.data.kinds.kind import FILE, POSITION, REASONS
from tidemill.data.refine import WARNINGS
from tidemill.data.versions import row_identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame

    from tidemill.data.contract import Contract
    from tidemill.data.sources import Source


def with_relations(
    typed: DataFrame, contract: Contract, source: Source, known: DataFrame | None, others: Mapping[str, DataFrame]
) -> DataFrame:
    """Adds to the reasons of otherwise valid rows what only shows among rows.

    Args:
        typed: rows as `with_types` makes them.
        contract: its unique columns and references.
        source: how its rows are identified: a correction of a row does not collide with it.
        known: the source's silver, or None where it is empty.
        others: the silver tables of the other sources, by name.
    """
    for group in (*((c.name,) for c in contract.columns if c.unique), *contract.unique):
        typed = _with_reason(_with_collisions(typed, group, source, known), f"UNIQUE:{'+'.join(group)}", contract)
    for column in contract.columns:
        if column.references is not None:
            strays = _with_strays(typed, column.name, column.references, others)
            typed = _with_reason(strays, f"REFERENCE:{column.name}", contract)
    return typed


def _with_collisions(typed: DataFrame, group: tuple[str, ...], source: Source, known: DataFrame | None) -> DataFrame:
    """Adds `_fault`: whether another row, earlier in the batch or in silver, has the same values."""
    names = [F.col(f"`{name}`") for name in group]
    there = F.lit(True)
    for name in names:
        there = there & name.isNotNull()
    valid = (F.size(REASONS) == 0) & there
    rows = typed.withColumns({"_valid": valid, "_identity": row_identity(source)})
    first = Window.partitionBy("_valid", *names).orderBy("batch_id", FILE, POSITION)
    rows = rows.withColumn("_first", F.first("_identity").over(first))
    owner = F.col("_first")
    if known is not None:
        values = {f"_held_{i}": F.col(f"`{_silver_name(name, source)}`") for i, name in enumerate(group)}
        holder = F.col("row_id") if source.key else F.substring_index("row_id", "-", 1)
        held = known.withColumns({**values, "_held": holder}).groupBy(*values).agg(F.min("_held").alias("_held"))
        same = [F.col(held_name) == name for held_name, name in zip(values, names, strict=True)]
        rows = rows.join(held, same, "left").drop(*values)
        owner = F.coalesce("_held", owner)
    fault = F.col("_valid") & (owner != F.col("_identity"))
    return rows.withColumn("_fault", F.coalesce(fault, F.lit(False))).drop("_valid", "_identity", "_first", "_held")


def _silver_name(name: str, source: Source) -> str:
    """What silver calls a column of the contract."""
    return {source.event_time: "event_time", source.known_time: "known_time"}.get(name, name)


def _with_strays(typed: DataFrame, name: str, target: str, others: Mapping[str, DataFrame]) -> DataFrame:
    """Adds `_fault`: whether the other table lacks the value."""
    other, _, column = target.partition(".")
    values = others[other].select(F.col(f"`{column}`").cast("string").alias("_value")).distinct()
    rows = typed.join(values, F.col(f"`{name}`").cast("string") == F.col("_value"), "left")
    return rows.withColumn("_fault", F.col(f"`{name}`").isNotNull() & F.col("_value").isNull()).drop("_value")


def _with_reason(rows: DataFrame, reason: str, contract: Contract) -> DataFrame:
    place = WARNINGS if contract.action(reason) == WARN else REASONS
    more: Column = F.when(F.col("_fault"), F.array_append(place, F.lit(reason))).otherwise(F.col(place))
    return rows.withColumn(place, more).drop("_fault")
