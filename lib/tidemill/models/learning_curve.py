"""The learning curve of a recipe: what it reaches on the gate where it learns from fewer of the entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.core.errors import TidemillError
from tidemill.models.fits import fit_recipe, parallel
from tidemill.models.judge import judge_fold
from tidemill.models.pipelines import with_score
from tidemill.models.preparation import usable_features
from tidemill.models.specs import REGRESSION
from tidemill.models.training_set import GATE, TRAIN

if TYPE_CHECKING:
    from pyspark.ml.pipeline import PipelineModel
    from pyspark.sql import Column, DataFrame

    from tidemill.core.train_config import Train
    from tidemill.models.candidates import Candidate
    from tidemill.models.use_case import UseCase

PARTS = 8
SHARES = (1, 2, 4, 8)  # eighths of the entities; the last is the gate fit itself


def learning_curve(
    rows: DataFrame, use_case: UseCase, candidate: Candidate, whole: float, settings: Train
) -> list[dict[str, Any]]:
    """The primary metric on the gate rows of fits on shares of the entities, each share holding the one before it.

    Entities are told apart by a hash; parameters, order and preparation are those of the gate fit.

    Args:
        rows: the training set, cached by the caller.
        use_case: task, features and preparation.
        candidate: the recipe that was chosen.
        whole: what its gate fit reached, which is not fitted again.
        settings: of the fits.

    Returns:
        JSON values, the smallest share first: `share` of the entities, `entities`, `rows`, and `value`, which is null
        where rows of that share teach nothing: there are none, their labels are of one class, or no feature is left.
    """
    key, train = use_case.entity.key, rows.where(F.col("part") == TRAIN)
    gate = rows.where(F.col("part") == GATE)
    places = F.pmod(F.xxhash64(F.lit("learning curve"), F.col(key).cast("string")), F.lit(PARTS))
    counted = train.agg(*[column for share in SHARES for column in _counts(share, places < share, key)]).first()
    found: dict[str, Any] = {} if counted is None else counted.asDict()

    def fit(share: int) -> PipelineModel | None:
        if not found[f"rows_{share}"] or (use_case.task != REGRESSION and found[f"one_{share}"]):
            return None
        seen = train.where(places < share)
        try:
            features = usable_features(seen, use_case.features, use_case.preparation.nulls)
            return fit_recipe(seen, use_case, features, candidate, settings)
        except TidemillError as error:
            if error.code != "E_NO_FEATURES":
                raise
            return None

    models = dict(zip(SHARES[:-1], parallel(rows, settings.parallel_fits, fit, SHARES[:-1]), strict=True))
    scored = {
        str(share): with_score(model, gate, use_case.task) for share, model in models.items() if model is not None
    }
    judged = judge_fold(scored, use_case) if scored else {}
    values = {share: judged[str(share)][use_case.metric] if str(share) in judged else None for share in SHARES[:-1]}
    values[SHARES[-1]] = whole
    return [
        {
            "share": share / PARTS,
            "entities": found[f"entities_{share}"],
            "rows": found[f"rows_{share}"],
            "value": value,
        }
        for share, value in values.items()
    ]


def _counts(share: int, within: Column, key: str) -> list[Column]:
    label = F.when(within, F.col("label"))
    return [
        F.count(label).alias(f"rows_{share}"),
        F.count_distinct(F.when(within, F.col(key))).alias(f"entities_{share}"),
        (F.min(label) == F.max(label)).alias(f"one_{share}"),
    ]
