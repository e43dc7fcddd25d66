"""Reasons of many rows, distributed: workers explain Arrow batches, with no model of Spark's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.models.reasons import features_of, make_explainer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pyspark.sql import DataFrame

IMPORTANCE_ROWS = 20_000
_REASONS = "reasons array<string>, contributions array<double>"
_TOTALS = "feature string, total double, rows bigint"


def with_reasons(rows: DataFrame, parts: Mapping[str, bytes] | None, count: int, kept: Sequence[str]) -> DataFrame:
    """Rows with why they have their score.

    Args:
        rows: the features that the model reads, beside other columns.
        parts: of the model's explainer, or None where it has none: then both columns are null.
        count: so many reasons a row, at most.
        kept: the columns that stay.

    Returns:
        `kept`, `reasons`: the inputs that moved the row's margin most, largest first, and `contributions`: by how much.
    """
    if parts is None or not count:
        nothing = [F.lit(None).cast(kind).alias(name) for name, kind in (c.split(" ") for c in _REASONS.split(", "))]
        return rows.select(*kept, *nothing)
    features = [name for name in features_of(parts) if name not in kept]
    said = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in rows.select(*kept).schema)
    work = partial(reasons_of_batches, parts=parts, count=count, kept=kept)
    return rows.select(*kept, *[f"`{name}`" for name in features]).mapInArrow(work, f"{said}, {_REASONS}")


def importance(rows: DataFrame, parts: Mapping[str, bytes] | None) -> dict[str, Any] | None:
    """How much each input moves the margin, over rows: the mean size of its contributions, largest first.

    Args:
        rows: the features that the model reads; of many, `IMPORTANCE_ROWS` are taken by a hash of their features.
        parts: of the model's explainer, or None where it has none.

    Returns:
        JSON values, or None without an explainer: `rows`, `unit`, `base`, and `features`, each with its `mean`.
    """
    if parts is None:
        return None
    explainer = make_explainer(parts)
    features = [f"`{name}`" for name in features_of(parts)]
    sample = rows.select(*features).orderBy(F.xxhash64(*features)).limit(IMPORTANCE_ROWS)
    summed = (
        sample.mapInArrow(partial(totals_of_batches, parts=parts), _TOTALS)
        .groupBy("feature")
        .agg(F.sum("total"), F.sum("rows"))
    )
    found = {name: (total, count) for name, total, count in summed.toLocalIterator()}
    means = {name: found[name][0] / found[name][1] for name in explainer.inputs if name in found}
    return {
        "rows": max((count for _, count in found.values()), default=0),
        "unit": explainer.unit,
        "base": explainer.base,
        "features": [{"name": name, "mean": mean} for name, mean in sorted(means.items(), key=lambda item: -item[1])],
    }


def reasons_of_batches(
    batches: Iterable[pa.RecordBatch], parts: Mapping[str, bytes], count: int, kept: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """What a worker makes of batches: the columns that stay, `reasons` and `contributions`."""
    explainer = make_explainer(parts)
    for batch in batches:
        names, values = explainer.reasons(explainer.explain(batch), count)
        columns = [batch.column(name) for name in kept]
        yield pa.RecordBatch.from_arrays([*columns, names, values], [*kept, "reasons", "contributions"])


def totals_of_batches(batches: Iterable[pa.RecordBatch], parts: Mapping[str, bytes]) -> Iterator[pa.RecordBatch]:
    """What a worker makes of batches: of each input the sum of the sizes of its contributions, and the rows."""
    explainer = make_explainer(parts)
    for batch in batches:
        totals = np.abs(explainer.explain(batch)).sum(axis=0)
        columns = [pa.array(explainer.inputs), pa.array(totals), pa.array(np.full(len(totals), batch.num_rows))]
        yield pa.RecordBatch.from_arrays(columns, ["feature", "total", "rows"])
