"""Columns of a vector that are kept, chosen on training rows; the fitted stage takes them out and does nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pyspark.ml import Estimator
from pyspark.ml.feature import VectorSlicer
from pyspark.ml.stat import ChiSquareTest, Correlation, Summarizer

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    Choice = Callable[[DataFrame, str], "NDArray[np.bool_]"]


class Selection(Estimator[VectorSlicer]):
    """Fits a VectorSlicer that keeps the chosen columns of a vector.

    Args:
        source: the vector column.
        target: the column to make.
        choose: from the rows and the vector's name, whether each of its columns is kept; at least one has to be.
    """

    def __init__(self, source: str, target: str, choose: Choice) -> None:
        super().__init__()
        self._source, self._target, self._choose = source, target, choose

    def _fit(self, dataset: DataFrame) -> VectorSlicer:
        kept = np.flatnonzero(self._choose(dataset, self._source)).tolist()
        if not kept:
            raise TidemillError(
                "E_NO_FEATURES",
                "no feature is left to learn from: none varies among the training rows",
                where="Preparation(constant=True)",
                next_step="check the views and their sources at the training times",
                exit_code=Exit.DATA,
            )
        return VectorSlicer(inputCol=self._source, outputCol=self._target, indices=kept)


def varying(rows: DataFrame, column: str) -> NDArray[np.bool_]:
    """Whether a column has two values or more."""
    found = rows.select(Summarizer.metrics("max", "min").summary(rows[column]).alias("all")).first()
    if found is None:
        raise ValueError("there is no training row")
    return np.asarray(found["all"]["max"].toArray() != found["all"]["min"].toArray())


def uncorrelated(limit: float) -> Choice:
    """Whether a column's Pearson correlation with each kept column before it is at most `limit` in size.

    A column that never varies has none and is kept.
    """

    def choose(rows: DataFrame, column: str) -> NDArray[np.bool_]:
        found = Correlation.corr(rows, column).first()
        if found is None:
            raise ValueError("there is no training row")
        return first_of_each(found[0].toArray(), limit)

    return choose


def first_of_each(correlations: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    """The columns of a correlation matrix that are no more than `limit` correlated with one kept before them."""
    kept = np.zeros(len(correlations), dtype=bool)
    for column in range(len(correlations)):
        kept[column] = not (np.abs(correlations[column, kept]) > limit).any()  # NaN is no correlation
    return kept


def dependent(p_value: float) -> Choice:
    """Whether Pearson's chi-square test finds the label dependent on a column at that p-value.

    Where none is, the column of the least p-value is kept.
    """

    def choose(rows: DataFrame, column: str) -> NDArray[np.bool_]:
        found = ChiSquareTest.test(rows, column, "label").first()
        if found is None:
            raise ValueError("there is no training row")
        values = found["pValues"].toArray()
        return np.asarray(values <= max(p_value, values.min()))

    return choose
