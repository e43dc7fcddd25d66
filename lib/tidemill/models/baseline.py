"""What any model has to beat: a constant, and one feature alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.models.class_baseline import (
    ClassBaseline,
    baseline_probabilities,
    constant_probabilities,
    fit_class_baseline,
)
from tidemill.models.class_columns import with_probabilities
from tidemill.models.evaluate import build_metrics
from tidemill.models.specs import BINARY, MULTICLASS
from tidemill.models.tables import SCORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame

    from tidemill.models.use_case import UseCase


@dataclass(frozen=True)
class Baseline:
    """The fitted baselines of a binary task or a regression.

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


AnyBaseline = Baseline | ClassBaseline


def fit_baseline(train: DataFrame, use_case: UseCase) -> AnyBaseline:
    """Fits both baselines on training rows; a regression baseline is the feature's value as it stands."""
    feature = _known(use_case.baseline)
    if use_case.task == MULTICLASS:
        return fit_class_baseline(train, use_case.baseline, feature, len(use_case.classes))
    means = train.agg(F.avg("label").alias("label"), F.avg(feature).alias("feature")).first()
    if means is None or means["label"] is None:
        raise ValueError("there is no training row")
    missing = float(means["feature"]) if means["feature"] is not None else 0.0
    sign = 1.0
    if use_case.task == BINARY:
        alone = train.select("label", F.coalesce(feature, F.lit(missing)).alias("score"))
        found = build_metrics(alone, use_case.task, []).first()
        sign = -1.0 if found is not None and (found["roc_auc"] or 0.5) < 0.5 else 1.0
    return Baseline(float(means["label"]), use_case.baseline, sign, missing)


def baseline_of(card: Mapping[str, Any]) -> AnyBaseline:
    """The baselines that a model's card holds."""
    held = card["baseline"]
    if "shares" in held:
        shares = tuple(tuple(row) for row in held["shares"])
        return ClassBaseline(tuple(held["constant"]), held["feature"], tuple(held["edges"]), shares)
    return Baseline(held["constant"], held["feature"], held["sign"], held["missing"])


def with_baseline_score(frame: DataFrame, baseline: AnyBaseline) -> DataFrame:
    """Adds `score`: the one feature, turned so that more means a higher label.

    Of several classes it adds `probabilities`, and what follows from them.
    """
    value = _known(baseline.feature)
    if isinstance(baseline, ClassBaseline):
        return with_probabilities(frame, baseline_probabilities(baseline, value))
    return frame.withColumn(SCORE, F.coalesce(value, F.lit(baseline.missing)) * F.lit(baseline.sign))


def with_constant_score(frame: DataFrame, baseline: AnyBaseline) -> DataFrame:
    """Adds what the trivial model says of every row, as the one feature's `score` is added."""
    if isinstance(baseline, ClassBaseline):
        return with_probabilities(frame, constant_probabilities(baseline))
    return frame.withColumn(SCORE, F.lit(baseline.constant))


def _known(feature: str) -> Column:
    """The feature as a number; what is none ranks nobody."""
    value = F.col(feature).cast("double")
    return F.when(~F.isnan(value), value)
