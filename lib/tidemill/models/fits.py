"""Fits: rows in one order and one partitioning, whatever the machine, and one candidate fitted on them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pyspark.util import inheritable_thread_target

from tidemill.features.pairs import AS_OF
from tidemill.models.pipelines import unfitted
from tidemill.models.preparation import with_classes, with_halves, with_weights
from tidemill.models.xgb import workers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pyspark.ml.pipeline import PipelineModel
    from pyspark.sql import DataFrame

    from tidemill.core.train_config import Train
    from tidemill.features.declarations import Feature
    from tidemill.models.candidates import Candidate
    from tidemill.models.use_case import UseCase


def fit_recipe(
    rows: DataFrame, use_case: UseCase, features: Sequence[Feature], candidate: Candidate, settings: Train
) -> PipelineModel:
    """Fits one candidate on rows, ordered and partitioned as every fit is."""
    prepared = ordered(rows, use_case, settings).persist()
    try:
        return fit(prepared, use_case, features, candidate, settings)
    finally:
        prepared.unpersist()


def fit(
    rows: DataFrame, use_case: UseCase, features: Sequence[Feature], candidate: Candidate, settings: Train
) -> PipelineModel:
    """Fits one candidate on ordered rows.

    Args:
        rows: as `ordered` gives them.
        use_case: task, views and preparation.
        features: those that have values; of them, those of the candidate's views are used.
        candidate: what to fit.
        settings: the seed.
    """
    parameters = (candidate.family, candidate.parameters, settings.seed, use_case.preparation)
    return unfitted(use_case.task, seen_features(use_case, features, candidate.without), *parameters).fit(rows)


def seen_features(use_case: UseCase, features: Iterable[Feature], without: Sequence[str]) -> list[Feature]:
    """The features that are not of the views left out."""
    unseen = {f.name for view in use_case.views if view.name in without for f in view.columns}
    return [f for f in features if f.name not in unseen]


def layout(use_case: UseCase, candidate: Candidate, settings: Train) -> dict[str, Any]:
    """How the rows of every fit lie, as JSON values: `partitions`, their `order`, and `workers`, of XGBoost only.

    With the same rows, order, partitions and workers the same recipe becomes the same model; with others, another.
    """
    workers = workers_of(candidate.parameters) if candidate.family == "xgboost" else None
    return {"partitions": settings.partitions, "order": [AS_OF, use_case.entity.key], "workers": workers}


def ordered(rows: DataFrame, use_case: UseCase, settings: Train) -> DataFrame:
    """Rows in one order and one partitioning, whatever the machine: both change the last digits of a model."""
    order = (AS_OF, use_case.entity.key)
    classes = len(use_case.classes)
    rows = with_classes(with_weights(rows, use_case.preparation, classes), classes)
    rows = with_halves(rows, use_case.preparation, use_case.entity.key)
    # By a hash: ranges are drawn from a sample, which is another one each time. By an exchange also where there is one
    # partition: XGBoost's barrier stage cannot stand on coalesced ones.
    return rows.repartition(settings.partitions, *order).sortWithinPartitions(*order)


def parallel(rows: DataFrame, threads: int, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """The results in the order of the items; Spark runs the jobs of the threads side by side."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(inheritable_thread_target(rows.sparkSession)(work), items))
