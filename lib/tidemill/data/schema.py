"""Spark SQL types as Arrow types, for tables that are created and written without a JVM."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

_TYPES = {
    "string": pa.string(),
    "binary": pa.binary(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a Spark SQL type name.

    Raises:
        ValueError: where the type is none that tables here use.
    """
    if name in _TYPES:
        return _TYPES[name]
    if match := re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", name):
        return pa.decimal128(int(match.group(1)), int(match.group(2)))
    if match := re.fullmatch(r"array<(.+)>", name):
        return pa.list_(arrow_type(match.group(1)))
    raise ValueError(f"the type {name!r} is none of {', '.join(_TYPES)}, decimal(p,s), array<...>")


def delta_schema(columns: Iterable[tuple[str, str]]) -> pa.Schema:
    """The Arrow schema of a table's columns, all nullable."""
    return pa.schema([pa.field(name, arrow_type(kind)) for name, kind in columns])
