"""Landed texts as typed values, and why one has none: Spark expressions for one column each.

What Spark would silently accept or change is a reason here: a number beyond its type, one with digits of another
script, one that is not finite or too small for a double; a day that does not exist; an hour that a change of clocks has
skipped or repeated.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.data.contract import EPOCHS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from pyspark.sql import Column

    from tidemill.data.contract import Column as ContractColumn
    from tidemill.data.contract import Contract

# What a text looks like, to the eye of its column's type.
SOUND, INFINITE, FOREIGN, FAR, ATTEMPT, OTHER = "sound", "infinite", "foreign", "far", "attempt", "other"
_ATTEMPT = "(?:[0-9][^0-9]*){4}"
_WHOLE = r"[+-]?[0-9]+"
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NOT_FINITE = r"(?i)[+-]?(?:nan|inf|infinity)"
_ISO = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?: ?(?:Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)
_FIRST_YEAR, _LAST_YEAR = 1900, 9999
_HOUR = "1 hour"
_LAST_SECOND = 253_402_300_799  # of the year 9999
_STATED = r":[0-9]{2}.*(?:Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)$"  # an offset follows a time, never a date alone


def clean(column: ContractColumn) -> Column:
    """The landed text without surrounding blanks; null where it says nothing."""
    text = F.trim(_landed(column))
    empty = reduce(lambda a, b: a | b, [text == token for token in ("", *column.null_tokens)])
    kept = text if column.logical == "string" or column.logic is not None else _landed(column)
    return F.when(~empty, kept)


def text_of(column: ContractColumn) -> Column:
    """The text that is typed: the cleaned one, or what the column's logic makes of it."""
    return F.expr(column.logic) if column.logic else _landed(column)


def typed(column: ContractColumn, contract: Contract, text: Column) -> Column:
    """The value of a text; null where it has none."""
    if column.logical == "string":
        return text.try_cast(column.type)
    if column.logical == "boolean":
        yes, no = (_any_of(text, tokens) for tokens in (column.true_tokens, column.false_tokens))
        return F.when(yes, F.lit(True)).when(no, F.lit(False))
    if column.logical in {"integer", "number"}:
        return _ascii_digits(text, column).try_cast(column.type)
    return _moment(column, contract, text)


def shape(column: ContractColumn, text: Column, value: Column) -> Column:
    """What a text looks like, one of the words above: of a sound one no more than one pattern is tried."""
    if column.logical in {"integer", "number"}:
        digits = _ascii_digits(text, column)
        pattern = _WHOLE if column.logical == "integer" else _NUMBER
        found = F.when(_whole(digits, pattern), SOUND)
        if column.logical == "number":
            found = found.when(_whole(digits, _NOT_FINITE), INFINITE)
        foreign = text.rlike(r"\p{Nd}") & text.rlike(r"[^\x00-\x7f]")
        return found.when(foreign, FOREIGN).when(text.isNotNull(), OTHER)
    found = F.when(value.isNotNull(), SOUND)
    if column.logical in {"timestamp", "date"}:
        year = F.regexp_extract(text, r"^([+-]?[0-9]{1,6})-[0-9]{2}-[0-9]{2}", 1).try_cast("int")
        # Four digits make it an attempt at a moment; anything else is no moment at all.
        found = found.when(~year.between(_FIRST_YEAR, _LAST_YEAR), FAR).when(text.rlike(_ATTEMPT), ATTEMPT)
    return found.when(text.isNotNull(), OTHER)


def faults(
    column: ContractColumn, contract: Contract, latest: datetime, text: Column, value: Column, looks: Column
) -> Iterator[tuple[str, Column]]:
    """The codes of what may be wrong with a landed column, each with the condition that it is.

    Args:
        column: of the contract.
        contract: states the zone of times.
        latest: a time at or after it lies in the future.
        text: what `text_of` gave.
        value: what `typed` gave.
        looks: what `shape` gave; all three under names of their own.
    """
    if column.logical in {"integer", "number"}:
        beyond = value.isNull()
        if column.type == "double":
            beyond = beyond | value.isin(float("inf"), float("-inf"))
            yield "UNDERFLOW", (looks == SOUND) & (value == 0) & text.rlike(r"^[^eE]*[1-9]")
        yield "OVERFLOW", (looks == SOUND) & beyond
        yield "NON_ASCII_NUMBER", looks == FOREIGN
        if not column.non_finite:
            yield "NON_FINITE", looks == INFINITE
        elif column.type != "double":  # a decimal cannot hold what is not finite
            yield "TYPE", looks == INFINITE
        yield "TYPE", looks == OTHER
        return
    yield "TYPE", looks == OTHER
    if column.logical in {"timestamp", "date"}:
        yield "TS_INVALID", looks == ATTEMPT
        yield "TS_RANGE", (looks == FAR) | (value < F.lit(f"{_FIRST_YEAR}-01-01").cast(column.type))
        if column.maximum is None:
            yield "TS_FUTURE", value >= F.lit(latest) if column.type == "timestamp" else value > F.lit(latest.date())
        if column.type == "timestamp" and contract.timezone != "UTC" and column.epoch is None:
            yield "TS_AMBIGUOUS", _ambiguous(column, contract.timezone, text, value)


def _ambiguous(column: ContractColumn, zone: str, text: Column, value: Column) -> Column:
    """Whether clocks skip or repeat a local time; what states its own offset is not local."""
    local = _parsed(column, text)
    skipped = F.from_utc_timestamp(value, zone) != local
    repeated = reduce(
        lambda a, b: a | b,
        [F.from_utc_timestamp(value + F.expr(f"interval '{s}{_HOUR}'"), zone) == local for s in ("", "-")],
    )
    return value.isNotNull() & ~text.rlike(_STATED) & (skipped | repeated)


def _moment(column: ContractColumn, contract: Contract, text: Column) -> Column:
    if column.epoch is not None:
        unit = EPOCHS[column.epoch]
        count = F.when(_whole(text, _WHOLE), text.try_cast("bigint"))
        # Bounded first: what has no place in our years must not overflow.
        value = F.timestamp_micros(F.when(F.abs(count) < _LAST_SECOND * 1_000_000 // unit, count) * F.lit(unit))
        value = value.cast(column.type)
    else:
        value = _parsed(column, text)
    # A year that Python cannot hold would end whatever reads it there.
    value = F.when(value.between(F.lit("0001-01-02").cast(column.type), F.lit("9999-12-30").cast(column.type)), value)
    if column.type != "timestamp" or contract.timezone == "UTC" or column.epoch is not None:
        return value
    return F.when(text.rlike(_STATED), value).otherwise(F.to_utc_timestamp(value, contract.timezone))


def _parsed(column: ContractColumn, text: Column) -> Column:
    if column.format is not None:
        return F.try_to_timestamp(text, F.lit(column.format)).cast(column.type)
    return F.when(_whole(text, _ISO), text).try_cast(column.type)


def _landed(column: ContractColumn) -> Column:
    return F.col(f"`{column.landed}`")


def _ascii_digits(text: Column, column: ContractColumn) -> Column:
    if not column.unicode_digits:
        return text
    signs = "".join(chr(zero + d) for zero in (0x660, 0x6F0, 0x966, 0xFF10) for d in range(10))
    return F.translate(text, signs, "0123456789" * 4)


def _whole(text: Column, pattern: str) -> Column:
    return text.rlike(rf"\A(?:{pattern})\z")


def _any_of(text: Column, tokens: Iterable[str]) -> Column:
    return F.lower(text).isin(*[token.lower() for token in tokens])
