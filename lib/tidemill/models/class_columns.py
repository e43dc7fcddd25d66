"""Columns that follow from the probabilities of several classes: what is predicted, and what the label says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.models.tables import PREDICTION, PROBABILITIES, SCORE
from tidemill.stats.probabilities import LEAST

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def with_probabilities(frame: DataFrame, probabilities: Column) -> DataFrame:
    """Adds `probabilities`, and what follows from them: `score`, the highest, and `prediction`, whose it is."""
    there = frame.withColumn(PROBABILITIES, probabilities)
    found = F.col(PROBABILITIES)
    return there.withColumns({SCORE: F.array_max(found), PREDICTION: predicted_of(found)})


def predicted_of(probabilities: Column) -> Column:
    """The number of the class of the highest probability, of equal ones the first, as a double."""
    return (F.array_position(probabilities, F.array_max(probabilities)) - 1).cast("double")


def loss_of(label: Column, probabilities: Column) -> Column:
    """-ln of the probability given to the label, in nats, within 2^-52 of 0 and 1; null where none was given."""
    given = F.nanvl(F.get(probabilities, label.try_cast("int")), F.lit(None).cast("double"))
    bounded = F.least(F.greatest(given, F.lit(LEAST)), F.lit(1 - LEAST))  # both skip nulls
    return F.when(given.isNotNull(), -F.ln(bounded))


def entropy_of(probabilities: Column) -> Column:
    """The log loss to expect of a row whose probabilities mean what they say, in nats (Shannon 1948)."""
    parts = F.transform(probabilities, lambda p: F.when(p > 0, -p * F.ln(p)).otherwise(0.0))
    return F.aggregate(parts, F.lit(0.0), lambda total, value: total + value)


def squared_error_of(label: Column, probabilities: Column) -> Column:
    """The sum over classes of squared differences of probability and what came true."""

    def squared(probability: Column, number: Column) -> Column:
        error = probability - (number == label).cast("double")
        return error * error

    return F.aggregate(F.transform(probabilities, squared), F.lit(0.0), lambda total, value: total + value)


def exact_sum(values: Column) -> Column:
    """The sum of doubles of moderate size as a decimal: each is rounded to 18 places, and their order is nothing."""
    return F.sum(values.cast("decimal(38,18)"))
