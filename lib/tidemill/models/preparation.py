"""What comes before a model family: from features to one vector, all of it fitted on training rows only.

Only stages whose transformation can be exported exactly are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.feature import PCA, Imputer, MinMaxScaler, OneHotEncoder, StandardScaler, VectorAssembler
from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError
from tidemill.models.categories import Categories
from tidemill.models.selection import HALVES, Selection, dependent, stable, uncorrelated, varying
from tidemill.models.specs import AS_THEY_COME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame

    from tidemill.features.declarations import Feature
    from tidemill.models.specs import Preparation

FEATURES, WEIGHT = "features", "weight"
_CATEGORIES = "categories"


def preprocessing(features: Sequence[Feature], preparation: Preparation = AS_THEY_COME) -> list[Any]:
    """Stages from the features to one vector column `features`.

    Numbers that are null take the mean of the training rows; categories that are null, unseen, empty or rare are one of
    their own. Then what the preparation asks for, in this order: columns of categories that tell nothing of the label
    are left out, columns that never vary, columns correlated with one before them, columns whose importance is not
    stable (for which the rows need `halves__`); what is left is scaled, and reduced.
    """
    numbers = [f.name for f in features if f.type != "string"]
    texts = [f.name for f in features if f.type == "string"]
    filled = [_filled(name) for name in numbers]
    indexed = [f"{name}__index" for name in texts]
    encoded = [f"{name}__onehot" for name in texts]
    stages: list[Any] = [Imputer(inputCols=numbers, outputCols=filled, strategy="mean")] if numbers else []
    if texts:
        stages.append(Categories(texts, indexed))
        stages.append(OneHotEncoder(inputCols=indexed, outputCols=encoded, handleInvalid="keep", dropLast=True))
    if texts and preparation.chi_square is not None:
        stages.append(VectorAssembler(inputCols=encoded, outputCol=_CATEGORIES))
        stages.append(Selection(_CATEGORIES, f"{_CATEGORIES}__told", dependent(preparation.chi_square)))
        encoded = [f"{_CATEGORIES}__told"]
    then = _after(preparation)
    names = [f"assembled__{number}" for number in range(len(then))] + [FEATURES]
    stages.append(VectorAssembler(inputCols=[*filled, *encoded], outputCol=names[0]))
    return [*stages, *(make(one, other) for make, one, other in zip(then, names, names[1:], strict=False))]


def plain_columns(features: Sequence[Feature], preparation: Preparation = AS_THEY_COME) -> list[str]:
    """The columns of numbers that `features` is put together from, in its order; none where something else goes in."""
    if _after(preparation) or any(f.type == "string" for f in features):
        return []
    return [_filled(f.name) for f in features]


def usable_features(train: DataFrame, features: Sequence[Feature], nulls: float = 1.0) -> list[Feature]:
    """The features that have a value in enough of the training rows; without any they can neither be filled nor teach.

    Args:
        train: the training rows.
        features: to choose from.
        nulls: the largest share of rows without a value; NaN and the empty text are none.

    Raises:
        TidemillError: E_NO_FEATURES (data) where none is left.
    """
    counts = train.agg(F.count(F.lit(1)).alias("rows__"), *[F.count(_value(f)).alias(f.name) for f in features]).first()
    there = {} if counts is None else counts.asDict()
    kept = [f for f in features if there.get(f.name) and there[f.name] >= (1 - nulls) * there["rows__"]]
    if kept:
        return kept
    raise TidemillError(
        "E_NO_FEATURES",
        f"none of {len(features)} features has a value in enough of {there.get('rows__', 0)} training rows",
        where="training set",
        next_step="check the views and their sources at the training times",
        exit_code=Exit.DATA,
    )


def _filled(name: str) -> str:
    return f"{name}__filled"


def _value(feature: Feature) -> Column:
    column = F.col(feature.name)
    if feature.type == "string":
        return F.when(column != "", column)
    return F.when(~F.isnan(column), column) if feature.type == "double" else column


def with_classes(rows: DataFrame, count: int) -> DataFrame:
    """The rows whose `label` tells the learners how many classes there are, of which some may have no row."""
    return rows.withMetadata("label", {"ml_attr": {"type": "nominal", "num_vals": count}}) if count else rows


def class_count(rows: DataFrame, label: str = "label") -> int:
    """How many classes the label of such rows has; two where it does not tell."""
    return int(rows.schema[label].metadata.get("ml_attr", {}).get("num_vals", 2))


def with_weights(rows: DataFrame, preparation: Preparation, classes: int = 0) -> DataFrame:
    """The rows with a `weight` that gives all classes that have a row the same sum, where the preparation asks for it.

    Args:
        rows: with a `label`.
        preparation: says whether.
        classes: how many there are; 0 for the two of a binary task.
    """
    if preparation.class_weights is None:
        return rows
    if classes:
        counts = rows.groupBy("label").agg(F.count(F.lit(1)).alias("of_class__"))
        totals = counts.agg(F.sum("of_class__").alias("rows__"), F.count(F.lit(1)).alias("classes__"))
        weight = F.col("rows__") / (F.col("classes__") * F.col("of_class__"))
        weights = F.broadcast(counts.crossJoin(totals).select("label", weight.alias(WEIGHT)))
        return rows.join(weights, "label")
    positive = F.broadcast(rows.agg(F.avg("label").alias("positive__")))
    share = F.when(F.col("label") == 1, F.col("positive__")).otherwise(1 - F.col("positive__"))
    return rows.crossJoin(positive).withColumn(WEIGHT, 0.5 / share).drop("positive__")


def with_halves(rows: DataFrame, preparation: Preparation, key: str) -> DataFrame:
    """The rows with `halves__`, a hash of the entity whose bits each part the entities into halves, where asked for."""
    if preparation.stable is None:
        return rows
    return rows.withColumn(HALVES, F.xxhash64(F.lit("halves"), F.col(key).cast("string")))


def _after(preparation: Preparation) -> list[Any]:
    """What makes the stages after assembling, each from the names of the vector it reads and of the one it makes."""
    steps: list[Any] = []
    if preparation.constant:
        steps.append(lambda one, other: Selection(one, other, varying))
    if preparation.correlated is not None:
        apart = uncorrelated(preparation.correlated)
        steps.append(lambda one, other: Selection(one, other, apart))
    if preparation.stable is not None:
        steady = stable(preparation.stable)
        steps.append(lambda one, other: Selection(one, other, steady))
    if preparation.scaling == "standard":
        steps.append(lambda one, other: StandardScaler(inputCol=one, outputCol=other, withMean=True, withStd=True))
    if preparation.scaling == "min_max":
        steps.append(lambda one, other: MinMaxScaler(inputCol=one, outputCol=other))
    if preparation.components is not None:
        steps.append(lambda one, other: PCA(k=preparation.components, inputCol=one, outputCol=other))
    return steps
