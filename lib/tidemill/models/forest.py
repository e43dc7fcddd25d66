"""Random forests (MLlib)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.classification import RandomForestClassifier
from pyspark.ml.regression import RandomForestRegressor

if TYPE_CHECKING:
    from pyspark.ml import Estimator


def forest_classifier_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a probability."""
    return [RandomForestClassifier(featuresCol="features", labelCol="label", seed=seed, **parameters)]


def forest_regressor_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a value."""
    return [RandomForestRegressor(featuresCol="features", labelCol="label", seed=seed, **parameters)]
