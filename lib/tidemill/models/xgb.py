"""XGBoost on Spark. One worker, unless a model declares `num_workers`: for data that one worker can hold it is faster.

Another number of workers or partitions is another model, so both are declared and never taken from the machine.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from xgboost.spark import SparkXGBClassifier, SparkXGBRegressor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.ml import Estimator

_ONE = {"num_workers": 1}
_FIXED = {
    "features_col": "features",
    "label_col": "label",
    "tree_method": "hist",
    "verbosity": 0,
    "verbose": False,
}

logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)


def xgb_classifier_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a probability."""
    return [SparkXGBClassifier(random_state=seed, **_FIXED, **{**_ONE, **parameters})]


def xgb_regressor_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a value."""
    return [SparkXGBRegressor(random_state=seed, **_FIXED, **{**_ONE, **parameters})]


def workers_of(parameters: Mapping[str, Any]) -> int:
    """The number of workers of a fit with these parameters."""
    return int({**_ONE, **parameters}["num_workers"])
