"""Training sets: the rows a model learns from, fixed for good under an identity of their own."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.core.digest import digest_of
from tidemill.core.time import encode_times
from tidemill.features.asof_choice import Joined, join_gold
from tidemill.features.gold import label_batches, read_labels, view_batches
from tidemill.models.divisions import gate_fit_rows, gate_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.tables import Lake
    from tidemill.models.splits import Plan
    from tidemill.models.use_case import UseCase

GATE, TRAIN, FINAL = "gate", "train", "final"


def training_set_inputs(lake: Lake, use_case: UseCase, times: Sequence[datetime]) -> dict[str, Any]:
    """What a training set is made from: the declaration, the times, and the batches of gold that hold them."""
    batches = {view.table_name: view_batches(lake, view, times) for view in use_case.views}
    labels = sorted(set(label_batches(lake, use_case.name, use_case.label, times).values()))
    at = [asdict(run) for run in encode_times(times)]
    return {"use_case": use_case.digest, "as_of": at, "batches": batches, "labels": labels}


def training_set_id(inputs: dict[str, Any], settings: dict[str, Any]) -> str:
    """The identity of a training set: the same inputs and fit settings are the same training set."""
    return digest_of([inputs, settings])[:16]


def build_training_set(spark: SparkSession, lake: Lake, use_case: UseCase, plan: Plan) -> Joined:
    """Label rows at all matured times with their features, each marked with its part of the plan.

    Grain: entity and as-of time. The spine is the labels; the views are joined as of the spine's times.
    """
    times = plan.final
    spine = read_labels(spark, lake, use_case.name, use_case.label, times)
    joined = join_gold(lake, spine, use_case.views, times)
    return replace(joined, frame=with_parts(joined.frame, plan, use_case.entity.key))


def with_parts(rows: DataFrame, plan: Plan, key: str) -> DataFrame:
    """Rows with `part`: which fit may see them."""
    part = F.when(F.expr(gate_rows(plan, key)), GATE).when(F.expr(gate_fit_rows(plan, key)), TRAIN).otherwise(FINAL)
    return rows.withColumn("part", part)
