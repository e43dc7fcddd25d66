"""Categories of the training rows as numbers: the most frequent ones each, all others together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml import Estimator
from pyspark.ml.feature import StringIndexerModel
from pyspark.sql import Window
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame, SparkSession

MOST = 1000


class Categories(Estimator[StringIndexerModel]):
    """Fits a StringIndexer that knows only the most frequent categories of each text.

    A StringIndexer of its own accord brings every category to the driver and makes a column of each, a million of them
    where a text is as good as a key. Here what is rare shares the place of what is unseen and of null, and so does the
    empty text, of which MLlib can name no column. Order: by frequency, equals by the text.

    Args:
        inputs: text columns.
        outputs: the columns of places, one for each.
        most: categories of each text that get a place of their own.
    """

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str], most: int = MOST) -> None:
        super().__init__()
        self._inputs, self._outputs, self._most = list(inputs), list(outputs), most

    def _fit(self, dataset: DataFrame) -> StringIndexerModel:
        cells = [F.struct(F.lit(place).alias("place"), F.col(name)) for place, name in enumerate(self._inputs)]
        found = dataset.select(F.inline(F.array(*[cell.cast("struct<place int, text string>") for cell in cells])))
        counted = found.where("text <> ''").groupBy("place", "text").count()
        rank = F.row_number().over(Window.partitionBy("place").orderBy(F.desc("count"), "text"))
        kept = counted.withColumn("rank", rank).where(F.col("rank") <= self._most).orderBy("place", "rank")
        labels: list[list[str]] = [[] for _ in self._inputs]
        for row in kept.toLocalIterator():
            labels[row["place"]].append(row["text"])
        return _indexer(dataset.sparkSession, labels, self._inputs, self._outputs)


def _indexer(
    session: SparkSession, labels: Sequence[Sequence[str]], inputs: Sequence[str], outputs: Sequence[str]
) -> StringIndexerModel:
    """A StringIndexerModel; its own `from_arrays_of_labels` fills lists of unequal length up with nulls."""
    gateway: Any = session.sparkContext._gateway  # the one way to arrays of Java
    text = gateway.jvm.java.lang.String
    arrays = gateway.new_array(text, len(labels), 0)
    for place, names in enumerate(labels):
        arrays[place] = gateway.new_array(text, len(names))
        for at, name in enumerate(names):
            arrays[place][at] = name
    made = StringIndexerModel._create_from_java_class("org.apache.spark.ml.feature.StringIndexerModel", arrays)
    return made.setInputCols(list(inputs)).setOutputCols(list(outputs)).setHandleInvalid("keep")
