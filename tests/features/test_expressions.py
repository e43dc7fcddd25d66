"""The expression language: one tree, two evaluators that agree to the last bit, and refusals that suggest."""

import contextlib
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from tidemill.core.errors import TidemillError
from tidemill.features.expression_columns import column_of
from tidemill.features.expression_types import sql_type
from tidemill.features.expression_values import value_of
from tidemill.features.expressions import names_in, parse

TYPES = {"a": "double", "b": "double", "c": "double", "s": "string", "t": "string"}
ROW: dict[str, Any] = {"a": 2.0, "b": 0.0, "c": None, "s": "gold", "t": None}
NAN, INF = math.nan, math.inf
ODD: tuple[Any, ...] = (None, NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.1, -0.5, 1e308, -1e308, 5e-324, 1e16, 3.0, 2.5)

Draw = Callable[[st.SearchStrategy[Any]], Any]


def a_number(draw: Draw, depth: int) -> str:
    """The text of an expression that yields a number."""
    shape = draw(st.integers(0, 6 if depth else 1))
    if shape <= 1:
        return str(draw(st.sampled_from(["a", "b", "c", "0", "1", "-1", "2.5", "1e300", "None"][: 9 if shape else 3])))
    one, two = a_number(draw, depth - 1), a_number(draw, depth - 1)
    if shape == 2:
        return f"({one} {draw(st.sampled_from('+-*/'))} {two})"
    if shape == 3:
        return f"{draw(st.sampled_from(['-', 'abs', 'sign', 'sqrt', 'log1p']))}({one})"
    if shape == 4:
        return f"{draw(st.sampled_from(['min', 'max', 'coalesce']))}({one}, {two})"
    return f"({one} if {a_truth(draw, depth - 1)} else {two})"


def a_truth(draw: Draw, depth: int) -> str:
    """The text of an expression that yields a truth."""
    shape = draw(st.integers(0, 5 if depth else 2))
    if shape == 0:
        return f"({draw(a_text_leaf)} {draw(st.sampled_from(['==', '!=']))} {draw(a_text_leaf)})"
    if shape == 1:
        return f"({draw(st.sampled_from('st'))} {draw(st.sampled_from(['in', 'not in']))} ('gold', ''))"
    if shape == 4:
        return f"({a_truth(draw, depth - 1)} {draw(st.sampled_from(['and', 'or']))} {a_truth(draw, depth - 1)})"
    if shape == 5:
        return f"(not {a_truth(draw, depth - 1)})"
    one, two = a_number(draw, max(depth - 1, 0)), a_number(draw, max(depth - 1, 0))
    if shape == 2:
        return f"({one} {draw(st.sampled_from(['is', 'is not']))} None)"
    return f"({one} {draw(st.sampled_from(['<', '<=', '>', '>=', '==', '!=']))} {two})"


a_text_leaf = st.sampled_from(["s", "t", "'gold'", "''", "'é'"])


@st.composite
def expressions(draw: Draw) -> str:
    shape = draw(st.integers(0, 4))
    if shape <= 2:
        return a_number(draw, 3)
    if shape == 3:
        return a_truth(draw, 3)
    return f"coalesce({draw(a_text_leaf)} if {a_truth(draw, 2)} else {draw(a_text_leaf)}, {draw(a_text_leaf)})"


values = st.one_of(st.sampled_from(ODD), st.floats())
rows = st.tuples(values, values, values, *[st.sampled_from([None, "gold", "", "é", "silver"])] * 2)


def yields(text: str) -> str | None:
    """What an expression yields, or None where it is refused, since one of its parts is always null."""
    with contextlib.suppress(TidemillError):
        return sql_type(parse(text), TYPES, "test")
    return None


def evaluated(spark: SparkSession, texts: Sequence[tuple[str, str]], rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    frame = spark.createDataFrame(
        list(enumerate(rows)), "n int, r struct<a double, b double, c double, s string, t string>"
    )
    columns = [column_of(parse(text), kind).alias(f"x{i}") for i, (text, kind) in enumerate(texts)]
    found = {row["n"]: row[1:] for row in frame.select("n", "r.*").select("n", *columns).toLocalIterator()}
    return [found[n] for n in range(len(rows))]


def bits(value: Any) -> Any:
    """What tells two values apart: NaN is NaN, and zero has no sign, as SQL says."""
    if not isinstance(value, float):
        return value
    return "nan" if math.isnan(value) else struct.pack("<d", value + 0.0)


def close(left: Any, right: Any) -> bool:
    """Equal to the last bit; Java's and C's logarithms may differ in it."""
    if bits(left) == bits(right):
        return True
    return isinstance(left, float) and isinstance(right, float) and math.isclose(left, right, rel_tol=1e-14)


@settings(
    max_examples=2,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(texts=st.lists(expressions(), min_size=60, max_size=60), rows=st.lists(rows, min_size=30, max_size=30))
def test_both_evaluators_agree(spark: SparkSession, texts: list[str], rows: list[tuple[Any, ...]]) -> None:
    typed = [(text, kind) for text in texts if (kind := yields(text)) is not None]
    assert len(typed) > len(texts) / 2
    found = evaluated(spark, typed, rows)
    wrong = [
        (text, row, there, here)
        for row, answers in zip(rows, found, strict=True)
        for (text, _), there in zip(typed, answers, strict=True)
        for here in [value_of(parse(text), dict(zip(TYPES, row, strict=True)))]
        if not (close(there, here) if "log1p" in text else bits(there) == bits(here))
    ]
    assert wrong[:5] == []


EXPECTED = {
    "(a + 1) / (b + 1)": 3.0,
    "a / b": None,
    "a / c": None,
    "b / a": 0.0,
    "1 / (b - b)": None,
    "c + 1": None,
    "coalesce(c, b, a)": 0.0,
    "min(a, c, b)": 0.0,
    "max(c, c)": None,
    "log1p(b)": 0.0,
    "log1p(0 - 1)": None,
    "log1p(-2)": None,
    "sqrt(a * 2)": 2.0,
    "sqrt(-a)": NAN,
    "abs(-a)": 2.0,
    "sign(b - a)": -1.0,
    "a > 1": 1.0,
    "not a > 1": 0.0,
    "c > 1": None,
    "c > 1 and b > 1": 0.0,
    "c > 1 or a > 1": 1.0,
    "c > 1 and a > 1": None,
    "1 if c > 1 else 2": 2.0,
    "0 <= b < a": 1.0,
    "0 < b < a": 0.0,
    "c is None": 1.0,
    "s is not None": 1.0,
    "s in ('gold', 'silver')": 1.0,
    "t not in ('gold',)": None,
    "s if a > 1 else 'none'": "gold",
    "coalesce(t, 'unknown')": "unknown",
    "sqrt(-a) == sqrt(-a)": 1.0,
    "sqrt(-a) > 1e308 * 1e308": 1.0,
    "min(sqrt(-a), a)": 2.0,
    "max(sqrt(-a), a)": NAN,
    "1e308 * 10 - 1e308 * 10": NAN,
}


def test_what_expressions_mean(spark: SparkSession) -> None:
    typed = [(text, sql_type(parse(text), TYPES, "test")) for text in EXPECTED]
    here = {text: value_of(parse(text), ROW) for text in EXPECTED}
    there = dict(zip(EXPECTED, evaluated(spark, typed, [tuple(ROW.values())])[0], strict=True))
    wanted = {text: bits(value) for text, value in EXPECTED.items()}
    assert {text: bits(value) for text, value in here.items()} == wanted
    assert {text: bits(value) for text, value in there.items()} == wanted


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a +", "write it as one Python expression"),
        ("a; b", "write it as one Python expression"),
        ("__import__('os').system('true')", "use + - * /"),
        ("a.real", "use + - * /"),
        ("[x for x in (1,)]", "use + - * /"),
        ("(lambda: 1)()", "use + - * /"),
        ("a ** 2", "use + - * /"),
        ("a[0]", "use + - * /"),
        ("f'{a}'", "use + - * /"),
        ("log1q(a)", "did you mean 'log1p'?"),
        ("max(a, key=b)", "use + - * /"),
        ("min(a)", "give it 2 or more"),
        ("a in s", "write x in ('a', 'b')"),
        ("a is 1", "write x == y"),
        ("1e999", "write a number"),
        ("b'x'", "write a number"),
        ("-" * 200 + "a", "make two features of it"),
        ("(" * 300 + "a" + ")" * 300, "write it as one Python expression"),
        ("a + " * 600 + "a", "make two features of it"),
    ],
)
def test_what_is_no_expression_is_refused(text: str, hint: str) -> None:
    with pytest.raises(TidemillError) as caught:
        parse(text)
    assert (caught.value.code, caught.value.exit_code) == ("E_EXPRESSION", 78)
    assert hint in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("aa + 1", "E_FEATURE", "did you mean 'a'?"),
        ("a + s", "E_EXPRESSION", "texts can be compared"),
        ("(a > 1) + 1", "E_EXPRESSION", "1 if a else 0"),
        ("a and b", "E_EXPRESSION", "write a > 0"),
        ("1 if a else 2", "E_EXPRESSION", "write a if b > 0 else c"),
        ("a if a > 1 else s", "E_EXPRESSION", "values of one type"),
        ("a == s", "E_EXPRESSION", "values of one type"),
        ("s < t", "E_EXPRESSION", "compare texts with =="),
        ("a == None", "E_EXPRESSION", "write x is None"),
        ("coalesce(None, None)", "E_EXPRESSION", "let it read a feature"),
    ],
)
def test_types_are_known_before_anything_runs(text: str, code: str, hint: str) -> None:
    with pytest.raises(TidemillError) as caught:
        sql_type(parse(text), TYPES, "test")
    assert caught.value.code == code
    assert hint in caught.value.next_step


def test_an_expression_says_what_it_reads() -> None:
    assert names_in(parse("max(b, a) if s in ('a', 'x') else b / min(c, a)")) == ("s", "b", "a", "c")
