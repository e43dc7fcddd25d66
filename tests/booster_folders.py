"""Rows to boost trees on, and the folders that Spark would save of a booster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from xgboost import XGBClassifier

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["a", "b", "c", "d"]
CHANCE = np.random.default_rng(3)
ROWS = CHANCE.normal(size=(400, 4))
ROWS[CHANCE.random(ROWS.shape) < 0.05] = np.nan
TOLD = np.nan_to_num(ROWS[:, 0]) + CHANCE.normal(size=len(ROWS)) / 2


def saved(folder: Path, model: Any) -> Path:
    """The folders that Spark would save of an assembler and a booster."""
    kind = "SparkXGBClassifierModel" if isinstance(model, XGBClassifier) else "SparkXGBRegressorModel"
    stages = {
        ".": ("org.apache.spark.ml.PipelineModel", {}),
        "stages/0_a": (
            "org.apache.spark.ml.feature.VectorAssembler",
            {"inputCols": NAMES, "outputCol": "features", "handleInvalid": "keep"},
        ),
        "stages/1_x": (f"xgboost.spark.estimator.{kind}", {"featuresCol": "features"}),
    }
    for place, (name, parameters) in stages.items():
        (folder / place / "metadata").mkdir(parents=True)
        (folder / place / "metadata" / "part-00000").write_text(
            json.dumps({"class": name, "paramMap": parameters}), "utf-8"
        )
    text = model.get_booster().save_raw("json").decode("utf-8")
    (folder / "stages" / "1_x" / "model").mkdir()
    for number, part in enumerate((text[:1000], text[1000:])):
        (folder / "stages" / "1_x" / "model" / f"part-0000{number}").write_text(part, "utf-8")
    return folder
