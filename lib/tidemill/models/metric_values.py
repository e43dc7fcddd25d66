"""Metrics as JSON values: what model cards and MLflow runs hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tidemill.stats.binary import Binary
from tidemill.stats.intervals import roc_auc_interval, wilson

if TYPE_CHECKING:
    from tidemill.stats.residuals import Regression


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
