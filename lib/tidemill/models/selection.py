"""Columns of a vector that are kept, chosen on training rows; the fitted stage takes them out and does nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.ml import Estimator
from pyspark.ml.feature import VectorSlicer
from pyspark.ml.functions import vector_to_array
from pyspark.ml.stat import ChiSquareTest, Correlation, Summarizer
from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    Choice = Callable[[DataFrame, str], "NDArray[np.bool_]"]

HALVES = "halves__"
_MOST_VALUES = 20_000_000  # that one worker looks at: of more rows those of a share of the entities
_SHARES = 1 << 20


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


def stable(share: float) -> Choice:
    """Whether a column is important in at least that share of the halves of the entities (`stability`).

    One worker looks at the rows, in their order; where they hold more than twenty million values, at a share of them.
    Where no column is stable, the most stable ones are kept.
    """

    def choose(rows: DataFrame, column: str) -> NDArray[np.bool_]:
        work = _looked_at(rows, column).coalesce(1).mapInArrow(_shares, "share double")
        found = np.array([row["share"] for row in work.toLocalIterator()])
        return np.asarray(found >= min(share, found.max()))

    return choose


def _looked_at(rows: DataFrame, column: str) -> DataFrame:
    """Values, label and halves of all rows, or of those that a hash of what they hold chooses."""
    found = rows.select(vector_to_array(F.col(column)).alias("x"), "label", HALVES)
    size = found.agg(F.sum(F.size("x")).alias("values")).first()
    if size is None or not size["values"]:
        raise ValueError("there is no training row")
    if size["values"] <= _MOST_VALUES:
        return found
    place = F.pmod(F.xxhash64(HALVES, "label", "x"), F.lit(_SHARES))
    return found.where(place < _SHARES * _MOST_VALUES // size["values"])


def _shares(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    from tidemill.models.stability import stable_shares

    table = pa.Table.from_batches(list(batches))
    values = table["x"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    found = stable_shares(values, table["label"].to_numpy(), table[HALVES].to_numpy())
    yield pa.record_batch([pa.array(found)], ["share"])
