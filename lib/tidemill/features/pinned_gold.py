"""Gold rows and labels as they were when a training set was made from them: read from the files it pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.data import ledger
from tidemill.data.pins import frame_of_pin, pins
from tidemill.features.asof import join_views
from tidemill.features.gold import current_labels, stamps
from tidemill.features.pairs import AS_OF
from tidemill.features.tables import labels_table, view_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.tables import Lake
    from tidemill.features.specs import FeatureView, Label


def join_pinned(
    spark: SparkSession,
    lake: Lake,
    name: str,
    use_case: str,
    label: Label,
    views: Sequence[FeatureView],
    times: Sequence[datetime],
) -> DataFrame | None:
    """The labels at as-of times with the features of views, from what was pinned under a name.

    It is plain Spark's join, whichever way the rows were joined at first: both give the same.

    Returns:
        The same rows as reading and joining the tables gave then; None where a table is not pinned.

    Raises:
        TidemillError: E_PIN (data) where a pinned file is gone or has another size.
    """
    found = {pin.label: pin for pin in pins(lake.root, name)}
    outcome = labels_table(use_case, label)
    if any(table.label not in found for table in (outcome, *map(view_table, views))):
        return None
    held = found[outcome.label]
    entries = [e for e in ledger.entries(lake.root, outcome.label) if e.version <= held.version]
    spine = current_labels(frame_of_pin(spark, lake.root, held), entries, label, times)
    gold = {}
    for view in views:
        rows = frame_of_pin(spark, lake.root, found[view_table(view).label])
        gold[view.table_name] = rows.where(F.col(AS_OF).isin(stamps(view, times)))
    return join_views(spine, views, gold)
