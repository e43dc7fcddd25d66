"""SQL conditions over silver columns as Arrow expressions: a small part of SQL, and no more than is surely alike.

    condition   = term {OR term};  term = factor {AND factor};  factor = [NOT] factor | (condition) | predicate
    predicate   = operand (= | == | != | <> | < | <= | > | >=) operand | column [NOT] IN (literal, ...)
                | column IS [NOT] NULL | boolean column

Names of columns are told apart without regard to case, as Spark does. A number is compared with a number, a text with a
text; whatever Spark would convert first, and whatever else SQL can say, is left to Spark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?![\w.]))|(?P<text>'[^'\\]*'(?!\s*'))|(?P<name>[A-Za-z_]\w*(?![\w.(]))"
    r"|`(?P<quoted>[^`]+)`|(?P<sign><>|!=|<=|>=|==|[=<>(),-]))"
)
_DIGITS = 18  # of numbers that stay exact however they are put side by side
_WORDS = frozenset({"and", "or", "not", "in", "is", "null", "true", "false"})
_COMPARES: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class NotArrowError(Exception):
    """A condition that Spark has to judge; the message says why."""


@dataclass(frozen=True)
class Condition:
    """A condition that workers can judge.

    Args:
        text: in SQL, as it was declared.
        holds: true, false or null for each row, with SQL's logic of three values.
        columns: what it reads.
    """

    text: str
    holds: pc.Expression
    columns: tuple[str, ...]

    def __and__(self, other: Condition) -> Condition:
        columns = tuple(sorted({*self.columns, *other.columns}))
        return Condition(f"({self.text}) and ({other.text})", self.holds & other.holds, columns)


def arrow_condition(text: str, columns: Mapping[str, str]) -> Condition:
    """The condition as an Arrow expression.

    Args:
        text: in SQL.
        columns: names of the columns it may read, and their Spark SQL types.

    Raises:
        NotArrowError: where it says anything that is not known here.
    """
    parser = _Parser(_tokens(text), columns)
    found = parser.condition()
    if parser.place < len(parser.tokens):
        raise NotArrowError(f"{parser.tokens[parser.place][1]!r} is not understood")
    return Condition(text, found, tuple(sorted(parser.read)))


@dataclass(frozen=True)
class _Operand:
    """A column or a literal; `kind` is number, text, or truth."""

    kind: str
    value: Any
    type: str | None = None  # Spark's, of a column


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise NotArrowError(f"{text[place:].strip()!r} is not understood")
        kind = str(match.lastgroup)
        value = match.group(kind)
        if kind == "name" and value.lower() in _WORDS:
            kind, value = "word", value.lower()
        found.append(("name" if kind == "quoted" else kind, value))
        place = match.end()
    return found


class _Parser:
    """Reads tokens from left to right; `place` is the next one."""

    def __init__(self, tokens: list[tuple[str, str]], columns: Mapping[str, str]) -> None:
        self.tokens, self.place = tokens, 0
        self.read: set[str] = set()
        self._columns = {name.lower(): (name, kind) for name, kind in columns.items()}

    def condition(self) -> pc.Expression:
        found = self._term()
        while self._skip("word", "or"):
            found = found | self._term()
        return found

    def _term(self) -> pc.Expression:
        found = self._factor()
        while self._skip("word", "and"):
            found = found & self._factor()
        return found

    def _factor(self) -> pc.Expression:
        if self._skip("word", "not"):
            return ~self._factor()
        if self._skip("sign", "("):
            found = self.condition()
            self._expect("sign", ")")
            return found
        return self._predicate()

    def _predicate(self) -> pc.Expression:
        left = self._operand()
        kind, sign = self._peek()
        if kind == "sign" and sign in _COMPARES:
            self.place += 1
            return _compared(left, sign, self._operand())
        if left.type is None:
            raise NotArrowError(f"the literal {left.value!r} is no condition")
        if self._skip("word", "is"):
            negated = self._skip("word", "not")
            self._expect("word", "null")
            return ~left.value.is_null() if negated else left.value.is_null()
        negated = self._skip("word", "not")
        if self._skip("word", "in"):
            found = reduce(lambda a, b: a | b, [_compared(left, "=", item) for item in self._list()])
            return ~found if negated else found
        if left.type != "boolean" or negated:
            raise NotArrowError("a column alone is no condition, unless it is a boolean")
        return left.value

    def _list(self) -> list[_Operand]:
        self._expect("sign", "(")
        items = [self._literal()]
        while self._skip("sign", ","):
            items.append(self._literal())
        self._expect("sign", ")")
        return items

    def _operand(self) -> _Operand:
        kind, value = self._peek()
        if kind != "name":
            return self._literal()
        self.place += 1
        if value.lower() not in self._columns:
            raise NotArrowError(f"{value!r} is no column that it may read")
        name, type_ = self._columns[value.lower()]
        self.read.add(name)
        return _Operand(_kind(type_), pc.field(name), type_)

    def _literal(self) -> _Operand:
        negative = self._skip("sign", "-")
        kind, value = self._peek()
        self.place += 1
        if kind == "number" and len(value) <= _DIGITS:
            number = Decimal(value) if "." in value else int(value)
            return _Operand("number", -number if negative else number)
        if not negative and kind == "text":
            return _Operand("text", value[1:-1])
        if not negative and kind == "word" and value in {"true", "false"}:
            return _Operand("truth", value == "true")
        raise NotArrowError(f"{value or 'the end'!r} stands where a column or a literal is expected")

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "")

    def _skip(self, kind: str, value: str) -> bool:
        found = self._peek() == (kind, value)
        self.place += found
        return found

    def _expect(self, kind: str, value: str) -> None:
        if not self._skip(kind, value):
            raise NotArrowError(f"{value!r} is expected, not {self._peek()[1] or 'the end'!r}")


def _kind(type_: str) -> str:
    decimal = re.fullmatch(r"decimal\((\d+),\s*\d+\)", type_)
    if type_ in {"int", "bigint", "double"} or (decimal and int(decimal.group(1)) <= _DIGITS):
        return "number"
    return {"string": "text", "boolean": "truth"}.get(type_, type_)


def _compared(left: _Operand, sign: str, right: _Operand) -> pc.Expression:
    if left.type is None and right.type is not None:
        left, sign, right = right, _TURNED.get(sign, sign), left
    if left.type is None:
        raise NotArrowError("two literals are compared")
    if left.kind != right.kind or left.kind not in {"number", "text", "truth"}:
        raise NotArrowError(f"a column of type {left.type} is compared with a {right.type or right.kind}")
    if right.type is not None:
        if left.type != right.type or left.type == "double":
            raise NotArrowError(f"a column of type {left.type} is compared with one of type {right.type}")
        return _COMPARES[sign](left.value, right.value)
    if left.type == "double":
        found = _COMPARES[sign](left.value, pa.scalar(float(right.value)))
        # SQL takes NaN for larger than any number; for Arrow it is neither larger nor smaller.
        return found | left.value.is_nan() if sign in {">", ">="} else found
    exact = left.type is not None and left.type.startswith("decimal(")
    return _COMPARES[sign](left.value, pa.scalar(Decimal(right.value) if exact else right.value))
