"""What any model has to beat: a constant, and one feature alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.models.evaluate import build_metrics

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from tidemill.models.use_case import UseCase


@dataclass(frozen=True)
class Baseline:
    """The fitted baselines.

    Args:
        constant: the mean label of the training rows: the trivial model.
        feature: the one feature that is used alone.
        sign: 1.0, or -1.0 where small values of the feature mean a high label (binary tasks).
        missing: what stands for a null or NaN: the feature's mean in the training rows.
    """

    constant: float
    feature: str
    sign: float
    missing: float


def fit_baseline(train: DataFrame, use_case: UseCase) -> Baseline:
    """Fits both baselines on training rows; a regression baseline is the feature's value as it stands."""
    feature = _known(use_case.baseline)
    means = train.agg(F.avg("label").alias("label"), F.avg(feature).alias("feature")).first()
    if means is None or means["label"] is None:
        raise ValueError("there is no training row")
    missing = float(means["feature"]) if means["feature"] is not None else 0.0
    sign = 1.0
    if use_case.task == "binary":
        alone = train.select("label", F.coalesce(feature, F.lit(missing)).alias("score"))
        found = build_metrics(alone, use_case.task, []).first()
        sign = -1.0 if found is not None and (found["roc_auc"] or 0.5) < 0.5 else 1.0
    return Baseline(float(means["label"]), use_case.baseline, sign, missing)


def with_baseline_score(frame: DataFrame, baseline: Baseline) -> DataFrame:
    """Adds `score`: the one feature, turned so that more means a higher label."""
    value = F.coalesce(_known(baseline.feature), F.lit(baseline.missing))
    return frame.withColumn("score", value * F.lit(baseline.sign))


def _known(feature: str) -> Column:
    """The feature as a number; what is none ranks nobody."""
    value = F.col(feature).cast("double")
    return F.when(~F.isnan(value), value)
