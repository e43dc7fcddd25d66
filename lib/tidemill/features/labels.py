"""Labels in plain Spark: who is in the population at t, and what happened to them in `[t, t + horizon)`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.core.time import MICROSECOND
from tidemill.features.pairs import (
    AS_OF,
    event_order,
    with_future_as_ofs,
    with_past_as_ofs,
)
from tidemill.features.specs import ActiveWithin, AnyEventIn, ClassIn, ValueAt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame

    from tidemill.features.specs import Label

LABEL = "label"


def build_population(events: DataFrame, label: Label, as_ofs: Sequence[datetime]) -> DataFrame:
    """Entities of the population at each as-of time, as known then.

    Args:
        events: silver versions of the population's source, with `superseded_time`.
        label: declares the population.
        as_ofs: the as-of times.

    Returns:
        Grain: entity and `event_timestamp`.
    """
    population = label.population
    key = population.source.entity.key
    if isinstance(population, ActiveWithin):
        chosen = events.where(F.expr(population.where)) if population.where else events
        return with_past_as_ofs(chosen, as_ofs, population.window).select(key, AS_OF).distinct()
    pairs = with_past_as_ofs(events, as_ofs, None)
    newest = pairs.groupBy(key, AS_OF).agg(F.max_by(F.expr(population.where), event_order()).alias("_holds"))
    return newest.where("_holds").select(key, AS_OF)


def build_labels(population: DataFrame, events: DataFrame, label: Label, as_ofs: Sequence[datetime]) -> DataFrame:
    """The label of every member of the population.

    Args:
        population: entity and `event_timestamp`.
        events: silver versions of the outcome's source, with `superseded_time`, complete for every horizon asked.
        label: declares the outcome.
        as_ofs: the as-of times, all mature.

    Returns:
        Grain: entity and `event_timestamp`; `label` as a double, never null.
    """
    outcome, after = label.outcome, label.matures_after
    key = outcome.source.entity.key
    if isinstance(outcome, ValueAt):
        exact = with_future_as_ofs(events, as_ofs, outcome.after, outcome.after + MICROSECOND, after)
        value = F.max_by(F.col(outcome.column), event_order()).cast("double")
        found = exact.groupBy(key, AS_OF).agg(value.alias(LABEL))
        return population.join(found, [key, AS_OF]).where(F.col(LABEL).isNotNull())
    chosen = events.where(F.expr(outcome.where)) if outcome.where else events
    looked_at = with_future_as_ofs(chosen, as_ofs, timedelta(0), label.horizon, after)
    if isinstance(outcome, ClassIn):
        return population.join(_classes(looked_at, outcome), [key, AS_OF])
    happened = looked_at.select(key, AS_OF).distinct().withColumn("_any", F.lit(1))
    any_event = F.col("_any").isNotNull()
    positive = any_event if isinstance(outcome, AnyEventIn) else ~any_event
    return population.join(happened, [key, AS_OF], "left").select(key, AS_OF, positive.cast("double").alias(LABEL))


def _classes(events: DataFrame, outcome: ClassIn) -> DataFrame:
    """The number of the commonest class of each entity and as-of time that has an event of one."""
    text = F.col(f"`{outcome.column}`").cast("string")
    counts = F.array(*[F.count_if(text == name) for name in outcome.classes])
    found = events.where(text.isin(*outcome.classes)).groupBy(outcome.source.entity.key, AS_OF)
    most = F.array_position("_counts", F.array_max("_counts")) - 1
    return found.agg(counts.alias("_counts")).withColumn(LABEL, most.cast("double")).drop("_counts")
