"""scikit-learn for small data: StandardScaler and LogisticRegression, fitted by one worker.

What was fitted is a linear model and goes on as one: the rows stay where they are, nothing is pickled, and export,
proof and scoring are those of MLlib's logistic regression, to which the scaling is added.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.ml import Estimator
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.ml.common import _py2java  # as pyspark's own wrappers hand vectors over
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import DenseMatrix, DenseVector
from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError
from tidemill.models.preparation import WEIGHT, class_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

MOST_ROWS = 100_000


def scikit_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a probability.

    Args:
        parameters: of scikit-learn's LogisticRegression; `max_rows` is the largest number of training rows, and
            `weightCol` the column of weights.
        seed: its `random_state`.

    Raises:
        TypeError: scikit-learn knows no such parameter.
    """
    from sklearn.linear_model import LogisticRegression

    own = {k: v for k, v in parameters.items() if k not in {"max_rows", "weightCol"}}
    LogisticRegression(**own)
    limit = parameters.get("max_rows", MOST_ROWS)
    return [_Scikit({"max_iter": 1000, "random_state": seed, **own}, limit, weighted="weightCol" in parameters)]


def fit_logistic(
    features: NDArray[np.float64],
    label: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    own: dict[str, Any],
    classes: int = 2,
) -> tuple[list[list[float]], list[float]]:
    """Coefficients and intercepts, on the features as they are, of a scaler and a logistic regression fitted to them.

    One row and one intercept a margin: of two classes one, else one a class; a class without a row has the intercept
    minus infinity.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted = make_pipeline(StandardScaler(), LogisticRegression(**own))
    fitted.fit(features, label, **({} if weight is None else {"logisticregression__sample_weight": weight}))
    scaler, model = fitted[0], fitted[1]
    slopes = model.coef_ / scaler.scale_
    intercepts = model.intercept_ - slopes @ scaler.mean_
    if classes > 2:
        there = model.classes_.astype(int)
        if len(there) == 2:  # one margin: the other class has none
            slopes, intercepts = np.vstack([np.zeros_like(slopes), slopes]), np.append(0.0, intercepts)
        every = np.zeros((classes, slopes.shape[1])), np.full(classes, -np.inf)
        every[0][there], every[1][there] = slopes, intercepts
        slopes, intercepts = every
    return slopes.tolist(), intercepts.tolist()


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


class _Scikit(Estimator[LogisticRegressionModel]):
    def __init__(self, own: dict[str, Any], limit: int, *, weighted: bool) -> None:
        super().__init__()
        self._own, self._limit, self._weighted = own, limit, weighted

    def _fit(self, dataset: DataFrame) -> LogisticRegressionModel:
        own, limit, columns = self._own, self._limit, ["label", *([WEIGHT] if self._weighted else [])]
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
            fitted = fit_logistic(values, label, weight[0] if weight else None, own, classes)
            yield pa.record_batch([pa.array([json.dumps(fitted)])], ["fitted"])

        rows = dataset.select(vector_to_array(F.col("features")).alias("x"), *columns).coalesce(1)
        found = json.loads(next(rows.mapInArrow(work, "fitted string").toLocalIterator())["fitted"])
        if found is None:
            raise TidemillError(
                "E_TOO_MANY_ROWS",
                f"there are more than {limit} training rows, which one worker has to hold",
                where="model 'scikit_logistic'",
                next_step="use LogisticRegression, which is distributed, or raise max_rows",
                exit_code=Exit.CONFIGURATION,
            )
        return _linear_model(dataset, *found)


def _linear_model(
    dataset: DataFrame, coefficients: list[list[float]], intercepts: list[float]
) -> LogisticRegressionModel:
    """MLlib's model of these coefficients."""
    context = dataset.sparkSession.sparkContext
    make = context._jvm.org.apache.spark.ml.classification.LogisticRegressionModel  # type: ignore[union-attr]
    if len(coefficients) == 1:
        made = make("scikit_logistic", _py2java(context, DenseVector(coefficients[0])), intercepts[0])
    else:
        rows, columns = len(coefficients), len(coefficients[0])
        by_columns = [row[column] for column in range(columns) for row in coefficients]
        matrix = _py2java(context, DenseMatrix(rows, columns, by_columns))
        made = make("scikit_logistic", matrix, _py2java(context, DenseVector(intercepts)), rows, True)
    return LogisticRegressionModel(made).setFeaturesCol("features")
