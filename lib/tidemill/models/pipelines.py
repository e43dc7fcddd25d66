"""From a model's declaration to an unfitted Spark pipeline, preprocessing included."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyspark.ml import Pipeline
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.models.class_columns import with_probabilities
from tidemill.models.forest import forest_classifier_stages, forest_regressor_stages
from tidemill.models.gbt import gbt_classifier_stages, gbt_regressor_stages
from tidemill.models.logistic import linear_stages, logistic_stages
from tidemill.models.perceptron import perceptron_stages
from tidemill.models.preparation import WEIGHT, plain_columns, preprocessing
from tidemill.models.scikit import scikit_logistic_stages, scikit_ridge_stages
from tidemill.models.specs import AS_THEY_COME, BINARY, MULTICLASS, REGRESSION
from tidemill.models.tables import SCORE
from tidemill.models.xgb import workers_of, xgb_classifier_stages, xgb_regressor_stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

    from tidemill.features.declarations import Feature
    from tidemill.models.specs import Preparation

Stages = Callable[[dict[str, Any], int], list[Any]]

_STAGES: dict[tuple[str, str], Stages] = {
    (BINARY, "logistic_regression"): logistic_stages,
    (BINARY, "random_forest"): forest_classifier_stages,
    (BINARY, "gbt"): gbt_classifier_stages,
    (BINARY, "perceptron"): perceptron_stages,
    (BINARY, "scikit_logistic"): scikit_logistic_stages,
    (BINARY, "xgboost"): xgb_classifier_stages,
    (MULTICLASS, "logistic_regression"): logistic_stages,
    (MULTICLASS, "random_forest"): forest_classifier_stages,
    (MULTICLASS, "perceptron"): perceptron_stages,
    (MULTICLASS, "scikit_logistic"): scikit_logistic_stages,
    (MULTICLASS, "xgboost"): xgb_classifier_stages,
    (REGRESSION, "linear_regression"): linear_stages,
    (REGRESSION, "random_forest"): forest_regressor_stages,
    (REGRESSION, "gbt"): gbt_regressor_stages,
    (REGRESSION, "scikit_ridge"): scikit_ridge_stages,
    (REGRESSION, "xgboost"): xgb_regressor_stages,
}
# The parameter by which a family is told of the weight of a row; MLlib's perceptron has none.
_WEIGHTED = {"xgboost": "weight_col", "perceptron": None}


def family_stages(
    task: str, family: str, parameters: dict[str, Any], seed: int, preparation: Preparation = AS_THEY_COME
) -> list[Any]:
    """The stages of one family with its parameters.

    Raises:
        TidemillError: E_FAMILY (configuration) where the family does not know the task, a parameter or class weights.
    """
    known = families_of(task)
    if family not in known:
        raise _invalid(f"the family {family!r} has no form for {task} tasks", family, nearest(family, known))
    if preparation.class_weights is not None:
        name = _WEIGHTED.get(family, "weightCol")
        if name is None:
            raise _invalid("it knows no weights of rows", family, "leave out the family, or class_weights")
        parameters = {**parameters, name: WEIGHT}
    try:
        return _STAGES[task, family](parameters, seed)
    except (TypeError, ValueError) as error:
        raise _invalid(
            f"a parameter is refused: {error}", family, "use the names of the family's own library"
        ) from error


def families_of(task: str, preparation: Preparation = AS_THEY_COME) -> list[str]:
    """The families that know a task, and the weights of rows where the preparation makes some."""
    known = [name for kind, name in _STAGES if kind == task]
    return [n for n in known if preparation.class_weights is None or _WEIGHTED.get(n, "weightCol") is not None]


def unfitted(
    task: str,
    features: Sequence[Feature],
    family: str,
    parameters: dict[str, Any],
    seed: int,
    preparation: Preparation = AS_THEY_COME,
) -> Pipeline:
    """The whole pipeline, from features to score."""
    stages = family_stages(task, family, parameters, seed, preparation)
    plain = plain_columns(features, preparation)
    if plain and family == "xgboost" and workers_of(parameters) == 1:
        stages[-1].setParams(features_col=plain)
    return Pipeline(stages=[*preprocessing(features, preparation), *stages])


def with_score(model: PipelineModel, frame: DataFrame, task: str) -> DataFrame:
    """Adds `score`: the probability of the positive class, or the predicted value.

    Of a multiclass task it adds `probabilities`, `score`, the highest of them, and `prediction`, whose it is.
    """
    scored = model.transform(frame)
    if task == MULTICLASS:
        return with_probabilities(scored, vector_to_array(F.col("probability")))
    score = vector_to_array(F.col("probability"))[1] if task == BINARY else F.col("prediction").cast("double")
    return scored.withColumn(SCORE, score)


def _invalid(what: str, family: str, next_step: str) -> TidemillError:
    return TidemillError("E_FAMILY", what, where=f"model {family!r}", next_step=next_step, exit_code=Exit.CONFIGURATION)
