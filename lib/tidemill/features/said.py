"""Whether a column's value, as SQL writes it, is a text: what pivots and shares ask, as a condition in Arrow."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.features.conditions import Condition, NotArrowError

if TYPE_CHECKING:
    from collections.abc import Mapping

_WHOLE = {"int": 10, "bigint": 19}  # digits
_PLAIN_SCALE = 6  # decimals with more digits behind the point may be written with exponents
_INT64 = 1 << 63


def says(column: str, value: str, columns: Mapping[str, str]) -> Condition:
    """The condition that a column, cast to a text, is the value.

    Args:
        column: of texts, truths, whole numbers or decimals.
        value: the text.
        columns: names of the columns that may be read, and their Spark SQL types.

    Raises:
        NotArrowError: where the column is none of these, or of any other type.
    """
    if column not in columns:
        raise NotArrowError(f"{column!r} is none of the contract's columns")
    kind, field = columns[column], pc.field(column)
    if kind == "string":
        wanted: str | bool | pa.Scalar | None = value
    elif kind == "boolean":
        wanted = {"true": True, "false": False}.get(value)
    else:
        wanted = _number(kind, value)
    # What no value is ever written as is the text of none.
    holds = pc.scalar(False) if wanted is None else field == wanted
    return Condition(f"cast(`{column}` as string) = {value!r}", holds, (column,))


def _number(kind: str, value: str) -> pa.Scalar | None:
    """The number of a type that is written so; each has one text only."""
    decimal = re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", kind)
    digits, scale = (int(decimal[1]), int(decimal[2])) if decimal is not None else (_WHOLE.get(kind, 0), 0)
    if not digits or scale > _PLAIN_SCALE:
        raise NotArrowError(f"the text of a {kind}")
    if re.fullmatch(r"-?\d+(\.\d+)?", value) is None:
        return None
    number = Decimal(value)
    if f"{number:.{scale}f}" != value or (number.is_zero() and value.startswith("-")):
        return None
    if len(number.as_tuple().digits) > digits or (decimal is None and not -_INT64 <= number < _INT64):
        return None
    return pa.scalar(number if decimal is not None else int(number))
