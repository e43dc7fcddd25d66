"""Realised performance: what was scored at an as-of time against the labels that have matured since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.features.asof_choice import join_gold
from tidemill.features.gold import read_labels
from tidemill.features.pairs import AS_OF
from tidemill.models.baseline import AnyBaseline, with_baseline_score
from tidemill.models.evaluate import build_metrics
from tidemill.models.pipelines import with_score
from tidemill.models.specs import MULTICLASS, REGRESSION
from tidemill.models.tables import judged_on
from tidemill.stats.curves import ScoreBin
from tidemill.stats.expected import hanley_mcneil, rmse_interval
from tidemill.stats.intervals import Interval, mean_interval, roc_auc_interval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

    from tidemill.features.gold import Builder
    from tidemill.models.use_case import UseCase

_SCORE_BINS = 200
_MODEL, _BASELINE, _ALL = "model", "baseline", "all"


@dataclass(frozen=True)
class Realised:
    """Metrics on matured labels.

    Args:
        overall: of the model over all times: `rows`, the primary metric and what goes with it.
        baseline: the primary metric of the one-feature baseline over all times, or None.
        by_time: for each as-of time `rows`, `positive_rate` (binary), `value`, its `interval` or None, and `baseline`.
    """

    overall: dict[str, Any]
    baseline: float | None
    by_time: list[dict[str, Any]]


@dataclass(frozen=True)
class Known:
    """How the newest scores whose labels had matured at T turned out, by the primary metric.

    Args:
        value: of the model that made them.
        baseline: of its one-feature baseline, or None.
        promised: what its gate fit had reached on the gate rows, or None where that was not kept.
        version: of the model.
        judged_rows: a digest of what was judged.
    """

    value: float
    baseline: float | None
    promised: float | None = None
    version: str = ""
    judged_rows: str = ""


def evaluate(
    builder: Builder, use_case: UseCase, model: PipelineModel, baseline: AnyBaseline, times: Sequence[datetime]
) -> Realised:
    """Scores the labelled population at each as-of time from its gold rows and judges the scores."""
    spark = builder.spark()
    spine = read_labels(spark, builder.lake, use_case.name, use_case.label, times)
    rows = join_gold(builder.lake, spine, use_case.views, times).frame.persist()
    try:
        judged = judged_on(use_case.task)
        both = _named(with_score(model, rows, use_case.task), _MODEL, judged).unionByName(
            _named(with_baseline_score(rows, baseline), _BASELINE, judged)
        )
        whole = both.withColumn(AS_OF, F.lit(None).cast("timestamp"))
        metrics = build_metrics(both.unionByName(whole), use_case.task, ["candidate", AS_OF])
        found = [row.asDict() for row in metrics.withColumn("at", F.unix_micros(AS_OF)).toLocalIterator()]
    finally:
        rows.unpersist()
    by = {(row["candidate"], row["at"]): row for row in found}
    overall = by[_MODEL, None]
    points = [
        {
            "event_timestamp": row[AS_OF],
            "at": at,
            "rows": int(row["rows"]),
            "positive_rate": row.get("positive_rate"),
            "value": row[use_case.metric],
            "baseline": by[_BASELINE, at][use_case.metric],
            "interval": _interval(use_case.task, row),
        }
        for (candidate, at), row in by.items()
        if candidate == _MODEL and at is not None
    ]
    points.sort(key=lambda p: p["at"])
    return Realised(overall, by[_BASELINE, None][use_case.metric], points)


def _interval(task: str, row: dict[str, Any]) -> Interval | None:
    """The interval of a metric at one as-of time, rows taken as independent; None where only one class is there."""
    if task == REGRESSION:
        return rmse_interval(row["rmse"], row["rows"])
    if task == MULTICLASS:
        rows, mean, deviation = row["rows"], row["log_loss"], row["log_loss_deviation"] or 0.0
        return mean_interval(rows * mean, (rows - 1) * deviation**2 + rows * mean**2, rows)
    if row["roc_auc"] is None:
        return None
    positives = row["positive_rate"] * row["rows"]
    return roc_auc_interval(row["roc_auc"], hanley_mcneil(row["roc_auc"], positives, row["rows"] - positives))


def score_bins(scored: DataFrame, bins: int = _SCORE_BINS) -> list[ScoreBin]:
    """The histogram of a probability by label, on equal bins, lowest first."""
    place = F.least(F.floor(F.col("score") * bins), F.lit(bins - 1))
    counted = scored.groupBy(place.alias("bin")).agg(
        F.sum("score").alias("total"), F.sum("label").alias("positives"), F.sum(1 - F.col("label")).alias("negatives")
    )
    return [ScoreBin(r["total"], r["positives"], r["negatives"]) for r in counted.orderBy("bin").toLocalIterator()]


def _named(scored: DataFrame, name: str, judged: str) -> DataFrame:
    return scored.select(F.lit(name).alias("candidate"), AS_OF, "label", judged)
