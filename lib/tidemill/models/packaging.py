"""A fitted pipeline made ready for the registry: saved by Spark, exported as a graph, and the two proved equal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.models.onnx_boosters import BOOSTER, BOOSTERS
from tidemill.models.onnx_export import export
from tidemill.models.onnx_graph import refused
from tidemill.models.onnx_proof import prove
from tidemill.models.onnx_scoring import DESCRIPTION, GRAPH, SAMPLE
from tidemill.models.reasons import NATIVE
from tidemill.models.reasons_export import write_explainer
from tidemill.models.saved_pipeline import read_stages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Package:
    """A model as the registry takes it.

    Args:
        spark: the folder of the saved pipeline.
        graph: the folder of the graph, its description, what explains its scores and, of an XGBoost model, the native
            booster.
        inputs: the features that it reads, each `double` or `string`.
        example: a training row: feature to value.
        classes: the names of several classes; else none.
    """

    spark: Path
    graph: Path
    inputs: Mapping[str, str]
    example: Mapping[str, Any]
    classes: tuple[str, ...] = ()


def build_package(
    model: PipelineModel,
    rows: DataFrame,
    task: str,
    folder: Path,
    classes: Sequence[str] = (),
    threshold: float | None = None,
) -> Package:
    """Saves a fitted pipeline below a folder, with its graph.

    Args:
        model: the fitted pipeline.
        rows: its training set, cached by the caller.
        task: `binary`, `multiclass` or `regression`.
        folder: a new one, which Spark's executors and this process both see.
        classes: the names of those of a multiclass task, in the order of their numbers.
        threshold: from which score on a row of a binary task is decided positive.

    Raises:
        TidemillError: E_EXPORT (data) where the graph cannot be made, or does not give Spark's scores.
    """
    spark, graph = folder / "sparkml", folder / "graph"
    model.write().save(spark.as_uri())
    exported = export(spark, threshold)
    if exported.classes != len(classes):
        what = f"the model tells {exported.classes} classes apart, and the label has {len(classes)}"
        raise refused(what, spark, "train on rows of every class")
    proof = prove(exported, model, rows, task)
    graph.mkdir()
    (graph / GRAPH).write_bytes(exported.graph)
    names = {"classes": list(classes)} if classes else {}
    description = {"task": task, **names, **exported.description(), "proof": proof.description()}
    (graph / DESCRIPTION).write_text(json.dumps(description, indent=2, ensure_ascii=False), "utf-8")
    (graph / SAMPLE).write_text(json.dumps(proof.sample, ensure_ascii=False, allow_nan=False), "utf-8")
    booster = next((stage for stage in read_stages(spark) if stage.kind in BOOSTERS), None)
    if booster is not None:
        from tidemill.models.xgb_native import native_booster

        (graph / NATIVE).write_bytes(native_booster(booster.text(BOOSTER)))
    write_explainer(spark, exported.null_text, graph)
    return Package(spark, graph, exported.inputs, proof.example, tuple(classes))
