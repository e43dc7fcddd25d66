"""The rows that a challenger and a champion are compared on: every score of a gate row beside its label."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.features.pairs import AS_OF
from tidemill.models.baseline import with_baseline_score
from tidemill.models.comparison import (
    BASELINE,
    CHALLENGER,
    CHAMPION,
    COLUMNS,
    ENTITY,
    LABEL,
    TIME,
    Asked,
    Comparison,
    compare,
    from_text,
)
from tidemill.models.tables import judged_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import Column, DataFrame

    from tidemill.models.baseline import AnyBaseline
    from tidemill.models.use_case import UseCase

_PARTS = 1_000_000


def build_gate_rows(
    gate: DataFrame, kept: DataFrame, champion: DataFrame | None, baseline: AnyBaseline, use_case: UseCase, share: float
) -> DataFrame:
    """Joins the scores of the same rows.

    Grain: entity and as-of time of the gate. What `comparison` reads, with the declared slices as texts.

    Args:
        gate: the gate rows of the challenger's training set: features and `label`.
        kept: the scores that its gate fit gave them, of several classes the probabilities.
        champion: the same rows with those of the champion, or None where there is no champion.
        baseline: of the challenger's training.
        use_case: entity and slices.
        share: of the entities, chosen by a hash.
    """
    key = use_case.entity.key
    place, judged = [key, AS_OF], F.col(judged_on(use_case.task))
    slices = [F.col(name).cast("string").alias(name) for name in use_case.slices]
    rows = with_baseline_score(gate.where(of_share(key, share)), baseline)
    rows = rows.select(*place, F.col("label").alias(LABEL), judged.alias(BASELINE), *slices)
    rows = rows.join(kept.select(*place, judged.alias(CHALLENGER)), place, "left")
    if champion is None:
        rows = rows.withColumn(CHAMPION, F.lit(None).cast(dict(rows.dtypes)[BASELINE]))
    else:
        rows = rows.join(champion.select(*place, judged.alias(CHAMPION)), place, "left")
    return rows.withColumn(ENTITY, F.col(key).cast("string")).withColumnRenamed(AS_OF, TIME)


def of_share(key: str, share: float) -> Column:
    """Whether a row is of a share of the entities, chosen by a hash."""
    return F.pmod(F.xxhash64(F.col(key).cast("string")), F.lit(_PARTS)) < F.lit(share * _PARTS)


def compare_frame(rows: DataFrame, asked: Asked) -> Comparison:
    """Compares the rows of such a frame.

    A paired interval needs the scores of a row beside each other, and all rows at once: one worker has them, and what
    comes back are the figures.
    """

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = compare(pa.Table.from_batches(list(batches)), asked)
        yield pa.record_batch([pa.array([json.dumps(asdict(found))])], ["found"])

    ordered = rows.select(*COLUMNS, *asked.slices).repartition(1).sortWithinPartitions(*COLUMNS)
    found = ordered.mapInArrow(work, "found string").first()
    if found is None:
        raise ValueError("the worker that compares gave no answer")
    return from_text(found["found"])
