"""The last stage of a model whose scores are calibrated: its `probability` becomes the calibrated one.

It is saved with the pipeline, so whatever loads, proves, exports or scores the model sees calibrated scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.param import Param, Params
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from tidemill.models.calibrating import calibration_of, form_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame

    from tidemill.stats.calibration import Isotonic, Platt


class Calibrated(Transformer, DefaultParamsReadable["Calibrated"], DefaultParamsWritable):
    """Puts the calibrated probabilities of both classes in place of `probability`.

    Args:
        form: of the calibration, as `calibrating.form_of` gives it; None only while Spark reads a saved stage.
    """

    calibration: Param[Any] = Param(Params._dummy(), "calibration", "kind and parameters")

    def __init__(self, form: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        if form is not None:
            self._set(calibration=dict(form))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        known = calibration_of(self.getOrDefault(self.calibration))
        if known is None:
            raise ValueError("there is no calibration to apply")

        def calibrated(score: pa.Array) -> pa.Array:
            positive = known.apply(score.to_numpy(zero_copy_only=False))
            both = np.column_stack([1 - positive, positive])
            return pa.ListArray.from_arrays(pa.array(range(0, both.size + 1, 2), pa.int32()), both.ravel())

        made = arrow_udf(calibrated, "array<double>")  # type: ignore[call-overload] # its kind is in the hints
        score = vector_to_array(F.col("probability"))[1]
        return dataset.withColumn("probability", array_to_vector(made(score)))


def calibrate(model: PipelineModel, calibration: Platt | Isotonic | None) -> PipelineModel:
    """The model with a calibration behind it, or as it is."""
    if calibration is None:
        return model
    return PipelineModel(stages=[*model.stages, Calibrated(form_of(calibration))])
