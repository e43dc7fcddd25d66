"""The champion on the challenger's gate: itself where it saw nothing of it, else its recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.models.calibrated import calibrate
from tidemill.models.calibrating import calibration_of
from tidemill.models.candidates import recipe_of
from tidemill.models.fits import fit_recipe
from tidemill.models.pipelines import with_score
from tidemill.models.preparation import usable_features
from tidemill.models.training_set import GATE, TRAIN

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

    from tidemill.core.train_config import Train
    from tidemill.models.use_case import UseCase


def champion_scores(
    rows: DataFrame, use_case: UseCase, card: dict[str, Any], model: PipelineModel | None, settings: Train
) -> DataFrame:
    """The gate rows of a challenger's training set, with the champion's `score`.

    Args:
        rows: that training set.
        use_case: its task and features.
        card: the champion's.
        model: the champion, or None where its training cut-off breaks the embargo: then its family and parameters are
            fitted on the challenger's gate-fit rows, and its own calibration follows.
        settings: of the fit.
    """
    if model is None:
        train = rows.where(F.col("part") == TRAIN)
        recipe = recipe_of(card, "champion")
        features = usable_features(train, use_case.features, use_case.preparation.nulls)
        model = calibrate(
            fit_recipe(train, use_case, features, recipe, settings), calibration_of(card.get("calibration"))
        )
    return with_score(model, rows.where(F.col("part") == GATE), use_case.task)
