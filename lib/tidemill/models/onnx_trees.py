"""Trees and their ensembles as one ONNX `TreeEnsemble`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from tidemill.models.onnx_graph import ML, NUMBER, OF_CLASSES, Output
from tidemill.models.onnx_linear import positive_probability
from tidemill.models.saved_trees import read_trees
from tidemill.models.trees import LEAF, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tidemill.models.onnx_graph import Graph
    from tidemill.models.saved_pipeline import Stage

LESS_OR_EQUAL, LESS, MEMBER = 0, 1, 6  # modes of a node: what holds where its first branch is taken


def add_ensemble(
    graph: Graph,
    tensor: str,
    trees: Sequence[Tree],
    mode: int,
    number: type[np.floating[Any]],
    targets: Sequence[int] | None = None,
) -> str:
    """The sums of the leaves that a row falls into.

    Args:
        graph: to add to.
        tensor: the features, of type `number`.
        trees: summed in this order.
        mode: how thresholds compare, `LESS_OR_EQUAL` or `LESS`.
        number: the type of splits, leaves and sums.
        targets: of each tree the sum that it adds to, from 0; None for one sum of all.

    Returns:
        A tensor of shape (rows, sums) and of type `number`.
    """
    nodes: dict[str, list[NDArray[Any]]] = {name: [] for name in ("first", "second", "leaf1", "leaf2")}
    feature, split, modes, missing, weights, roots, members = [], [], [], [], [], [], []
    inner_before = leaves_before = 0
    leaf_targets: list[int] = []
    for tree, target in zip(map(_with_a_node, trees), targets or [0] * len(trees), strict=True):
        inner = tree.first != LEAF
        place = np.where(inner, np.cumsum(inner) - 1 + inner_before, np.cumsum(~inner) - 1 + leaves_before)
        for child, leaf, to in (("first", "leaf1", tree.first), ("second", "leaf2", tree.second)):
            nodes[child].append(place[to[inner]])
            nodes[leaf].append(~inner[to[inner]])
        by_category = np.isin(np.arange(len(inner)), list(tree.members))
        modes.append(np.where(by_category, MEMBER, mode)[inner])
        members += [value for node in sorted(tree.members) for value in (*tree.members[node], np.nan)]
        feature.append(tree.feature[inner])
        split.append(np.where(by_category, 0.0, tree.threshold)[inner])
        missing.append(tree.missing_first[inner])
        weights.append(tree.value[~inner])
        roots.append(inner_before)
        inner_before += int(inner.sum())
        leaves_before += int((~inner).sum())
        leaf_targets += [target] * int((~inner).sum())
    attributes = {
        "tree_roots": roots,
        "nodes_featureids": _integers(feature),
        "nodes_modes": _tensor("nodes_modes", modes, np.uint8),
        "nodes_splits": _tensor("nodes_splits", split, number),
        "nodes_truenodeids": _integers(nodes["first"]),
        "nodes_trueleafs": _integers(nodes["leaf1"]),
        "nodes_falsenodeids": _integers(nodes["second"]),
        "nodes_falseleafs": _integers(nodes["leaf2"]),
        "leaf_targetids": leaf_targets,
        "leaf_weights": _tensor("leaf_weights", weights, number),
        "n_targets": max(leaf_targets) + 1,
        "aggregate_function": 1,  # sum
        "post_transform": 0,  # none
    }
    if any(flags.any() for flags in missing):
        attributes["nodes_missing_value_tracks_true"] = _integers(missing)
    if members:
        attributes["membership_values"] = _tensor("membership_values", [np.array(members)], number)
    return graph.add("TreeEnsemble", tensor, domain=ML, **attributes)


def _votes(stage: Stage, graph: Graph) -> Output:
    """The shares of the classes: of two the positive one, of more each by trees of its own, as a leaf has one value."""
    found = _sum_of_leaves(stage, graph)
    # Twenty twentieths add up to a little more than 1, which no probability is.
    return replace(found, tensor=graph.add("Min", found.tensor, graph.number(1.0)))


def _sum_of_leaves(stage: Stage, graph: Graph) -> Output:
    """The ensemble of a saved MLlib model: one sum, or one a class."""
    sums = read_trees(stage)
    features = graph.read(stage.parameters["featuresCol"], NUMBER)
    for tree in sums[0]:  # the others have the same splits
        graph.probe(features.origins, tree.feature[tree.first != LEAF], tree.threshold[tree.first != LEAF])
    trees, targets = zip(*((tree, target) for target, of_sum in enumerate(sums) for tree in of_sum), strict=True)
    made = add_ensemble(graph, graph.take(features), trees, LESS_OR_EQUAL, np.float64, targets)
    return Output(made) if len(sums) == 1 else Output(made, len(sums), OF_CLASSES)


def _boosted_probability(stage: Stage, graph: Graph) -> Output:
    """The log loss of MLlib has margins that are half a logit."""
    margin = graph.add("Mul", _sum_of_leaves(stage, graph).tensor, graph.number(2.0))
    return Output(positive_probability(graph, margin))


TREES: dict[str, Callable[[Stage, Graph], Output]] = {
    "DecisionTreeClassificationModel": _votes,
    "RandomForestClassificationModel": _votes,
    "DecisionTreeRegressionModel": _sum_of_leaves,
    "RandomForestRegressionModel": _sum_of_leaves,
    "GBTRegressionModel": _sum_of_leaves,
    "GBTClassificationModel": _boosted_probability,
}


def _with_a_node(tree: Tree) -> Tree:
    """A tree whose root is a leaf gets a node, both of whose branches end with that leaf's value."""
    if tree.first[0] != LEAF:
        return tree
    one = np.array([1, LEAF, LEAF]), np.array([2, LEAF, LEAF])
    zeros = np.zeros(3)
    return Tree(*one, zeros.astype(np.int64), zeros, {}, np.repeat(tree.value[0], 3), zeros.astype(bool), zeros)


def _integers(parts: Sequence[NDArray[Any]]) -> list[int]:
    return [int(value) for value in np.concatenate(parts)]


def _tensor(name: str, parts: Sequence[NDArray[Any]], kind: type[np.generic]) -> Any:
    return numpy_helper.from_array(np.concatenate(parts).astype(kind), name)
