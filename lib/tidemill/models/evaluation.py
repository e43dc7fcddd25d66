"""All metrics of scored rows: by the files of a table where workers can open them, else in plain Spark.

Of several classes in plain Spark alone: each of them ranks the rows otherwise, so that no range of scores has them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.data.files import data_files, why_no_plain_files
from tidemill.data.read import read
from tidemill.models.evaluate_files import sums_of_files
from tidemill.models.evaluate_groups import sums_by_group
from tidemill.models.evaluate_sums import RowSums, metrics_of
from tidemill.models.specs import MULTICLASS
from tidemill.stats.counted import Totals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import SparkSession

    from tidemill.data.tables import Lake, Table
    from tidemill.models.evaluate_sums import Metrics

_NOTHING = RowSums(0, 0, Totals(0, 0), None)


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found.

    Args:
        metrics: of all rows.
        path: `files` where workers read the table's files, else why plain Spark was used.
    """

    metrics: Metrics
    path: str


def evaluate_table(
    session: SparkSession, lake: Lake, table: Table, only: Mapping[str, str], task: str, threshold: float
) -> Evaluated:
    """The metrics of a table's rows, which have the columns `label` and `score`, or `probabilities` of several classes.

    Args:
        session: distributes the work.
        lake: the tables.
        table: read at its last ledgered version.
        only: rows of these values of partition columns; empty for all rows.
        task: `binary`, `multiclass` or `regression`.
        threshold: a binary score of at least that is decided positive.

    Raises:
        TidemillError: E_LABEL_VALUE or E_SCORE_VALUE (data) where a row cannot be judged; E_NO_ROWS (no input).
    """
    reason = "several classes" if task == MULTICLASS else why_no_plain_files(lake, table)
    if reason is not None:
        rows = read(session, lake, table)
        for name, value in only.items():
            rows = rows.where(F.col(name) == value)
        found = sums_by_group(rows, task, [], threshold).get((), _NOTHING)
        return Evaluated(metrics_of(found, threshold, table.label), reason)
    files = data_files(lake, table, only)
    sums = sums_of_files(session, files, task, threshold, table.label) if files else _NOTHING
    return Evaluated(metrics_of(sums, threshold, table.label), "files")
