"""The joint drift of the monitor job: the rows that were judged at T against the rows that the model learnt from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.cli.days import DAY, within_a_day
from tidemill.core.time import MICROSECOND
from tidemill.data.read import read
from tidemill.models.card import times_of
from tidemill.models.tables import training_sets_table
from tidemill.monitoring.joint import build_joint

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.cli.judging import Scored
    from tidemill.monitoring.joint import Joint


def find_joint_drift(context: Context, scored: Scored, now: DataFrame) -> Joint | None:
    """How well what was scored can be told from training rows; None where it is not asked for, or of too few rows."""
    use_case, limits, card = context.use_case, context.config.monitor, scored.card
    if not limits.joint_rows or scored.population < limits.minimum_rows:
        return None
    context.progress.say("scored rows beside training rows")
    newest = times_of(card, "final")[-1]
    since = newest - DAY + MICROSECOND if within_a_day(context) else newest
    rows = read(context.spark, context.lake, training_sets_table(use_case))
    rows = rows.where(F.col("training_set_id") == card["training_set_id"])
    return build_joint(rows, now, use_case.features, use_case.entity.key, since, limits.joint_rows)
