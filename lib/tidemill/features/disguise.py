"""Features that know too much by themselves: beside the label, all of them in one pass in one worker."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tidemill.features.labels import LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyspark.sql import DataFrame

    from tidemill.features.declarations import Feature
    from tidemill.stats.alone import Alone

_SCHEMA = "feature string, rows bigint, strength double, same double, nulls double"


def build_alone(rows: DataFrame, features: Sequence[Feature], beside: Callable[..., Alone]) -> DataFrame:
    """What each feature alone says about the label: grain feature, the fields of `stats.alone.Alone`.

    Args:
        rows: of a sample, few enough for one worker: the features and `label`.
        features: to judge.
        beside: of `stats.alone`, what values, where they are known, and labels say of each other.
    """

    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = list(batches)
        if not held:
            return
        table = pa.Table.from_batches(held)
        label = table[LABEL].to_numpy()
        found = []
        for feature in features:
            column = table[feature.name].combine_chunks()
            known = column.is_valid().to_numpy(zero_copy_only=False)
            if feature.type == "string":
                values = column.to_numpy(zero_copy_only=False)
            else:
                values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
                known = known & ~np.isnan(values)
            found.append({"feature": feature.name, **asdict(beside(values, known, label))})
        yield pa.RecordBatch.from_pylist(
            found,
            schema=pa.schema(
                [
                    ("feature", pa.string()),
                    ("rows", pa.int64()),
                    ("strength", pa.float64()),
                    ("same", pa.float64()),
                    ("nulls", pa.float64()),
                ]
            ),
        )

    return rows.select(LABEL, *[f.name for f in features]).coalesce(1).mapInArrow(judge, _SCHEMA)
