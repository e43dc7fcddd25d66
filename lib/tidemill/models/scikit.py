"""scikit-learn for small data: StandardScaler and a linear model, fitted by one worker.

What was fitted goes on as MLlib's stages of the same numbers: the rows stay where they are, nothing is pickled, and
export, proof, reasons and scoring are those of MLlib's own scaler and linear models.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.ml import Estimator, PipelineModel
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.ml.common import _py2java  # as pyspark's own wrappers hand vectors over
from pyspark.ml.feature import StandardScalerModel
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import DenseMatrix, DenseVector
from pyspark.ml.regression import LinearRegressionModel
from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError
from tidemill.models.logistic import SCALED
from tidemill.models.preparation import WEIGHT, class_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

MOST_ROWS = 100_000


@dataclass(frozen=True)
class Fitted:
    """A fitted scaler and the linear model of what it scales.

    Args:
        means, scales: of each feature over the training rows; the scale of one that never varies is 1.
        slopes: of the scaled features, one row a margin: of two classes one, else one a class; of a value one.
        intercepts: one a margin; minus infinity of a class without a row.
    """

    means: list[float]
    scales: list[float]
    slopes: list[list[float]]
    intercepts: list[float]


def scikit_logistic_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a probability.

    Args:
        parameters: of scikit-learn's LogisticRegression; `max_rows` is the largest number of training rows, and
            `weightCol` the column of weights.
        seed: its `random_state`.

    Raises:
        TypeError: scikit-learn knows no such parameter.
    """
    from sklearn.linear_model import LogisticRegression

    return [_Scikit("scikit_logistic", LogisticRegression, {"max_iter": 1000, "random_state": seed}, parameters)]


def scikit_ridge_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a value.

    Args:
        parameters: of scikit-learn's Ridge; `max_rows` and `weightCol` as of the logistic regression.
        seed: its `random_state`.

    Raises:
        TypeError: scikit-learn knows no such parameter.
    """
    from sklearn.linear_model import Ridge

    return [_Scikit("scikit_ridge", Ridge, {"random_state": seed}, parameters)]


def fit_scaled(
    model: Any,
    features: NDArray[np.float64],
    label: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    classes: int = 2,
) -> Fitted:
    """Fits scikit-learn's StandardScaler, and a linear model of it to the scaled features.

    Args:
        model: not yet fitted.
        features: rows by columns, without a gap.
        label: of each row.
        weight: of each row, or None where all weigh the same.
        classes: how many the label tells of.
    """
    import numpy as np
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features)
    model.fit(scaler.transform(features), label, sample_weight=weight)
    slopes, intercepts = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    if classes > 2:
        there = model.classes_.astype(int)
        if len(there) == 2:  # one margin: the other class has none
            slopes, intercepts = np.vstack([np.zeros_like(slopes), slopes]), np.append(0.0, intercepts)
        every = np.zeros((classes, slopes.shape[1])), np.full(classes, -np.inf)
        every[0][there], every[1][there] = slopes, intercepts
        slopes, intercepts = every
    return Fitted(scaler.mean_.tolist(), scaler.scale_.tolist(), slopes.tolist(), intercepts.tolist())


def cross_fitted(
    features: NDArray[np.float64], side: NDArray[np.int64], fold: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A score of each row by shallow trees that were fitted on the rows of other folds; one thread, equal each time.

    Args:
        features: rows by columns; NaN is a missing value.
        side: 0 or 1 of each row.
        fold: of each row; every fold has rows of both sides.
        seed: of the trees.

    Returns:
        The probability of side 1 of each row, and how much the trees relied on each column.
    """
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    score, weights = np.empty(len(side)), np.zeros(features.shape[1])
    for one in np.unique(fold):
        held = fold == one
        trees = RandomForestClassifier(
            n_estimators=60, max_depth=6, min_samples_leaf=5, class_weight="balanced", random_state=seed
        )
        trees.fit(features[~held], side[~held])
        score[held] = trees.predict_proba(features[held])[:, 1]
        weights += trees.feature_importances_
    return score, weights


class _Scikit(Estimator[PipelineModel]):
    """Fits one of scikit-learn's linear models behind its scaler, where the rows are few.

    Args:
        family: its name, for what is refused.
        make: the class of the model.
        defaults: parameters that differ from its own.
        parameters: as declared, with `max_rows` and `weightCol`.
    """

    def __init__(
        self, family: str, make: Callable[..., Any], defaults: dict[str, Any], parameters: dict[str, Any]
    ) -> None:
        super().__init__()
        own = {k: v for k, v in parameters.items() if k not in {"max_rows", "weightCol"}}
        self._family, self._model = family, make(**{**defaults, **own})
        self._limit, self._weighted = parameters.get("max_rows", MOST_ROWS), "weightCol" in parameters

    def _fit(self, dataset: DataFrame) -> PipelineModel:
        model, limit, columns = self._model, self._limit, ["label", *([WEIGHT] if self._weighted else [])]
        classes = class_count(dataset)

        def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            rows, kept = 0, []
            for batch in batches:
                rows += batch.num_rows
                if rows > limit:
                    yield pa.record_batch([pa.array(["null"])], ["fitted"])
                    return
                kept.append(batch)
            table = pa.Table.from_batches(kept)
            label, *weight = (table.column(name).to_numpy() for name in columns)
            values = table.column("x").combine_chunks().flatten().to_numpy().reshape(rows, -1)
            fitted = fit_scaled(model, values, label, weight[0] if weight else None, classes)
            yield pa.record_batch([pa.array([json.dumps(asdict(fitted))])], ["fitted"])

        rows = dataset.select(vector_to_array(F.col("features")).alias("x"), *columns).coalesce(1)
        found = json.loads(next(rows.mapInArrow(work, "fitted string").toLocalIterator())["fitted"])
        if found is None:
            raise TidemillError(
                "E_TOO_MANY_ROWS",
                f"there are more than {limit} training rows, which one worker has to hold",
                where=f"model {self._family!r}",
                next_step="use a family of MLlib, which is distributed, or raise max_rows",
                exit_code=Exit.CONFIGURATION,
            )
        fitted = Fitted(**found)
        make = _logistic if self._family == "scikit_logistic" else _linear
        # The scaler stays a stage of its own: reasons need the means that it takes off.
        return PipelineModel(stages=[_scaler(dataset, fitted), make(dataset, fitted)])


def _scaler(dataset: DataFrame, fitted: Fitted) -> StandardScalerModel:
    """MLlib's scaler of these means and scales."""
    context = dataset.sparkSession.sparkContext
    make = context._jvm.org.apache.spark.ml.feature.StandardScalerModel  # type: ignore[union-attr]
    vectors = (_py2java(context, DenseVector(values)) for values in (fitted.scales, fitted.means))
    model = StandardScalerModel(make("scikit_scaler", *vectors))
    return model._set(withMean=True, withStd=True).setInputCol("features").setOutputCol(SCALED)


def _logistic(dataset: DataFrame, fitted: Fitted) -> LogisticRegressionModel:
    """MLlib's logistic regression of these coefficients."""
    context = dataset.sparkSession.sparkContext
    make = context._jvm.org.apache.spark.ml.classification.LogisticRegressionModel  # type: ignore[union-attr]
    if len(fitted.slopes) == 1:
        made = make("scikit_logistic", _py2java(context, DenseVector(fitted.slopes[0])), fitted.intercepts[0])
    else:
        rows, columns = len(fitted.slopes), len(fitted.slopes[0])
        by_columns = [row[column] for column in range(columns) for row in fitted.slopes]
        matrix = _py2java(context, DenseMatrix(rows, columns, by_columns))
        made = make("scikit_logistic", matrix, _py2java(context, DenseVector(fitted.intercepts)), rows, True)
    return LogisticRegressionModel(made).setFeaturesCol(SCALED)


def _linear(dataset: DataFrame, fitted: Fitted) -> LinearRegressionModel:
    """MLlib's linear regression of these coefficients."""
    context = dataset.sparkSession.sparkContext
    make = context._jvm.org.apache.spark.ml.regression.LinearRegressionModel  # type: ignore[union-attr]
    made = make("scikit_ridge", _py2java(context, DenseVector(fitted.slopes[0])), fitted.intercepts[0])
    return LinearRegressionModel(made).setFeaturesCol(SCALED)
