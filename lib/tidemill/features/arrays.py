"""Expressions over the values of one group as an array, in plain Spark: the few words that several features share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column


def let(value: Column, body: Callable[[Column], Column]) -> Column:
    """The body with the value in it, computed once however often the body names it."""
    from pyspark.sql import functions as F

    return F.get(F.transform(F.array(value), body), F.lit(0))


def total(values: Column) -> Column:
    """The sum of an array of doubles from left to right; zero over none."""
    from pyspark.sql import functions as F

    return F.aggregate(values, F.lit(0.0), lambda so_far, value: so_far + value)
