"""Elastic-net logistic and linear regression (MLlib) on standardised features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import StandardScaler
from pyspark.ml.regression import LinearRegression

if TYPE_CHECKING:
    from pyspark.ml import Estimator

SCALED = "scaled"


def logistic_stages(parameters: dict[str, Any], _seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a probability; L-BFGS has no seed."""
    return [scaler(), LogisticRegression(featuresCol=SCALED, labelCol="label", standardization=False, **parameters)]


def linear_stages(parameters: dict[str, Any], _seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a value; the normal equations have no seed."""
    return [scaler(), LinearRegression(featuresCol=SCALED, labelCol="label", standardization=False, **parameters)]


def scaler() -> StandardScaler:
    """What gives every feature mean 0 and standard deviation 1."""
    return StandardScaler(inputCol="features", outputCol=SCALED, withMean=True, withStd=True)
