"""From a model's declaration to an unfitted Spark pipeline, preprocessing included.

Only stages whose transformation can be exported exactly are used: Imputer, StringIndexer, OneHotEncoder,
VectorAssembler, StandardScaler, and the families.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyspark.ml import Pipeline
from pyspark.ml.feature import Imputer, OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.models.forest import forest_classifier_stages, forest_regressor_stages
from tidemill.models.gbt import gbt_classifier_stages, gbt_regressor_stages
from tidemill.models.logistic import linear_stages, logistic_stages
from tidemill.models.tables import SCORE
from tidemill.models.xgb import xgb_classifier_stages, xgb_regressor_stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.ml import PipelineModel
    from pyspark.sql import Column, DataFrame

    from tidemill.features.declarations import Feature

Stages = Callable[[dict[str, Any], int], list[Any]]

_STAGES: dict[tuple[str, str], Stages] = {
    ("binary", "logistic_regression"): logistic_stages,
    ("binary", "random_forest"): forest_classifier_stages,
    ("binary", "gbt"): gbt_classifier_stages,
    ("binary", "xgboost"): xgb_classifier_stages,
    ("regression", "linear_regression"): linear_stages,
    ("regression", "random_forest"): forest_regressor_stages,
    ("regression", "gbt"): gbt_regressor_stages,
    ("regression", "xgboost"): xgb_regressor_stages,
}


def preprocessing(features: Sequence[Feature]) -> list[Any]:
    """Stages from the features to one vector column `features`.

    Numbers that are null take the mean of the training rows; categories that are null or unseen are one of their own.
    """
    numbers = [f.name for f in features if f.type != "string"]
    texts = [f.name for f in features if f.type == "string"]
    filled = [f"{name}__filled" for name in numbers]
    indexed = [f"{name}__index" for name in texts]
    encoded = [f"{name}__onehot" for name in texts]
    stages: list[Any] = [Imputer(inputCols=numbers, outputCols=filled, strategy="mean")] if numbers else []
    if texts:
        stages.append(StringIndexer(inputCols=texts, outputCols=indexed, handleInvalid="keep"))
        stages.append(OneHotEncoder(inputCols=indexed, outputCols=encoded, handleInvalid="keep", dropLast=True))
    return [*stages, VectorAssembler(inputCols=[*filled, *encoded], outputCol="features")]


def family_stages(task: str, family: str, parameters: dict[str, Any], seed: int) -> list[Any]:
    """The stages of one family with its parameters.

    Raises:
        TidemillError: E_FAMILY (configuration) where the family does not know the task or a parameter.
    """
    known = [name for kind, name in _STAGES if kind == task]
    if family not in known:
        raise _invalid(f"the family {family!r} has no form for {task} tasks", family, nearest(family, known))
    try:
        return _STAGES[task, family](parameters, seed)
    except (TypeError, ValueError) as error:
        raise _invalid(
            f"a parameter is refused: {error}", family, "use the names of the family's own library"
        ) from error


def unfitted(task: str, features: Sequence[Feature], family: str, parameters: dict[str, Any], seed: int) -> Pipeline:
    """The whole pipeline, from features to score."""
    return Pipeline(stages=[*preprocessing(features), *family_stages(task, family, parameters, seed)])


def with_score(model: PipelineModel, frame: DataFrame, task: str) -> DataFrame:
    """Adds `score`: the probability of the positive class, or the predicted value."""
    return model.transform(frame).withColumn(SCORE, _score(task))


def _score(task: str) -> Column:
    return vector_to_array(F.col("probability"))[1] if task == "binary" else F.col("prediction").cast("double")


def _invalid(what: str, family: str, next_step: str) -> TidemillError:
    return TidemillError("E_FAMILY", what, where=f"model {family!r}", next_step=next_step, exit_code=Exit.CONFIGURATION)
