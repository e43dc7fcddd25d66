"""Expressions in Spark: a tree as a column. `expression_values` is its twin for one row, and says the same."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column

    from tidemill.features.expressions import Node


def column_of(node: Node, sql_type: str) -> Column:
    """The column that a tree computes from a frame's columns; a truth as 1.0 or 0.0.

    Args:
        node: the tree.
        sql_type: what it yields.
    """
    return _column(node).cast(sql_type)


def _column(node: Node) -> Column:
    if node.op == "name":
        return F.col(f"`{node.value}`")
    if node.op == "literal":
        return F.lit(node.value)
    return _OPERATIONS[node.op](*[_column(arg) for arg in node.args])


_OPERATIONS: dict[str, Callable[..., Column]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": lambda a, b: a / F.nullif(b, F.lit(0.0)),
    "neg": operator.neg,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
    "is_null": lambda a: a.isNull(),
    "not": operator.invert,
    "and": lambda *args: functools.reduce(operator.and_, args),
    "or": lambda *args: functools.reduce(operator.or_, args),
    "if": lambda condition, then, otherwise: F.when(condition, then).otherwise(otherwise),
    "abs": F.abs,
    "coalesce": F.coalesce,
    "log1p": F.log1p,
    "max": F.greatest,
    "min": F.least,
    "sign": F.signum,
    "sqrt": F.sqrt,
}
