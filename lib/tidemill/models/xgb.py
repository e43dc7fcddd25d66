"""XGBoost on Spark. One worker: for data that one worker can hold it is faster, and the model is the same every time.

Another number of workers or partitions is another model, so both are fixed here and never taken from the machine.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from xgboost.spark import SparkXGBClassifier, SparkXGBRegressor

if TYPE_CHECKING:
    from pyspark.ml import Estimator

_FIXED = {
    "features_col": "features",
    "label_col": "label",
    "num_workers": 1,
    "tree_method": "hist",
    "verbosity": 0,
    "verbose": False,
}

logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)


def xgb_classifier_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a probability."""
    return [SparkXGBClassifier(random_state=seed, **_FIXED, **parameters)]


def xgb_regressor_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a value."""
    return [SparkXGBRegressor(random_state=seed, **_FIXED, **parameters)]
