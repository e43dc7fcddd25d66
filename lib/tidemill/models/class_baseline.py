"""What a model of several classes has to beat: how often each class is, of all rows, and beside one feature alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame

_TENTHS = [n / 10 for n in range(1, 10)]
_EXACT = 10_000  # of a training set that Spark would have to sketch, deciles are right to a ten-thousandth of the rows


@dataclass(frozen=True)
class ClassBaseline:
    """The fitted baselines of a multiclass task.

    Args:
        constant: the share of each class of the training rows, with one row more of each: the trivial model.
        feature: the one feature that is used alone.
        edges: between the bins of its values: the deciles of the training rows, each once, ascending. A value that
            equals an edge lies below it.
        shares: of each bin the share of each class, with one row more that is as all rows are; last of the rows that
            have no value.
    """

    constant: tuple[float, ...]
    feature: str
    edges: tuple[float, ...]
    shares: tuple[tuple[float, ...], ...]


def fit_class_baseline(train: DataFrame, feature: str, value: Column, classes: int) -> ClassBaseline:
    """Fits both baselines on training rows.

    Args:
        train: with `label`.
        feature: its name.
        value: the feature as a number, null where it is none.
        classes: how many there are.
    """
    cuts = train.agg(F.percentile_approx(value, _TENTHS, _EXACT).alias("cuts")).first()
    edges = tuple(sorted(set((None if cuts is None else cuts["cuts"]) or ())))
    counts = [[0] * classes for _ in range(len(edges) + 2)]
    for row in train.groupBy(_bin(value, edges).alias("bin"), "label").count().toLocalIterator():
        counts[row["bin"]][int(row["label"])] = row["count"]
    totals = [sum(column) for column in zip(*counts, strict=True)]
    if not sum(totals):
        raise ValueError("there is no training row")
    constant = tuple((total + 1) / (sum(totals) + classes) for total in totals)
    shares = tuple(
        tuple((count + usual) / (sum(row) + 1) for count, usual in zip(row, constant, strict=True)) for row in counts
    )
    return ClassBaseline(constant, feature, edges, shares)


def constant_probabilities(baseline: ClassBaseline) -> Column:
    """The trivial model's probabilities."""
    return F.array(*map(F.lit, baseline.constant))


def baseline_probabilities(baseline: ClassBaseline, value: Column) -> Column:
    """The probabilities of the bin that a value lies in."""
    rows = F.array(*[F.array(*map(F.lit, shares)) for shares in baseline.shares])
    return F.get(rows, _bin(value, baseline.edges))


def _bin(value: Column, edges: Sequence[float]) -> Column:
    """The number of edges below a value; the last bin is that of no value."""
    place = sum(((value > edge).cast("int") for edge in edges), F.lit(0))
    return F.when(value.isNull(), F.lit(len(edges) + 1)).otherwise(place)
