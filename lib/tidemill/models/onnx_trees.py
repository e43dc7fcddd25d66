"""Trees and their ensembles as one ONNX `TreeEnsemble`, and MLlib's trees read for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from tidemill.models.onnx_graph import ML, NUMBER
from tidemill.models.onnx_linear import positive_probability

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from tidemill.models.onnx_graph import Graph
    from tidemill.models.saved_pipeline import Stage

LESS_OR_EQUAL, LESS, MEMBER = 0, 1, 6  # modes of a node: what holds where its first branch is taken
LEAF = -1


@dataclass(frozen=True)
class Tree:
    """One tree; arrays by node, the root first.

    Args:
        first: the node that follows where the condition holds, or `LEAF`.
        second: the node that follows elsewhere.
        feature: the feature that is looked at.
        threshold: what it is compared with.
        members: for a node that looks at categories those that take the first branch, by node.
        value: of a leaf.
        missing_first: whether a missing value takes the first branch.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    members: dict[int, list[float]]
    value: NDArray[np.float64]
    missing_first: NDArray[np.bool_]


def add_ensemble(graph: Graph, tensor: str, trees: Sequence[Tree], mode: int, number: type[np.floating[Any]]) -> str:
    """The sum of the leaves that a row falls into.

    Args:
        graph: to add to.
        tensor: the features, of type `number`.
        trees: summed in this order.
        mode: how thresholds compare, `LESS_OR_EQUAL` or `LESS`.
        number: the type of splits, leaves and sum.

    Returns:
        A tensor of shape (rows, 1) and of type `number`.
    """
    nodes: dict[str, list[NDArray[Any]]] = {name: [] for name in ("first", "second", "leaf1", "leaf2")}
    feature, split, modes, missing, weights, roots, members = [], [], [], [], [], [], []
    inner_before = leaves_before = 0
    for tree in map(_with_a_node, trees):
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
    attributes = {
        "tree_roots": roots,
        "nodes_featureids": _integers(feature),
        "nodes_modes": _tensor("nodes_modes", modes, np.uint8),
        "nodes_splits": _tensor("nodes_splits", split, number),
        "nodes_truenodeids": _integers(nodes["first"]),
        "nodes_trueleafs": _integers(nodes["leaf1"]),
        "nodes_falsenodeids": _integers(nodes["second"]),
        "nodes_falseleafs": _integers(nodes["leaf2"]),
        "leaf_targetids": [0] * leaves_before,
        "leaf_weights": _tensor("leaf_weights", weights, number),
        "n_targets": 1,
        "aggregate_function": 1,  # sum
        "post_transform": 0,  # none
    }
    if any(flags.any() for flags in missing):
        attributes["nodes_missing_value_tracks_true"] = _integers(missing)
    if members:
        attributes["membership_values"] = _tensor("membership_values", [np.array(members)], number)
    return graph.add("TreeEnsemble", tensor, domain=ML, **attributes)


def _class_share(stage: Stage, graph: Graph) -> str:
    """The mean over the trees of the positive share of the leaf's training rows."""
    return _mllib(stage, graph, _positive_shares, mean=True)


def _mean_value(stage: Stage, graph: Graph) -> str:
    return _mllib(stage, graph, _predictions, mean=True)


def _weighted_sum(stage: Stage, graph: Graph) -> str:
    return _mllib(stage, graph, _predictions, mean=False)


def _boosted_probability(stage: Stage, graph: Graph) -> str:
    """The log loss of MLlib has margins that are half a logit."""
    return positive_probability(graph, graph.add("Mul", _weighted_sum(stage, graph), graph.number(2.0)))


TREES: dict[str, Callable[[Stage, Graph], str]] = {
    "DecisionTreeClassificationModel": _class_share,
    "RandomForestClassificationModel": _class_share,
    "DecisionTreeRegressionModel": _mean_value,
    "RandomForestRegressionModel": _mean_value,
    "GBTRegressionModel": _weighted_sum,
    "GBTClassificationModel": _boosted_probability,
}


def _mllib(stage: Stage, graph: Graph, leaves: Callable[[pa.Table], NDArray[np.float64]], *, mean: bool) -> str:
    """The ensemble of a saved MLlib model: a table of nodes, and one of trees with their weights."""
    table = stage.table()
    if "treeID" in table.column_names:
        owners = table["treeID"].to_numpy()
        nodes = table.select(["nodeData"]).flatten()
        nodes = nodes.rename_columns([name.partition(".")[2] for name in nodes.column_names])
        numbers, _, weights = stage.table("treesMetadata").columns  # by place: Spark gives them no names
        weight = dict(zip(numbers.to_pylist(), weights.to_pylist(), strict=True))
    else:
        owners, nodes, weight = np.zeros(len(table), dtype=np.int64), table, {0: 1.0}
    features = graph.read(stage.parameters["featuresCol"], NUMBER)
    trees = []
    for owner in sorted(weight):
        tree = _read_tree(nodes.filter(owners == owner).sort_by("id"), leaves)
        factor = 1.0 / len(weight) if mean else weight[owner]
        trees.append(replace(tree, value=tree.value * factor))
        graph.probe(features.origins, tree.feature[tree.first != LEAF], tree.threshold[tree.first != LEAF])
    return add_ensemble(graph, graph.take(features), trees, LESS_OR_EQUAL, np.float64)


def _read_tree(nodes: pa.Table, leaves: Callable[[pa.Table], NDArray[np.float64]]) -> Tree:
    ids, splits = nodes["id"].to_numpy(), nodes["split"].combine_chunks()
    first = nodes["leftChild"].to_numpy()
    inner = first != LEAF
    limits = splits.field("leftCategoriesOrThreshold").to_pylist()
    categorical = inner & (splits.field("numCategories").to_numpy() != -1)
    return Tree(
        np.where(inner, np.searchsorted(ids, first), LEAF),
        np.where(inner, np.searchsorted(ids, nodes["rightChild"].to_numpy()), LEAF),
        splits.field("featureIndex").to_numpy(),
        np.array([values[0] if values else 0.0 for values in limits]),
        {int(node): limits[node] for node in np.flatnonzero(categorical)},
        leaves(nodes),
        np.zeros(len(ids), dtype=bool),
    )


def _positive_shares(nodes: pa.Table) -> NDArray[np.float64]:
    return np.array([stats[1] / (sum(stats) or 1.0) for stats in nodes["impurityStats"].to_pylist()])


def _predictions(nodes: pa.Table) -> NDArray[np.float64]:
    return nodes["prediction"].to_numpy()


def _with_a_node(tree: Tree) -> Tree:
    """A tree whose root is a leaf gets a node, both of whose branches end with that leaf's value."""
    if tree.first[0] != LEAF:
        return tree
    one = np.array([1, LEAF, LEAF]), np.array([2, LEAF, LEAF])
    zeros = np.zeros(3)
    return Tree(*one, zeros.astype(np.int64), zeros, {}, np.repeat(tree.value[0], 3), zeros.astype(bool))


def _integers(parts: Sequence[NDArray[Any]]) -> list[int]:
    return [int(value) for value in np.concatenate(parts)]


def _tensor(name: str, parts: Sequence[NDArray[Any]], kind: type[np.generic]) -> Any:
    return numpy_helper.from_array(np.concatenate(parts).astype(kind), name)
