"""All metrics of scored rows: by the files of a table where workers can open them, else in plain Spark."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.data.files import data_files, why_no_plain_files
from tidemill.data.read import read
from tidemill.models.evaluate_files import sums_of_files
from tidemill.models.evaluate_groups import sums_by_group
from tidemill.models.evaluate_sums import RowSums, metrics_of
from tidemill.stats.binary import Binary
from tidemill.stats.counted import Totals
from tidemill.stats.intervals import roc_auc_interval, wilson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.tables import Lake, Table
    from tidemill.stats.residuals import Regression

_NOTHING = RowSums(0, 0, Totals(0, 0), None)


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found.

    Args:
        metrics: of all rows.
        path: `files` where workers read the table's files, else why plain Spark was used.
    """

    metrics: Binary | Regression
    path: str


def evaluate_table(
    session: SparkSession, lake: Lake, table: Table, only: Mapping[str, str], task: str, threshold: float
) -> Evaluated:
    """The metrics of a table's rows, which have the columns `label` and `score`.

    Args:
        session: distributes the work.
        lake: the tables.
        table: read at its last ledgered version.
        only: rows of these values of partition columns; empty for all rows.
        task: `binary` or `regression`.
        threshold: a binary score of at least that is decided positive.

    Raises:
        TidemillError: E_LABEL_VALUE or E_SCORE_VALUE (data) where a row cannot be judged; E_NO_ROWS (no input).
    """
    reason = why_no_plain_files(lake, table)
    if reason is not None:
        rows = read(session, lake, table)
        for name, value in only.items():
            rows = rows.where(F.col(name) == value)
        return Evaluated(metrics_of(sums_by_group(rows, task, [], threshold)[()], threshold, table.label), reason)
    files = data_files(lake, table, only)
    sums = sums_of_files(session, files, task, threshold, table.label) if files else _NOTHING
    return Evaluated(metrics_of(sums, threshold, table.label), "files")


def evaluate_groups(
    scored: DataFrame, task: str, by: Sequence[str], threshold: float, where: str
) -> dict[tuple[Any, ...], Binary | Regression]:
    """The metrics of each group of a frame's rows, in one pass.

    Args:
        scored: `label` and `score`.
        task: `binary` or `regression`.
        by: the columns that make a group.
        threshold: a binary score of at least that is decided positive.
        where: the rows are, for messages.

    Raises:
        TidemillError: as `evaluate_table`.
    """
    found = sums_by_group(scored, task, by, threshold)
    return {group: metrics_of(sums, threshold, where) for group, sums in found.items()}


def scalars(metrics: Binary | Regression) -> dict[str, float]:
    """Every metric that is one number, by its name; those that the rows do not allow are left out.

    Of a binary task the names with an interval are `NAME_low` and `NAME_high`, at 95 %: ROC AUC after DeLong, accuracy,
    precision and recall after Wilson; rows are taken as independent.
    """
    found: dict[str, float | None] = asdict(metrics) if not isinstance(metrics, Binary) else _of_binary(metrics)
    return {name: value for name, value in found.items() if value is not None}


def as_values(metrics: Binary | Regression) -> dict[str, Any]:
    """Every metric as JSON values: `scalars`, and for a binary task `confusion`, `calibration` and `lift`."""
    if not isinstance(metrics, Binary):
        return dict(scalars(metrics))
    tables: dict[str, Any] = {
        "threshold": metrics.threshold,
        "confusion": asdict(metrics.confusion),
        "lift": [asdict(item) for item in metrics.lift],
    }
    if metrics.probabilities is not None:
        tables["calibration"] = [asdict(item) for item in metrics.probabilities.calibration]
    return {**scalars(metrics), **tables}


def _of_binary(metrics: Binary) -> dict[str, float | None]:
    confusion, ranking, probability, total = metrics.confusion, metrics.ranking, metrics.probabilities, metrics.total
    found: dict[str, float | None] = {
        "rows": total.rows,
        "positive_rate": total.positives / total.rows,
        "majority_rate": confusion.majority_rate,
        "f1": confusion.f_beta(),
        "roc_auc": ranking.roc_auc,
        "average_precision": ranking.average_precision,
        "ks": ranking.ks,
    }
    if probability is not None:
        for name in ("log_loss", "brier", "expected_calibration_error"):
            found[name] = getattr(probability, name)
    if ranking.roc_auc is not None and ranking.roc_auc_variance is not None:
        interval = roc_auc_interval(ranking.roc_auc, ranking.roc_auc_variance)
        found |= {"roc_auc_low": interval.low, "roc_auc_high": interval.high}
    decided = confusion.true_positives + confusion.false_positives
    shares = {
        "accuracy": (confusion.true_positives + confusion.true_negatives, total.rows),
        "precision": (confusion.true_positives, decided),
        "recall": (confusion.true_positives, total.positives),
    }
    for name, (part, whole) in shares.items():
        found[name] = getattr(confusion, name)
        if whole:
            share = wilson(part, whole)
            found |= {f"{name}_low": share.low, f"{name}_high": share.high}
    return found
