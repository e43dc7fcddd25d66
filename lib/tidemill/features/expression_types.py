"""What an expression yields, known before anything runs: the types of its names go in, its own comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.core.errors import nearest
from tidemill.features.declarations import invalid
from tidemill.features.expressions import NULL, NUMBER, TEXT, TRUTH, Node

if TYPE_CHECKING:
    from collections.abc import Mapping

_SQL = {"double": NUMBER, "string": TEXT}
_TRUTHS = {"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "is_null"}
_ORDER = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def sql_type(node: Node, types: Mapping[str, str], where: str) -> str:
    """The Spark SQL type of a tree: `double` or `string`.

    Args:
        node: the tree.
        types: the Spark SQL types of the names that it may read.
        where: says in an error whose expression it is.

    Raises:
        TidemillError: E_FEATURE where a name is not known, E_EXPRESSION where types do not fit; both configuration.
    """
    found = _type_of(node, types, where)
    if found == NULL:
        raise _misfit("it is null whatever the features are", where, "let it read a feature")
    return "string" if found == TEXT else "double"


def _type_of(node: Node, types: Mapping[str, str], where: str) -> str:
    if node.op == "name":
        name = str(node.value)
        if name not in types:
            raise invalid("E_FEATURE", f"there is no feature {name!r} before its use", where, nearest(name, types))
        return _SQL[types[name]]
    if node.op == "literal":
        return _literal_type(node.value)
    return _type_of_operation(node.op, [_type_of(arg, types, where) for arg in node.args], where)


def _type_of_operation(op: str, found: list[str], where: str) -> str:
    if op in {"eq", "ne"} and NULL in found:
        raise _misfit("nothing equals None", where, "write x is None")
    if op in {"and", "or", "not"}:
        _all(found, TRUTH, op, where, "compare first: write a > 0")
    elif op == "if":
        _all(found[:1], TRUTH, op, where, "compare first: write a if b > 0 else c")
    elif op in _ORDER:
        _all(found, NUMBER, _ORDER[op], where, "compare texts with == or in")
    elif op not in {"eq", "ne", "coalesce", "is_null"}:
        _all(found, NUMBER, op, where, "count truths as '1 if a else 0'; texts can be compared, not computed")
    common = NULL if op == "is_null" else _one(found[1:] if op == "if" else found, where)
    if op in {"if", "coalesce"}:
        return common
    return TRUTH if op in _TRUTHS else NUMBER


def _literal_type(value: float | str | bool | None) -> str:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return TRUTH
    return TEXT if isinstance(value, str) else NUMBER


def _all(found: list[str], wanted: str, op: str, where: str, next_step: str) -> None:
    for each in found:
        if each not in {wanted, NULL}:
            raise _misfit(f"{op!r} takes a {wanted}, not a {each}", where, next_step)


def _one(found: list[str], where: str) -> str:
    kinds = sorted(set(found) - {NULL})
    if len(kinds) > 1:
        raise _misfit(f"a {kinds[0]} and a {kinds[1]} have no common type", where, "use values of one type")
    return kinds[0] if kinds else NULL


def _misfit(what: str, where: str, next_step: str) -> Exception:
    return invalid("E_EXPRESSION", what, where, next_step)
