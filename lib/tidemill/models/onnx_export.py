"""A saved Spark pipeline as one ONNX graph: features by name in, scores and predictions out, in double precision.

Opset 18 with `ai.onnx.ml` 5, whose `TreeEnsemble` has splits and leaves in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto
from onnx.checker import ValidationError

from tidemill.models.onnx_boosters import BOOSTERS
from tidemill.models.onnx_calibration import CALIBRATED, add_calibration
from tidemill.models.onnx_graph import OF_CLASSES, OUTPUT, PREDICTION, TEXT, Graph, Output, refused
from tidemill.models.onnx_linear import LINEAR
from tidemill.models.onnx_stages import PREPROCESSING
from tidemill.models.onnx_trees import TREES
from tidemill.models.saved_pipeline import read_stages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tidemill.models.saved_pipeline import Stage

PREDICTORS = {**LINEAR, **TREES, **BOOSTERS}
TOLERANCE, TOLERANCE_SINGLE = 1e-9, 1e-6


@dataclass(frozen=True)
class Export:
    """A graph, and what is needed to feed it and to test it.

    Args:
        graph: serialised ONNX.
        inputs: the features that it reads, each `double` or `string`.
        null_text: the text that stands for a null category; no category of the fit is called so.
        width: the columns of its widest tensor, of 8 bytes each.
        tolerance: by how much it may differ from Spark: absolutely, or relatively where a score is larger than 1. What
            the model may differ by is multiplied by the steepest slope of a calibration behind it.
        probes: for inputs the values at which the score may jump, or the categories of the fit.
        output: its name: `score`, or `probabilities` of several classes.
        classes: how many probabilities it gives of a row; 0 where it gives a score.
        threshold: from which score on its prediction is 1; None where that is the score, or the number of a class.
    """

    graph: bytes
    inputs: Mapping[str, str]
    null_text: str
    width: int
    tolerance: float
    probes: Mapping[str, tuple[Any, ...]]
    output: str = OUTPUT
    classes: int = 0
    threshold: float | None = None

    def description(self) -> dict[str, Any]:
        """What a reader of the graph has to know, as JSON values."""
        return {
            "inputs": [{"name": name, "type": kind} for name, kind in self.inputs.items()],
            "output": {"name": self.output, "type": "double"},
            "prediction": {"name": PREDICTION, "type": "double", "threshold": self.threshold},
            "null_text": self.null_text,
            "width": self.width,
            "tolerance": self.tolerance,
            "sha256": sha256(self.graph).hexdigest(),
        }


def export(folder: Path, threshold: float | None = None) -> Export:
    """The graph of a saved pipeline.

    Args:
        folder: where `PipelineModel.save` put it; on a local file system.
        threshold: from which score on a row of a binary task is decided positive.

    Raises:
        TidemillError: E_EXPORT (data) where a stage, or a parameter of it, has no exact graph.
    """
    stages = read_stages(folder)
    follows = stages.pop() if stages[-1].kind == CALIBRATED else None
    *before, last = stages
    graph = Graph()
    add_preprocessing(graph, before)
    if last.kind not in PREDICTORS:
        raise refused(f"a model {last.kind} has no graph", last.folder, f"use {', '.join(sorted(PREDICTORS))}")
    output, steepest = PREDICTORS[last.kind](last, graph), 1.0
    if follows is not None:
        score, steepest = add_calibration(follows, graph, output.tensor)
        output = Output(score)
    try:
        predicted = add_prediction(graph, output, threshold)
        serialised = graph.serialise(output.tensor, output.width, output.name, predicted)
    except ValidationError as error:
        raise refused(f"the graph is not valid: {error}", last.folder, "rename the feature that it names") from error
    texts = {value for name, kind in graph.inputs.items() if kind == TEXT for value in graph.probes.get(name, ())}
    return Export(
        serialised,
        graph.inputs,
        _unused_text(texts),
        graph.width,
        max(1.0, steepest) * (TOLERANCE_SINGLE if last.kind in BOOSTERS else TOLERANCE),
        {name: tuple(dict.fromkeys(values)) for name, values in graph.probes.items()},
        output.name,
        output.width if output.name == OF_CLASSES else 0,
        threshold,
    )


def add_prediction(graph: Graph, output: Output, threshold: float | None = None) -> str:
    """What is predicted, of shape (rows, 1): the decision at a threshold, else the score itself or the class's number.

    An infinity or NaN taken from itself is NaN, and any other number 0: added, it leaves nothing decided of a row
    without a score.
    """
    none = graph.add("Sub", output.tensor, output.tensor)
    if output.name == OF_CLASSES:
        none = graph.add("ReduceSum", none, graph.constant(np.array([1])), keepdims=1)
        said = graph.add("Cast", graph.add("ArgMax", output.tensor, axis=1), to=TensorProto.DOUBLE)
    elif threshold is None:
        said = output.tensor
    else:
        above = graph.add("GreaterOrEqual", output.tensor, graph.number(threshold))
        said = graph.add("Cast", above, to=TensorProto.DOUBLE)
    return graph.add("Add", said, none)


def add_preprocessing(graph: Graph, stages: Iterable[Stage]) -> None:
    """The stages before the model.

    Raises:
        TidemillError: E_EXPORT (data) where one has no exact graph.
    """
    for stage in stages:
        if stage.kind not in PREPROCESSING:
            raise refused(f"a stage {stage.kind} has no graph", stage.folder, f"use {', '.join(sorted(PREPROCESSING))}")
        PREPROCESSING[stage.kind](stage, graph)


def _unused_text(used: set[str]) -> str:
    text = "<null>"
    while text in used:
        text = f"<{text}>"
    return text
