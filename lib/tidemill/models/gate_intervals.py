"""How sure a card's metrics are: intervals by the bootstrap that the gate has, which draws entities with all rows.

Where every entity has one row, ROC AUC and shares have exact intervals, which need no draws.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.features.pairs import AS_OF
from tidemill.models.comparison import CHALLENGER, ENTITY, LABEL, TIME, numbers_of_column, units_of
from tidemill.models.gate_rows import of_share
from tidemill.models.metric_values import ENDS
from tidemill.models.paired import BOOTSTRAP
from tidemill.models.specs import BINARY, MULTICLASS
from tidemill.models.tables import judged_on
from tidemill.stats.bootstrap import (
    average_precision_of,
    mean_of,
    r2_of,
    ratio_of,
    replicates,
    roc_auc_of,
    root_mean_of,
)
from tidemill.stats.classes import losses, squared_errors
from tidemill.stats.intervals import CONFIDENCE, positive_interval, roc_auc_interval
from tidemill.stats.residuals import LEAST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from tidemill.models.evaluate_sums import Metrics
    from tidemill.models.use_case import UseCase
    from tidemill.stats.bootstrap import Statistic

    Floats = NDArray[np.float64]

DRAWS, SEED = 200, 29
MOST_ROWS = 50_000  # gate rows that are drawn from, about, in two seconds; of more, entities are chosen by a hash
_LOSSES = {"log_loss", "brier", "rmse", "mae", "mape"}  # above 0; every other metric but R2 lies between 0 and 1
_EXACT = {"roc_auc": "delong", "accuracy": "wilson", "precision": "wilson", "recall": "wilson"}
_INTERVALS = "found string"
_ALIKE = 1e-9  # what rounding makes of draws that say the same


@dataclass(frozen=True)
class Gate:
    """What the gate rows say of a model.

    Args:
        metrics: of all rows.
        intervals: how sure they are, as `gate_intervals` gives it.
        path: how the metrics were computed.
    """

    metrics: Metrics
    intervals: Mapping[str, Any]
    path: str


def gate_intervals(
    scores: DataFrame, use_case: UseCase, found: Mapping[str, float], threshold: float
) -> dict[str, Any]:
    """The intervals of the metrics of scored gate rows.

    One worker has the rows, as when the gate compares; what comes back are the ends.

    Args:
        scores: entity, as-of time, `label` and `score`, of several classes `probabilities`.
        use_case: task, entity and horizon.
        found: the metrics of all of them, and the exact ends of those that have some, rows taken as independent.
        threshold: of the decisions.

    Returns:
        JSON values: `confidence`, `draws`, `drawn` (`bootstrap` over entities, `block_bootstrap` over blocks of time),
        `units` that were drawn from and their `rows`, and `metrics`: by name `low`, `high` and `method`.
    """
    share, key = min(1.0, MOST_ROWS / found["rows"]), use_case.entity.key
    rows = scores.where(of_share(key, share)).select(
        F.col(key).cast("string").alias(ENTITY),
        F.col(AS_OF).alias(TIME),
        F.col("label").alias(LABEL),
        F.col(judged_on(use_case.task)).alias(CHALLENGER),
    )
    block = max(timedelta(days=1), use_case.label.horizon)
    work = partial(_work, task=use_case.task, threshold=threshold, block=block, found=dict(found))
    ordered = rows.repartition(1).sortWithinPartitions(ENTITY, TIME)
    said = ordered.mapInArrow(work, _INTERVALS).first()
    if said is None:  # entities are so few that none is of the share
        return _said(BOOTSTRAP, 0, 0, {})
    read: dict[str, Any] = json.loads(said["found"])
    return read


def intervals_of(
    rows: pa.Table, task: str, threshold: float, block: timedelta, found: Mapping[str, float]
) -> dict[str, Any]:
    """The same of rows that one worker has.

    An interval is that of the normal distribution with the variance of the draws, symmetric in log-odds of what lies
    between 0 and 1, and in the logarithm of what is above 0. Of a share of the entities the variance is larger than
    that of all, by the number of rows; blocks of time are as many for a share as for all. A metric whose draws all say
    the same has no interval.
    """
    label, score = (numbers_of_column(rows, name) for name in (LABEL, CHALLENGER))
    unit, drawn = units_of(rows, block)
    units = len(np.unique(unit))
    alone = units == len(unit)
    wanted = {name: how for name, how in _statistics(task, label, score, threshold).items() if name in found}
    ends = {name: [found.get(f"{name}{end}") for end in ENDS] for name in wanted if name in _EXACT and alone}
    metrics = {
        name: {"low": low, "high": high, "method": _EXACT[name]}
        for name, (low, high) in ends.items()
        if low is not None and high is not None
    }
    drawn_from = {name: how for name, how in wanted.items() if name not in metrics}
    draws = replicates(list(drawn_from.values()), unit, DRAWS, SEED) if units > 1 else np.empty((len(drawn_from), 0))
    share = len(unit) / found["rows"] if drawn == BOOTSTRAP else 1.0
    for name, values in zip(drawn_from, draws, strict=True):
        known = values[np.isfinite(values)]
        if len(known) > 1 and np.ptp(known) > _ALIKE * abs(found[name]):
            low, high = _ends(name, found[name], float(np.var(known, ddof=1)) * share)
            metrics[name] = {"low": low, "high": high, "method": drawn}
    return _said(drawn, units, len(unit), {name: metrics[name] for name in wanted if name in metrics})


def _said(drawn: str, units: int, rows: int, metrics: dict[str, Any]) -> dict[str, Any]:
    made = {"confidence": CONFIDENCE, "draws": DRAWS, "drawn": drawn, "units": units, "rows": rows}
    return {**made, "metrics": metrics}


def _ends(name: str, value: float, variance: float) -> tuple[float, float]:
    if name == "r2":  # the share that is not told lies above 0
        left = positive_interval(1 - value, variance)
        return 1 - left.high, 1 - left.low
    made = positive_interval(value, variance) if name in _LOSSES else roc_auc_interval(value, variance)
    return made.low, made.high


def _statistics(task: str, label: Floats, score: Floats, threshold: float) -> dict[str, Statistic]:
    """By the names of the metrics what makes them of weighted rows."""
    if task == BINARY:
        given = np.clip(np.where(label == 1, score, 1 - score), LEAST, 1 - LEAST)
        decided = (score >= threshold).astype(np.float64)
        right = decided * label
        return {
            "roc_auc": roc_auc_of(label, score),
            "average_precision": average_precision_of(label, score),
            "log_loss": mean_of(-np.log(given)),
            "brier": mean_of((score - label) ** 2),
            "accuracy": mean_of((decided == label).astype(np.float64)),
            "precision": ratio_of(right, decided),
            "recall": ratio_of(right, label),
            "f1": ratio_of(2 * right, decided + label),
        }
    if task == MULTICLASS:
        number = label.astype(np.int64)
        return {
            "log_loss": mean_of(losses(number, score)),
            "brier": mean_of(squared_errors(number, score)),
            "accuracy": mean_of((score.argmax(axis=1) == number).astype(np.float64)),
        }
    size = np.abs(score - label)
    return {
        "rmse": root_mean_of(size * size),
        "mae": mean_of(size),
        "mape": mean_of(size / np.maximum(np.abs(label), LEAST)),
        "r2": r2_of(label, score),
    }


def _work(batches: Iterable[pa.RecordBatch], **asked: Any) -> Iterator[pa.RecordBatch]:
    if kept := list(batches):
        found = intervals_of(pa.Table.from_batches(kept), **asked)
        yield pa.record_batch([pa.array([json.dumps(found)])], ["found"])
