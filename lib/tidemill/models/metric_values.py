"""Metrics as JSON values: what model cards and MLflow runs hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tidemill.stats.binary import Binary
from tidemill.stats.classes import Classes
from tidemill.stats.intervals import roc_auc_interval, wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.models.evaluate_sums import Metrics

ENDS = ("_low", "_high")  # of a metric's interval, behind its name


def scalars(metrics: Metrics) -> dict[str, float]:
    """Every metric that is one number, by its name; those that the rows do not allow are left out.

    Of a binary task the names with an interval are `NAME_low` and `NAME_high`, at 95 %: ROC AUC after DeLong, accuracy,
    precision and recall after Wilson; of a multiclass task those of log loss and accuracy; rows are taken as
    independent.
    """
    found: dict[str, float | None]
    if isinstance(metrics, Binary):
        found = _of_binary(metrics)
    else:
        found = _of_classes(metrics) if isinstance(metrics, Classes) else asdict(metrics)
    return {name: value for name, value in found.items() if value is not None}


def as_values(metrics: Metrics) -> dict[str, Any]:
    """Every metric as JSON values: `scalars`, and for a binary task `confusion`, `calibration` and `lift`.

    For a multiclass one `confusion_matrix`, rows by label, then by decision; `classes`, each against all others; and
    `calibration` of the probability of the predicted class.
    """
    if isinstance(metrics, Classes):
        return {
            **scalars(metrics),
            "confusion_matrix": [list(row) for row in metrics.confusion],
            "classes": [asdict(one) for one in metrics.classes],
            "calibration": [asdict(item) for item in metrics.calibration],
        }
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


def with_intervals(metrics: Mapping[str, Any], intervals: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics with the ends that the draws gave them in place of those of independent rows."""
    told = {f"{name}{end}": one[end[1:]] for name, one in intervals["metrics"].items() for end in ENDS}
    return {**{name: value for name, value in metrics.items() if not name.endswith(ENDS)}, **told}


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


def _of_classes(metrics: Classes) -> dict[str, float | None]:
    accuracy = wilson(metrics.right, metrics.rows)
    found: dict[str, float | None] = {
        "rows": metrics.rows,
        "log_loss": metrics.log_loss.estimate,
        "log_loss_low": metrics.log_loss.low,
        "log_loss_high": metrics.log_loss.high,
        "accuracy": metrics.accuracy,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "majority_rate": metrics.majority_rate,
        "brier": metrics.brier,
        "expected_calibration_error": metrics.expected_calibration_error,
        "macro_roc_auc": metrics.roc_auc,
    }
    for name in ("precision", "recall", "f1"):
        means = getattr(metrics, name)
        found |= {f"macro_{name}": means.macro, f"weighted_{name}": means.weighted}
    return found
