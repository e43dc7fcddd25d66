"""How much each input moves scores, over many rows: workers explain Arrow batches, with no model of Spark's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.models.reasons import features_of, make_explainer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pyspark.sql import DataFrame

IMPORTANCE_ROWS = 20_000
_TOTALS = "feature string, total double, rows bigint"


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


def totals_of_batches(batches: Iterable[pa.RecordBatch], parts: Mapping[str, bytes]) -> Iterator[pa.RecordBatch]:
    """What a worker makes of batches: of each input the sum of the sizes of its contributions, and the rows."""
    explainer = make_explainer(parts)
    for batch in batches:
        totals = np.abs(explainer.explain(batch)).sum(axis=0)
        columns = [pa.array(explainer.inputs), pa.array(totals), pa.array(np.full(len(totals), batch.num_rows))]
        yield pa.RecordBatch.from_arrays(columns, ["feature", "total", "rows"])
