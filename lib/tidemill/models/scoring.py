"""The population of an as-of time, scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.features.asof_choice import Joined, join_gold
from tidemill.features.labels import build_population
from tidemill.models.pipelines import SCORE, with_score

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

    from tidemill.features.gold import Builder
    from tidemill.models.use_case import UseCase


def build_scoring_rows(builder: Builder, use_case: UseCase, times: Sequence[datetime]) -> Joined:
    """The population at the as-of times, as known then, with its gold features."""
    events = builder.events(use_case.label.population.source)
    population = build_population(events, use_case.label, times)
    return join_gold(builder.lake, population, use_case.views, times)


def build_predictions(rows: DataFrame, model: PipelineModel, use_case: UseCase, card: dict[str, Any]) -> DataFrame:
    """Scores and predictions of rows.

    Returns:
        Grain: entity and `event_timestamp`; `score`; `prediction` at the card's threshold, or the value itself.
    """
    scored = with_score(model, rows, use_case.task)
    threshold = card["threshold"]
    decided = F.col(SCORE) if threshold is None else (F.col(SCORE) >= threshold).cast("double")
    return scored.withColumn("prediction", decided)
