"""Gradient-boosted trees (MLlib)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.classification import GBTClassifier
from pyspark.ml.regression import GBTRegressor

if TYPE_CHECKING:
    from pyspark.ml import Estimator


def gbt_classifier_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a probability."""
    return [GBTClassifier(featuresCol="features", labelCol="label", seed=seed, **parameters)]


def gbt_regressor_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a value."""
    return [GBTRegressor(featuresCol="features", labelCol="label", seed=seed, **parameters)]
