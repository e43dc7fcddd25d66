"""XGBoost's boosters as ONNX nodes, read from the JSON that they are saved as.

XGBoost computes in single precision: features are rounded to it, a row goes left where `x < split`, and the leaves are
summed tree by tree upon the base margin. The graph does the same, and applies the link to the sum in double precision.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from tidemill.models.onnx_graph import NUMBER, OF_CLASSES, Output, refused
from tidemill.models.onnx_linear import exponential, sigmoid, softmax
from tidemill.models.onnx_trees import LESS, add_ensemble
from tidemill.models.trees import LEAF, Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tidemill.models.onnx_graph import Graph
    from tidemill.models.saved_pipeline import Stage

BOOSTER = "model"  # the folder of a stage that holds the booster's JSON
_LOGISTIC = ("binary:logistic", "reg:logistic")
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie")
_IDENTITY = (
    "multi:softprob",
    "reg:squarederror",
    "reg:absoluteerror",
    "reg:pseudohubererror",
    "reg:quantileerror",
    "binary:logitraw",
)


def _classifier(stage: Stage, graph: Graph) -> Output:
    """xgboost.spark takes the logistic function of a classifier's margin, or the softmax, whatever the objective."""
    margins = _margins(stage, graph)
    if margins.width == 1:
        return Output(sigmoid(graph, margins.tensor))
    return Output(softmax(graph, margins.tensor, margins.width), margins.width, OF_CLASSES)


def _regressor(stage: Stage, graph: Graph) -> Output:
    margins = _margins(stage, graph)
    if margins.width != 1:
        raise refused(f"a booster of {margins.width} outputs has no score", stage.folder, "use one output")
    if margins.objective in _LOGISTIC:
        return Output(sigmoid(graph, margins.tensor))
    exponentially = margins.objective in _EXPONENTIAL
    return Output(exponential(graph, margins.tensor, 1.0) if exponentially else margins.tensor)


@dataclass(frozen=True)
class _Margins:
    """The margins in double precision, how many a row has, and the name of the objective."""

    tensor: str
    width: int
    objective: str


BOOSTERS: dict[str, Callable[[Stage, Graph], Output]] = {
    "SparkXGBClassifierModel": _classifier,
    "SparkXGBRegressorModel": _regressor,
}


def _margins(stage: Stage, graph: Graph) -> _Margins:
    learner = json.loads(stage.text(BOOSTER))["learner"]
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]
    weights: list[float] | None = booster.get("weight_drop")
    if "gbtree" in booster:  # DART is trees with weights
        booster = booster["gbtree"]
    if "trees" not in booster["model"]:
        raise refused(f"the booster {booster['name']} has no trees", stage.folder, "use booster='gbtree' or 'dart'")
    bases = _base_margins(learner["learner_model_param"]["base_score"], objective, stage)
    features = graph.read(stage.parameters["featuresCol"], NUMBER)
    trees, targets = [_constant(base) for base in bases], [*range(len(bases)), *booster["model"]["tree_info"]]
    for number, saved in enumerate(booster["model"]["trees"]):
        tree = read_tree(saved)
        if weights is not None:
            base = bases[targets[len(bases) + number]]
            tree = replace(tree, value=_dropped_out(tree.value, base, weights[number]))
        inner = tree.first != LEAF
        limits = tree.threshold[inner].astype(np.float32)
        for near in (limits, np.nextafter(limits, np.float32(-np.inf)), np.nextafter(limits, np.float32(np.inf))):
            graph.probe(features.origins, tree.feature[inner], near.astype(np.float64))
        trees.append(tree)
    single = graph.add("Cast", graph.take(features), to=TensorProto.FLOAT)
    margin = add_ensemble(graph, single, trees, LESS, np.float32, targets)
    return _Margins(graph.add("Cast", margin, to=TensorProto.DOUBLE), len(bases), objective)


def _base_margins(text: str, objective: str, stage: Stage) -> list[float]:
    """The base scores, one an output, are saved as predictions; the inverse of the link makes them margins."""
    scores = np.atleast_1d(np.float32(json.loads(text)))
    if objective in _LOGISTIC:
        return (-np.log(np.float32(1.0) / scores - np.float32(1.0))).tolist()
    if objective in _EXPONENTIAL:
        return np.log(scores).tolist()
    if objective in _IDENTITY:
        return scores.tolist()
    raise refused(f"the link of the objective {objective} is not known", stage.folder, "use another objective")


def _dropped_out(leaves: NDArray[np.float64], base: float, weight: float) -> NDArray[np.float64]:
    """DART predicts each tree upon the base margin and takes it off again, in single precision."""
    single = np.float32(base)
    return (((leaves.astype(np.float32) + single) - single) * np.float32(weight)).astype(np.float64)


def read_tree(saved: dict[str, Any]) -> Tree:
    """A tree of a booster's JSON; it branches where a value is less than the threshold."""
    first = np.array(saved["left_children"], dtype=np.int64)
    limits = np.array(saved["split_conditions"], dtype=np.float32)
    return Tree(
        first,
        np.array(saved["right_children"], dtype=np.int64),
        np.array(saved["split_indices"], dtype=np.int64),
        limits.astype(np.float64),
        {},
        limits.astype(np.float64),  # a leaf's value lies where a split lies elsewhere
        np.array(saved["default_left"], dtype=bool),
        np.array(saved["sum_hessian"], dtype=np.float64),
    )


def _constant(value: float) -> Tree:
    """A tree of one leaf."""
    leaf, zero = np.array([LEAF]), np.array([0])
    return Tree(leaf, leaf, zero, np.zeros(1), {}, np.array([value]), np.array([False]), np.ones(1))
