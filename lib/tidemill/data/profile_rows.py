"""Sketches as rows of a table that people can read and that merge again, whoever wrote them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from tidemill.data.schema import delta_schema
from tidemill.stats.bins import NUMBER, Bins
from tidemill.stats.distinct import Distinct
from tidemill.stats.frequent import Frequent
from tidemill.stats.moments import Moments
from tidemill.stats.quantiles import Quantiles
from tidemill.stats.sketch import Sketch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

PROFILE_COLUMNS = (
    ("slice", "string"),
    ("slice_value", "string"),
    ("day", "date"),
    ("column", "string"),
    ("kind", "string"),
    ("rows", "bigint"),
    ("nulls", "bigint"),
    ("zeros", "bigint"),
    ("infinite", "bigint"),
    ("mean", "double"),
    ("squares", "double"),
    ("low", "double"),
    ("high", "double"),
    ("moment_rows", "bigint"),
    ("distinct", "double"),
    ("hashes", "array<bigint>"),
    ("quantiles", "array<double>"),
    ("quantile_rows", "bigint"),
    ("rank_error", "double"),
    ("frequent_values", "array<string>"),
    ("frequent_counts", "array<bigint>"),
    ("frequent_error", "bigint"),
    ("edges", "array<double>"),
    ("values", "array<string>"),
    ("counts", "array<bigint>"),
)
# What tells values themselves apart takes most of a row's space, and not every reader asks.
_OF_VALUES = ("zeros", "infinite", "distinct", "hashes", "frequent_values", "frequent_counts", "frequent_error")
COUNTED_COLUMNS = tuple(name for name, _ in PROFILE_COLUMNS if name not in _OF_VALUES)
PROFILE_SCHEMA = ", ".join(f"`{name}` {kind}" for name, kind in PROFILE_COLUMNS)


class Key(NamedTuple):
    """What a profile is of.

    Args:
        slice, slice_value: a column and the value that its rows have; empty for all rows, a null is the empty value.
        day: of the rows, in UTC, or None for all days.
        column: the profiled one.
    """

    slice: str
    slice_value: str
    day: date | None
    column: str


@dataclass(frozen=True, eq=False)
class ColumnProfile:
    """A column over the rows of a key.

    Args:
        key: what it is of.
        kind: `number`, `text`, or `other`, of which only rows and nulls are known.
        sketch: what was found.
        bins: that the sketch's counts are on, or None.
    """

    key: Key
    kind: str
    sketch: Sketch
    bins: Bins | None

    @property
    def of_all_days(self) -> ColumnProfile:
        """The same rows, their day forgotten, so that days merge."""
        return replace(self, key=self.key._replace(day=None))


def to_batch(profiles: Iterable[ColumnProfile]) -> pa.RecordBatch:
    """Rows of `PROFILE_SCHEMA`."""
    rows = [_row(p) for p in profiles]
    return pa.RecordBatch.from_pylist(rows, schema=delta_schema(PROFILE_COLUMNS))


def from_row(row: Mapping[str, Any]) -> ColumnProfile:
    """What `to_batch` wrote; of a row of `COUNTED_COLUMNS` alone, the parts that tell values apart are empty."""
    key = Key(row["slice"], row["slice_value"], row["day"], row["column"])
    bins = None
    if row["counts"] is not None:
        bins = Bins(key.column, row["kind"], tuple(row["edges"]), tuple(row["values"]))
    sketch = Sketch(
        row["rows"],
        row["nulls"],
        moments=Moments(row["moment_rows"], row["mean"], row["squares"], row["low"], row["high"]),
        quantiles=Quantiles(row["quantile_rows"], np.asarray(row["quantiles"], np.float64), row["rank_error"]),
        counts=None if row["counts"] is None else np.asarray(row["counts"], np.int64),
    )
    if "hashes" in row:
        values = row["frequent_values"]
        by_value = zip(map(float, values) if row["kind"] == NUMBER else values, row["frequent_counts"], strict=True)
        sketch = replace(
            sketch,
            zeros=row["zeros"],
            infinite=row["infinite"],
            distinct=Distinct(np.asarray(row["hashes"], np.int64).view(np.uint64)),
            frequent=Frequent(dict(by_value), row["frequent_error"]),
        )
    return ColumnProfile(key, row["kind"], sketch, bins)


def _row(profile: ColumnProfile) -> dict[str, Any]:
    found, bins = profile.sketch, profile.bins
    # Values that are as common as one another in an order of their own: parts are merged as workers are done.
    commonest = sorted(((str(v), n) for v, n in found.frequent.counts.items()), key=lambda item: (-item[1], item[0]))
    return {
        **profile.key._asdict(),
        "kind": profile.kind,
        "rows": found.rows,
        "nulls": found.nulls,
        "zeros": found.zeros,
        "infinite": found.infinite,
        "mean": found.moments.mean,
        "squares": found.moments.squares,
        "low": found.moments.low,
        "high": found.moments.high,
        "moment_rows": found.moments.rows,
        "distinct": found.distinct.estimate,
        "hashes": found.distinct.hashes.view(np.int64),
        "quantiles": found.quantiles.values,
        "quantile_rows": found.quantiles.rows,
        "rank_error": found.quantiles.error,
        "frequent_values": [value for value, _ in commonest],
        "frequent_counts": [count for _, count in commonest],
        "frequent_error": found.frequent.error,
        "edges": None if bins is None else list(bins.edges),
        "values": None if bins is None else list(bins.values),
        "counts": found.counts,
    }
