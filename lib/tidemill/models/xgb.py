"""XGBoost on Spark. One worker, unless a model declares `num_workers`: for data that one worker can hold it is faster.

Another number of workers or partitions is another model, so both are declared and never taken from the machine.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark import SparkContext, TaskContext
from xgboost import DMatrix, train
from xgboost.spark import SparkXGBClassifier, SparkXGBRegressor
from xgboost.spark.summary import XGBoostTrainingSummary

from tidemill.models.preparation import class_count
from tidemill.models.xgb_native import GPU, check_device

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray
    from pyspark.ml import Estimator
    from pyspark.sql import DataFrame

_ONE = {"num_workers": 1}
_FIXED = {
    "features_col": "features",
    "label_col": "label",
    "tree_method": "hist",
    "verbosity": 0,
    "verbose": False,
}
_PLAIN = {"values", "label", "weight"}  # as xgboost.spark names the columns that it reads

logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)


class _InOneTask:
    """Fits the model of its base, where one worker fits, without what only several need.

    The base gathers its workers in a barrier stage, takes a pandas object for each row, and judges the training rows
    after each round. An ordinary task takes Arrow batches instead, and makes the same booster. Where `features_col`
    names columns of numbers they are read as they are: making a vector of each row and taking it apart again costs
    more. Of the model that is made the features are one vector, however they were read.
    """

    def _fit(self: Any, dataset: DataFrame) -> Any:
        columns, _ = self._prepare_input_columns_and_feature_prop(dataset)
        rows = dataset.select(*columns)
        features = self.getOrDefault("features_cols")
        if self.getOrDefault("num_workers") > 1 or not {*rows.columns} <= {*_PLAIN, *features}:
            return super()._fit(dataset)  # type: ignore[misc]
        self._validate_params()
        parameters, call, matrix = self._get_xgb_parameters(rows)
        fit = partial(_fit_batches, features=features, parameters=parameters, call=call, matrix=matrix)
        fitted = next(rows.coalesce(1).mapInArrow(fit, "booster binary, config string").toLocalIterator())
        model = self._convert_to_sklearn_model(bytearray(fitted["booster"]), fitted["config"])
        made = self._create_pyspark_model(model, XGBoostTrainingSummary())
        made._resetUid(self.uid)
        copied = self._copyValues(made)
        copied.clear(copied.features_cols)
        return copied


class _Classifier(_InOneTask, SparkXGBClassifier):
    """A classifier."""

    def _get_distributed_train_params(self: Any, dataset: DataFrame) -> dict[str, Any]:
        """The base counts the classes that have a row; those that the label tells of are all there are."""
        found, classes = super()._get_distributed_train_params(dataset), class_count(dataset)
        return found | ({"objective": "multi:softprob", "num_class": classes} if classes > 2 else {})


class _Regressor(_InOneTask, SparkXGBRegressor):
    """A regressor."""


def xgb_classifier_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a probability."""
    return [_Classifier(random_state=seed, **_FIXED, **_checked(parameters))]


def xgb_regressor_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a value."""
    return [_Regressor(random_state=seed, **_FIXED, **_checked(parameters))]


def workers_of(parameters: Mapping[str, Any]) -> int:
    """The number of workers of a fit with these parameters."""
    return int({**_ONE, **parameters}["num_workers"])


def _checked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """With a device that there is, and a number of workers that can start.

    On one machine Spark would wait ten minutes before it says that there are too many.
    """
    device = parameters.get("device")
    check_device(device)
    workers, context = workers_of(parameters), SparkContext.getOrCreate()
    alone = (context.master or "").startswith("local")
    if device in GPU and not alone and context.getConf().get("spark.executor.resource.gpu.amount") is None:
        raise ValueError(f"device={device!r}, and no executor has a GPU (spark.executor.resource.gpu.amount)")
    if workers < 1:
        raise ValueError(f"num_workers={workers}, and at least one fits")
    if (context.master or "").startswith("local[") and workers > context.defaultParallelism:
        raise ValueError(f"num_workers={workers}, and {context.master} has {context.defaultParallelism} at a time")
    return {**_ONE, **parameters}


def _placed(parameters: dict[str, Any]) -> dict[str, Any]:
    """With the very GPU that Spark has given this task, where it deals them out; else XGBoost takes the first."""
    task = TaskContext.get()
    given = None if task is None or parameters.get("device") not in GPU else task.resources().get("gpu")
    return parameters if given is None else {**parameters, "device": f"cuda:{given.addresses[0].strip()}"}


def _fit_batches(
    batches: Iterable[pa.RecordBatch],
    features: list[str],
    parameters: dict[str, Any],
    call: dict[str, Any],
    matrix: dict[str, Any],
) -> Iterator[pa.RecordBatch]:
    """What the worker makes of the rows: the booster, and its configuration."""
    table = pa.Table.from_batches(list(batches))
    values = _matrix(table, features)
    weight = table["weight"].to_numpy() if "weight" in table.column_names else None
    booster = train(_placed(parameters), DMatrix(values, table["label"].to_numpy(), weight=weight, **matrix), **call)
    made = [pa.array([bytes(booster.save_raw("ubj"))]), pa.array([booster.save_config()])]
    yield pa.record_batch(made, ["booster", "config"])


def _matrix(table: pa.Table, features: list[str]) -> NDArray[np.float32]:
    """Shape (rows, features), from columns of numbers or from one column of lists; NaN is missing."""
    if features:
        return np.column_stack([table[name].to_numpy() for name in features])
    return np.asarray(table["values"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1))
