"""Profiles: the distribution of each feature on bins that stay the same.

The bins of a number are the deciles of the training rows; those of a category its commonest values there. Counting on
known bins is one pass over the rows, in Arrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyspark.sql import DataFrame

    from tidemill.features.declarations import Feature

NUMBER, CATEGORY = "number", "category"
_VALUES = 20
_NULL = -1
_RANK_ERROR = 0.001
_COUNTED = "feature string, bin int, n bigint, total double"


@dataclass(frozen=True)
class Bins:
    """The bins of one feature.

    Args:
        feature: its name.
        kind: `number` or `category`.
        edges: inner edges of a number's bins, ascending; bin i holds `edges[i-1] <= x < edges[i]`.
        values: a category's own bins; one more holds all others.
    """

    feature: str
    kind: str
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many bins there are, nulls not counted."""
        return len(self.edges if self.kind == NUMBER else self.values) + 1

    @property
    def labels(self) -> tuple[str, ...]:
        """What each bin holds, for people."""
        if self.kind == CATEGORY:
            return (*self.values, "other")
        if not self.edges:
            return ("all",)
        inner = [f"{a:g} to {b:g}" for a, b in zip(self.edges, self.edges[1:], strict=False)]
        return (f"< {self.edges[0]:g}", *inner, f">= {self.edges[-1]:g}")


@dataclass(frozen=True)
class Profile:
    """The distribution of one feature over some rows.

    Args:
        bins: on which it is counted.
        rows: all rows, nulls included.
        nulls: rows without a value; not a number counts as none.
        mean: of a number's finite values, or None.
        counts: rows per bin.
    """

    bins: Bins
    rows: int
    nulls: int
    mean: float | None
    counts: tuple[int, ...]


def choose_bins(frame: DataFrame, features: Sequence[Feature], number: int) -> list[Bins]:
    """The bins of features by their distribution in reference rows; quantiles are right to a thousandth in rank."""
    numbers = [f.name for f in features if f.type != "string"]
    shares = [i / number for i in range(1, number)]
    quantiles = frame.approxQuantile(numbers, shares, _RANK_ERROR) if numbers else []
    edges = {name: tuple(sorted(set(found))) for name, found in zip(numbers, quantiles, strict=True)}
    chosen = []
    for feature in features:
        if feature.name in edges:
            chosen.append(Bins(feature.name, NUMBER, edges=edges[feature.name]))
            continue
        counted = frame.where(F.col(feature.name).isNotNull()).groupBy(feature.name).count()
        common = counted.orderBy(F.desc("count"), feature.name).limit(_VALUES)
        values = tuple(str(row[feature.name]) for row in common.toLocalIterator())
        chosen.append(Bins(feature.name, CATEGORY, values=values))
    return chosen


def build_profiles(frame: DataFrame, bins: Sequence[Bins]) -> list[Profile]:
    """The profiles of the rows on given bins, in one pass; what reaches the driver is bounded by the bins."""

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [row for item in bins for row in _count(batch.column(item.feature), item)]
            names, numbers, counts, totals = zip(*rows, strict=True)
            yield pa.record_batch(
                [pa.array(names), pa.array(numbers, pa.int32()), pa.array(counts, pa.int64()), pa.array(totals)],
                names=["feature", "bin", "n", "total"],
            )

    counted = frame.select(*[b.feature for b in bins]).mapInArrow(count, _COUNTED)
    summed = counted.groupBy("feature", "bin").agg(F.sum("n").alias("n"), F.sum("total").alias("total"))
    found: dict[str, dict[int, tuple[int, float]]] = {}
    for row in summed.toLocalIterator():
        found.setdefault(row["feature"], {})[row["bin"]] = (int(row["n"]), float(row["total"]))
    return [_profile(item, found.get(item.feature, {})) for item in bins]


def _profile(bins: Bins, found: dict[int, tuple[int, float]]) -> Profile:
    counts = tuple(found.get(i, (0, 0.0))[0] for i in range(bins.size))
    nulls = found.get(_NULL, (0, 0.0))[0]
    total, valued = sum(t for i, (_, t) in found.items() if i != _NULL), sum(counts)
    mean = total / valued if bins.kind == NUMBER and valued else None
    return Profile(bins, valued + nulls, nulls, mean, counts)


def _count(column: pa.Array, bins: Bins) -> Iterable[tuple[str, int, int, float]]:
    if bins.kind == CATEGORY:
        index = pc.fill_null(pc.index_in(column, pa.array(bins.values, pa.string())), len(bins.values))
        values, known = index.to_numpy(zero_copy_only=False), column.is_valid().to_numpy(zero_copy_only=False)
        place, weights = values[known], np.zeros(int(known.sum()))
    else:
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        known = ~np.isnan(values)
        place = np.searchsorted(np.asarray(bins.edges), values[known], side="right")
        weights = np.where(np.isfinite(values[known]), values[known], 0.0)
    counts = np.bincount(place, minlength=bins.size)
    totals = np.bincount(place, weights=weights, minlength=bins.size)
    yield bins.feature, _NULL, int(len(known) - known.sum()), 0.0
    for i in range(bins.size):
        yield bins.feature, i, int(counts[i]), float(totals[i])
