"""Expressions in plain Python: a tree over one row, as the online service needs it.

`expression_columns` is its twin in Spark, and says the same.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidemill.features.expressions import Node

Value = float | str | bool | None


def value_of(node: Node, row: Mapping[str, float | str | None]) -> float | str | None:
    """What a tree yields for a row; a truth as 1.0 or 0.0.

    Args:
        node: the tree, of a known type.
        row: the values of every name that it reads, null as None.
    """
    found = _value(node, row)
    return float(found) if isinstance(found, bool) else found


def _value(node: Node, row: Mapping[str, float | str | None]) -> Value:
    if node.op == "name":
        found = row[str(node.value)]
        return found if found is None or isinstance(found, str) else float(found)
    if node.op == "literal":
        return node.value
    args = [_value(arg, row) for arg in node.args]
    if node.op in _OF_ALL:
        return _OF_ALL[node.op](args)
    return None if None in args else _OPERATIONS[node.op](*args)


def _rank(value: Value) -> tuple[bool, Value]:
    """NaN is the largest number, and equals itself."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return (is_nan, 0.0 if is_nan else value)


def _and(args: list[Value]) -> Value:
    return False if False in args else None if None in args else True


def _or(args: list[Value]) -> Value:
    return True if True in args else None if None in args else False


def _coalesce(args: list[Value]) -> Value:
    return next((value for value in args if value is not None), None)


def _greatest(args: list[Value]) -> Value:
    return max((v for v in args if v is not None), key=_rank, default=None)


def _least(args: list[Value]) -> Value:
    return min((v for v in args if v is not None), key=_rank, default=None)


def _sign(value: float) -> float:
    return value if value == 0 or math.isnan(value) else math.copysign(1.0, value)


_OF_ALL: dict[str, Callable[[list[Value]], Value]] = {
    "and": _and,
    "or": _or,
    "coalesce": _coalesce,
    "max": _greatest,
    "min": _least,
    "is_null": lambda args: args[0] is None,
    "if": lambda args: args[1] if args[0] else args[2],
}
_OPERATIONS: dict[str, Callable[..., Value]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: None if b == 0 else a / b,
    "neg": lambda a: -a,
    "lt": lambda a, b: _rank(a) < _rank(b),
    "le": lambda a, b: _rank(a) <= _rank(b),
    "gt": lambda a, b: _rank(a) > _rank(b),
    "ge": lambda a, b: _rank(a) >= _rank(b),
    "eq": lambda a, b: _rank(a) == _rank(b),
    "ne": lambda a, b: _rank(a) != _rank(b),
    "not": lambda a: not a,
    "abs": abs,
    "log1p": lambda a: None if a <= -1 else math.log1p(a),
    "sign": _sign,
    "sqrt": lambda a: math.nan if a < 0 else math.sqrt(a),
}
