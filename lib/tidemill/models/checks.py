"""What is asked of a training set before anything is fitted on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError
from tidemill.models.training_set import GATE, TRAIN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def check_labels(rows: DataFrame, task: str, where: str) -> None:
    """Refuses a training set from which nothing can be learned or judged.

    Raises:
        TidemillError: E_NO_ROWS (no input) where the gate or what trains for it is empty; E_ONE_CLASS (data) where a
            binary label has one value only; E_LABEL_VALUE (data) where a label is not finite, or not 0 or 1.
    """
    label = F.col("label")
    allowed = label.isin(0.0, 1.0) if task == "binary" else F.abs(label) < float("inf")
    summary = rows.groupBy("part").agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_distinct("label").alias("values"),
        F.sum(F.when(label.isNull() | ~allowed | F.isnan(label), 1).otherwise(0)).alias("bad"),
    )
    parts = {row["part"]: row for row in summary.toLocalIterator()}
    for part in (TRAIN, GATE):
        if part not in parts:
            raise _refused(
                "E_NO_ROWS", f"the training set has no {part} row", where, "choose a later as-of time", Exit.NO_INPUT
            )
        if parts[part]["bad"]:
            raise _refused(
                "E_LABEL_VALUE",
                f"{parts[part]['bad']} {part} labels are not usable numbers",
                where,
                "correct the label",
                Exit.DATA,
            )
        if task == "binary" and parts[part]["values"] < 2:
            raise _refused(
                "E_ONE_CLASS",
                f"all {parts[part]['rows']} {part} rows have the same label",
                where,
                "check the label's outcome and horizon: there is nothing to tell apart",
                Exit.DATA,
            )


def _refused(code: str, what: str, where: str, next_step: str, exit_code: Exit) -> TidemillError:
    return TidemillError(code, what, where=where, next_step=next_step, exit_code=exit_code)
