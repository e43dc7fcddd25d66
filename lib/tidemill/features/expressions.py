"""A small language of expressions over features: read once with Python's `ast`, into a tree of its own.

Numbers, texts and truths; `+ - * /`, comparisons, `and`, `or`, `not`, `a if c else b`, `in`, `is None`, functions.
Nothing else is understood, so an expression can do nothing but compute. Two evaluators give every tree the same
meaning: `expression_columns` in Spark and `expression_values` in plain Python. The meaning is SQL's:

- An operation on null is null; `and` and `or` know three values; a condition that is null is not met.
- A division by zero is null. So is `log1p` of a number not above -1; `sqrt` of a negative one is NaN.
- NaN equals itself and is larger than any other number.
- `min` and `max` pass over nulls; `coalesce` is the first that is none; `sign` is -1, 0 or 1.
- A truth that is the whole expression becomes 1 or 0.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import nearest
from tidemill.features.declarations import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NUMBER, TEXT, TRUTH, NULL = "number", "text", "truth", "null"
FUNCTIONS = {  # the least and the greatest number of arguments
    "abs": (1, 1),
    "coalesce": (1, 64),
    "log1p": (1, 1),
    "max": (2, 64),
    "min": (2, 64),
    "sign": (1, 1),
    "sqrt": (1, 1),
}
LONGEST, DEEPEST = 2000, 60

_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}


@dataclass(frozen=True)
class Node:
    """One step of an expression.

    Args:
        op: `literal`, `name`, or what is done with the arguments.
        args: what it is done with.
        value: of a literal, or the name.
    """

    op: str
    args: tuple[Node, ...] = ()
    value: float | str | bool | None = None


@lru_cache(maxsize=1024)
def parse(text: str) -> Node:
    """Reads an expression.

    Raises:
        TidemillError: E_EXPRESSION (configuration) where it is none; the next step says what can be written.
    """
    if len(text) > LONGEST:
        raise _refused(text, f"it is longer than {LONGEST} characters", "make two features of it")
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"
        raise _refused(text, what, "write it as one Python expression over names of features") from None
    return _node(body, text, 0)


def names_in(node: Node) -> tuple[str, ...]:
    """The names that a tree reads, each once, in their order."""
    own = (str(node.value),) if node.op == "name" else ()
    return tuple(dict.fromkeys((*own, *(name for arg in node.args for name in names_in(arg)))))


def column(name: str) -> Node:
    """The tree that is one name."""
    return Node("name", value=name)


def _node(item: ast.expr, text: str, depth: int) -> Node:
    if depth > DEEPEST:
        raise _refused(text, "it is nested too deeply", "make two features of it")
    read = _READERS.get(type(item))
    found = None if read is None else read(item, text, depth + 1)
    if found is None:
        raise _refused(
            text,
            f"{ast.unparse(item)!r} is not understood",
            "use + - * /, comparisons, and, or, not, 'a if c else b', in, is None, and the functions "
            + ", ".join(FUNCTIONS),
        )
    return found


def _all(items: Iterable[ast.expr], text: str, depth: int) -> tuple[Node, ...]:
    return tuple(_node(item, text, depth) for item in items)


def _arithmetic(item: ast.BinOp, text: str, depth: int) -> Node | None:
    op = _ARITHMETIC.get(type(item.op))
    return None if op is None else Node(op, _all((item.left, item.right), text, depth))


def _unary(item: ast.UnaryOp, text: str, depth: int) -> Node | None:
    operand = _node(item.operand, text, depth)
    match item.op:
        case ast.UAdd():
            return operand
        case ast.USub():
            return Node("neg", (operand,))
        case ast.Not():
            return Node("not", (operand,))
        case _:
            return None


def _logical(item: ast.BoolOp, text: str, depth: int) -> Node:
    return Node("and" if isinstance(item.op, ast.And) else "or", _all(item.values, text, depth))


def _comparison(item: ast.Compare, text: str, depth: int) -> Node:
    """A chain such as `0 < a <= 1` holds where each of its parts does."""
    operands = [item.left, *item.comparators]
    pairs = zip(operands, item.ops, item.comparators, strict=False)
    parts = tuple(_compared(left, operator, right, text, depth) for left, operator, right in pairs)
    return parts[0] if len(parts) == 1 else Node("and", parts)


def _call(item: ast.Call, text: str, depth: int) -> Node | None:
    if not isinstance(item.func, ast.Name) or item.keywords:
        return None
    function = item.func.id
    if function not in FUNCTIONS:
        raise _refused(text, f"there is no function {function!r}", nearest(function, FUNCTIONS))
    least, most = FUNCTIONS[function]
    if not least <= len(item.args) <= most:
        wants = f"{least}" if least == most else f"{least} or more"
        raise _refused(text, f"{function!r} takes {wants}, not {len(item.args)}", f"give it {wants}")
    return Node(function, _all(item.args, text, depth))


def _compared(left: ast.expr, operator: ast.cmpop, right: ast.expr, text: str, depth: int) -> Node:
    one = _node(left, text, depth)
    match operator, right:
        case ((ast.Is() | ast.IsNot()), ast.Constant(None)):
            found = Node("is_null", (one,))
            return found if isinstance(operator, ast.Is) else Node("not", (found,))
        case ((ast.In() | ast.NotIn()), (ast.Tuple(items) | ast.List(items))) if items:
            equals = tuple(Node("eq", (one, _node(item, text, depth))) for item in items)
            found = Node("or", equals)
            return found if isinstance(operator, ast.In) else Node("not", (found,))
        case ((ast.In() | ast.NotIn()), _):
            raise _refused(text, "'in' wants a list of values", "write x in ('a', 'b')")
        case ((ast.Is() | ast.IsNot()), _):
            raise _refused(text, "'is' is for None only", "write x == y, or x is None")
        case _:
            return Node(_COMPARISONS[type(operator)], (one, _node(right, text, depth)))


def _literal(value: object, text: str) -> Node:
    if value is None or isinstance(value, bool | str):
        return Node("literal", value=value)
    if isinstance(value, int | float) and abs(value) <= sys.float_info.max:
        return Node("literal", value=float(value))
    raise _refused(text, f"{value!r} is no number, text or truth", "write a number such as 1.5 or a text such as 'a'")


def _refused(text: str, what: str, next_step: str) -> Exception:
    shown = text if len(text) <= 80 else f"{text[:80]}..."
    return invalid("E_EXPRESSION", what, f"expression {shown!r}", next_step)


_READERS: dict[type[ast.expr], Callable[[Any, str, int], Node | None]] = {
    ast.Name: lambda item, _text, _depth: column(item.id),
    ast.Constant: lambda item, text, _depth: _literal(item.value, text),
    ast.BinOp: _arithmetic,
    ast.UnaryOp: _unary,
    ast.BoolOp: _logical,
    ast.Compare: _comparison,
    ast.IfExp: lambda item, text, depth: Node("if", _all((item.test, item.body, item.orelse), text, depth)),
    ast.Call: _call,
}
