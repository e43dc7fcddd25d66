"""Bronze rows made valid, typed silver versions, or rejected rows with every reason.

Functions on frames. A reason reads `CODE:column`; docs/contracts.md lists them. Equal rows that were delivered twice
are neither: they are counted as duplicates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.data.contract import WARN
from tidemill.data.kinds.kind import DETAIL, FILE, LINE, POSITION, RAW, REASONS
from tidemill.data.typing_rules import clean, faults, shape, text_of
from tidemill.data.typing_rules import typed as typed_value
from tidemill.data.versions import DELETE, DIGEST, operation_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from pyspark.sql import Column, DataFrame

    from tidemill.data.contract import Column as ContractColumn
    from tidemill.data.contract import Contract
    from tidemill.data.sources import Source

WARNINGS = "_warnings"
_PLACE = (FILE, POSITION, LINE, "batch_id")


def with_types(bronze: DataFrame, contract: Contract, latest: datetime, source: Source | None = None) -> DataFrame:
    """Types every column and lists what is wrong with each row.

    Args:
        bronze: landed rows, all strings.
        contract: columns and rules.
        latest: the wall clock plus a day; a time at or after it is a fault of the source.
        source: says which rows delete what they name; those need no other column.

    Returns:
        The contract's columns, the row's place, `_reasons` for which it is rejected, `_warnings` for which it is not,
        `_raw` (the landed row as JSON) and `_digest` (its MD5).
    """
    landed = contract.landed_columns
    raw = F.to_json(F.struct(*[_landed(c) for c in landed]), {"ignoreNullFields": "false"})
    text = bronze.select(
        *[clean(c).alias(c.landed) for c in landed],
        *_PLACE,
        raw.cast("binary").alias(RAW),
        F.md5(raw).alias(DIGEST),
    )
    # Each step gives its results a name: what stands in several conditions is computed once.
    texts = {c.name: f"_text_{i}" for i, c in enumerate(landed)}
    named = text.select(
        *[text_of(c).alias(texts[c.name]) for c in landed],
        *[_landed(c).isNotNull().alias(f"_has_{c.name}") for c in landed],
        *[*_PLACE, RAW, DIGEST],
    )
    typed = named.withColumns({c.name: typed_value(c, contract, F.col(texts[c.name])) for c in landed})
    looks = {c.name: f"_looks_{i}" for i, c in enumerate(landed)}
    typed = typed.withColumns({looks[c.name]: shape(c, F.col(texts[c.name]), _value(c)) for c in landed})
    checks = [
        (f"{code}:{c.name}", failed)
        for c in landed
        for code, failed in faults(c, contract, latest, F.col(texts[c.name]), _value(c), F.col(looks[c.name]))
    ]
    for c in contract.columns:
        if c.physical is None:
            value = F.expr(str(c.logic))
            typed = typed.withColumns({c.name: value.try_cast(c.type), f"_has_{c.name}": value.isNotNull()})
    operation = operation_of(contract, source)
    found = [*checks, *(item for c in contract.columns for item in _value_faults(c, operation, source))]
    found += [(f"RULE:{rule.name}", ~F.expr(rule.condition)) for rule in contract.rules]
    grave = [item for item in found if contract.action(item[0]) != WARN]
    light = [item for item in found if contract.action(item[0]) == WARN]
    judged = typed.withColumns({REASONS: _named(grave), WARNINGS: _named(light), DETAIL: F.lit(None).cast("string")})
    return judged.drop(*[f"_has_{c.name}" for c in contract.columns], *texts.values(), *looks.values())


def _value(column: ContractColumn) -> Column:
    return F.col(f"`{column.name}`")


def _value_faults(column: ContractColumn, operation: Column, source: Source | None) -> Iterator[tuple[str, Column]]:
    value, there = F.col(f"`{column.name}`"), F.col(f"`_has_{column.name}`")
    placing = column.key or (source is not None and column.name in {source.event_time, source.known_time})
    if column.physical is None:
        yield f"TYPE:{column.name}", value.isNull() & there
    if column.required:
        yield f"NULL:{column.name}", ~there if placing else ~there & ~operation.eqNullSafe(DELETE)
    if column.minimum is not None:
        yield f"RANGE:{column.name}", value < F.expr(column.minimum)
    if column.maximum is not None:
        yield f"RANGE:{column.name}", value > F.expr(column.maximum)
    if column.max_length is not None:
        yield f"FIELD_TOO_LONG:{column.name}", F.length(value) > column.max_length
    if column.pattern is not None:
        yield f"PATTERN:{column.name}", ~value.rlike(rf"\A(?:{column.pattern})\z")
    if column.allowed:
        yield f"ALLOWED:{column.name}", ~value.cast("string").isin(*column.allowed)
    if source is not None and column.name == source.operation:
        yield f"ALLOWED:{column.name}", value.isNotNull() & operation.isNull()


def _landed(column: ContractColumn) -> Column:
    return F.col(f"`{column.landed}`")


def _named(items: Sequence[tuple[str, Column]]) -> Column:
    """The names of the conditions that hold."""
    found = [F.when(failed, F.lit(name)) for name, failed in items]
    return F.array_compact(F.array(*found)) if found else F.array().cast("array<string>")
