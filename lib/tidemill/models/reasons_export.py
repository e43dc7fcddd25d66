"""What a saved model's explainer is made of, written beside its graph.

Trees, forests and boosters of MLlib are explained by exact tree SHAP; XGBoost by its own contributions; a linear model
by its terms: slope times the distance of a feature from its mean, which are its Shapley values where features are taken
as independent (Strumbelj and Kononenko 2014, "Explaining prediction models and individual predictions with feature
contributions").
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.models.onnx_boosters import BOOSTER as SAVED_BOOSTER
from tidemill.models.onnx_boosters import BOOSTERS
from tidemill.models.onnx_export import add_preprocessing
from tidemill.models.onnx_graph import NUMBER, Graph
from tidemill.models.reasons import ARRAYS, BOOSTER, LINEAR, NATIVE, REASONS, TREES, VECTOR, pack_trees
from tidemill.models.saved_pipeline import matrix_coefficients, read_stages, vector, vector_coefficients
from tidemill.models.saved_trees import read_trees
from tidemill.models.tree_shap import expected_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tidemill.models.saved_pipeline import Coefficients, Stage

# Stages each of whose output columns was made from the input column in the same place.
_APART = frozenset(
    {"ImputerModel", "StringIndexerModel", "OneHotEncoderModel", "StandardScalerModel", "MinMaxScalerModel"}
)
_LOG = ("count:poisson", "reg:gamma", "reg:tweedie")


@dataclass(frozen=True)
class _Model:
    kind: str
    unit: str
    base: float
    arrays: dict[str, NDArray[Any]]


def write_explainer(saved: Path, null_text: str, folder: Path) -> bool:
    """Writes the parts of an explainer into a graph's folder.

    Args:
        saved: where `PipelineModel.save` put the model.
        null_text: the text that stands for a null category in its graph.
        folder: holds the graph and, of an XGBoost model, the native booster.

    Returns:
        Whether the model can be explained; else nothing is written.
    """
    stages = read_stages(saved)
    place = next((n for n, stage in enumerate(stages) if stage.kind in _READERS), None)
    if place is None:
        return False
    before, stage = stages[:place], stages[place]
    model = _READERS[stage.kind](stage, before, folder)
    if model is None:
        return False
    graph = Graph()
    add_preprocessing(graph, before)
    read = graph.read(stage.parameters["featuresCol"], NUMBER)
    named = _names(before, graph)[stage.parameters["featuresCol"]]
    serialised = graph.serialise(graph.take(read), len(named))
    described = [{"name": name, "type": kind} for name, kind in graph.inputs.items()]
    inputs = list(dict.fromkeys([name for name in graph.inputs if name in named] + named))
    said = {
        "kind": model.kind,
        "unit": model.unit,
        "base": model.base,
        "inputs": inputs,
        "sources": [inputs.index(name) for name in named],
        "vector": {
            "inputs": described,
            "null_text": null_text,
            "width": graph.width,
            "sha256": sha256(serialised).hexdigest(),
        },
    }
    (folder / VECTOR).write_bytes(serialised)
    if model.arrays:
        np.savez(folder / ARRAYS, allow_pickle=False, **model.arrays)
    (folder / REASONS).write_text(json.dumps(said, indent=2, ensure_ascii=False), "utf-8")
    return True


def _names(stages: Iterable[Stage], graph: Graph) -> dict[str, list[str]]:
    """For each of Spark's columns what its values are named after: inputs, or itself where it mixes several."""
    named = {name: [name] for name in graph.inputs}
    for stage in stages:
        read = [named[name] for name in stage.input_columns]
        made = stage.output_columns
        if stage.kind in _APART:
            for names, output in zip(read, made, strict=True):
                width = len(graph.columns[output].origins)
                named[output] = names if len(names) == width else names * width
        elif stage.kind == "VectorAssembler":
            named[made[0]] = [name for names in read for name in names]
        elif stage.kind == "VectorSlicer":
            named[made[0]] = [read[0][place] for place in stage.parameters["indices"]]
        else:
            for output in made:
                width = len(graph.columns[output].origins)
                named[output] = [output] if width == 1 else [f"{output}[{n}]" for n in range(width)]
    return named


def _forest(stage: Stage, _before: Sequence[Stage], _folder: Path) -> _Model | None:
    trees, *others = read_trees(stage)
    if others:  # of several classes
        return None
    return _Model(
        TREES, "probability" if "Classification" in stage.kind else "value", expected_value(trees), pack_trees(trees)
    )


def _boosted(stage: Stage, _before: Sequence[Stage], _folder: Path) -> _Model:
    """The log loss of MLlib has margins that are half a logit."""
    (trees,), unit = read_trees(stage), "value"
    if stage.kind == "GBTClassificationModel":
        trees, unit = [replace(tree, value=tree.value * 2.0) for tree in trees], "log-odds"
    return _Model(TREES, unit, expected_value(trees), pack_trees(trees))


def _logistic(stage: Stage, before: Sequence[Stage], _folder: Path) -> _Model | None:
    fitted = stage.table()
    found = matrix_coefficients(fitted["coefficientMatrix"][0].as_py())
    slopes, intercepts = found.values, vector(fitted["interceptVector"][0].as_py())
    if len(slopes) > 2:
        return None
    if len(slopes) == 2:  # one margin a class: their difference is the log-odds
        slopes, intercepts = slopes[1:] - slopes[:1], intercepts[1:] - intercepts[:1]
    return _terms(replace(found, values=slopes), float(intercepts[0]), "log-odds", stage, before)


def _linear(stage: Stage, before: Sequence[Stage], _folder: Path) -> _Model | None:
    fitted = stage.table()
    found = vector_coefficients(fitted["coefficients"][0].as_py())
    return _terms(found, float(fitted["intercept"][0].as_py()), "value", stage, before)


def _terms(found: Coefficients, intercept: float, unit: str, stage: Stage, before: Sequence[Stage]) -> _Model | None:
    slopes = found.values[0]
    active = np.arange(len(slopes)) if found.active is None else found.active
    means = _means(stage.parameters["featuresCol"], before, len(slopes))
    if means is None:
        return None
    base = intercept + float(means[active] @ slopes[active])
    return _Model(LINEAR, unit, base, {"active": active, "slopes": slopes, "means": means})


def _means(column: str, before: Sequence[Stage], width: int) -> NDArray[np.float64] | None:
    """The means of a scaled column over the training rows; None of another one, of which nobody has kept them."""
    scaler = next((s for s in before if s.kind == "StandardScalerModel" and s.output_columns == [column]), None)
    if scaler is None:
        return None
    if scaler.parameters["withMean"]:
        return np.zeros(width)
    fitted = scaler.table()
    means, deviations = (vector(fitted[name][0].as_py()) for name in ("mean", "std"))
    if not scaler.parameters["withStd"]:
        return means
    return np.divide(means, deviations, out=np.zeros(width), where=deviations != 0)


def _xgboost(stage: Stage, _before: Sequence[Stage], folder: Path) -> _Model | None:
    learner = json.loads(stage.text(SAVED_BOOSTER))["learner"]
    if int(learner["learner_model_param"]["num_class"]) > 1:
        return None
    from tidemill.models.xgb_native import booster_contributions

    width = int(learner["learner_model_param"]["num_feature"])
    base = booster_contributions((folder / NATIVE).read_bytes(), np.full((1, width), np.nan))[0, -1]
    objective = learner["objective"]["name"]
    unit = "log-odds" if stage.kind == "SparkXGBClassifierModel" or objective == "reg:logistic" else "value"
    return _Model(BOOSTER, "log" if objective in _LOG else unit, float(base), {})


_READERS: dict[str, Callable[[Stage, Sequence[Stage], Path], _Model | None]] = {
    "LogisticRegressionModel": _logistic,
    "LinearRegressionModel": _linear,
    "DecisionTreeClassificationModel": _forest,
    "RandomForestClassificationModel": _forest,
    "DecisionTreeRegressionModel": _forest,
    "RandomForestRegressionModel": _forest,
    "GBTRegressionModel": _boosted,
    "GBTClassificationModel": _boosted,
    **dict.fromkeys(BOOSTERS, _xgboost),
}
