"""Answers of the service beside what batch predicted of the same entity, as-of time and model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TOLERANCE = 1e-6  # of a score up to one; of larger ones, that share of them


@dataclass(frozen=True)
class Agreement:
    """How many answers had a prediction beside them, and how many of these agreed with none."""

    compared: int
    different: int


def compare_answers(answers: DataFrame, predictions: DataFrame, key: str) -> Agreement:
    """Compares logged scores with stored ones, each with all that were made for it as late rows came in.

    Args:
        answers: of the request log, those of one use case that have a score and a `batch_as_of`; few enough to send to
            every worker.
        predictions: of the use case.
        key: the column of the predictions that holds the entity.

    Returns:
        Counts of distinct answers: entity, as-of time, model version and score. Scores agree within a millionth, as
        the exact graph promises for every family.
    """
    asked = answers.select(
        F.col("entity").alias(key),
        F.col("batch_as_of").alias("event_timestamp"),
        "model_version",
        F.col("score").alias("served"),
    ).distinct()
    alike = [key, "event_timestamp", "model_version"]
    pairs = predictions.select(*alike, "score").join(F.broadcast(asked), alike)
    away = F.abs(F.col("served") - F.col("score")) / F.greatest(F.lit(1.0), F.abs("score"))
    nearest = pairs.groupBy(*alike, "served").agg(F.min(away).alias("away"))
    agreed = F.coalesce(F.col("away") <= _TOLERANCE, F.lit(False))  # batch may have made no number of it
    found = nearest.agg(F.count("*").alias("compared"), F.count_if(~agreed).alias("different")).first()
    return Agreement(0, 0) if found is None else Agreement(found["compared"], found["different"])
