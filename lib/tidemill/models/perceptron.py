"""The multilayer perceptron (MLlib) on standardised features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml import Estimator
from pyspark.ml.classification import MultilayerPerceptronClassificationModel, MultilayerPerceptronClassifier

from tidemill.models.logistic import SCALED, scaler
from tidemill.models.preparation import class_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame

_HIDDEN = (8,)


def perceptron_stages(parameters: dict[str, Any], seed: int) -> list[Estimator[Any]]:
    """Stages from the assembled `features` to a probability; `hidden` says how wide the layers between are."""
    others = {name: value for name, value in parameters.items() if name != "hidden"}
    learner = MultilayerPerceptronClassifier(featuresCol=SCALED, labelCol="label", seed=seed, **others)
    return [scaler(), _Layered(learner, parameters.get("hidden", _HIDDEN))]


class _Layered(Estimator[MultilayerPerceptronClassificationModel]):
    """MLlib wants the width of the first layer beforehand; it is that of the vectors, known once they are made."""

    def __init__(self, learner: MultilayerPerceptronClassifier, hidden: Sequence[int]) -> None:
        super().__init__()
        self._learner, self._hidden = learner, list(hidden)

    def _fit(self, dataset: DataFrame) -> MultilayerPerceptronClassificationModel:
        row = dataset.select(SCALED).first()
        if row is None:
            raise ValueError("there is no training row")
        return self._learner.copy().setLayers([row[0].size, *self._hidden, class_count(dataset)]).fit(dataset)
