"""MLlib's trees, read from a saved model without a JVM: a table of nodes, and one of trees with their weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tidemill.models.trees import LEAF, Tree

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from tidemill.models.saved_pipeline import Stage

_CLASSIFIERS = ("DecisionTreeClassificationModel", "RandomForestClassificationModel")
_BOOSTERS = ("GBTRegressionModel", "GBTClassificationModel")


def read_trees(stage: Stage) -> list[list[Tree]]:
    """The trees of a saved model, in order, for each number that it says.

    Args:
        stage: the saved model.

    Returns:
        One list of trees, or of a classifier of more than two classes one for each class, with the same splits. Leaves
        of a list add up to what the model says: the share of the positive class or of each of several, the value of a
        tree or forest, the margin of a booster.
    """
    owners, nodes, weight = _saved(stage)
    found = []
    for owner in sorted(weight):
        factor = weight[owner] if stage.kind in _BOOSTERS else 1.0 / len(weight)
        trees = _read_tree(nodes.filter(owners == owner).sort_by("id"), stage.kind in _CLASSIFIERS)
        found.append([replace(tree, value=tree.value * factor) for tree in trees])
    return [list(of_number) for of_number in zip(*found, strict=True)]


def _saved(stage: Stage) -> tuple[NDArray[np.int64], pa.Table, dict[int, float]]:
    """The nodes, the tree that each belongs to, and the weights of the trees."""
    table = stage.table()
    if "treeID" not in table.column_names:
        return np.zeros(len(table), dtype=np.int64), table, {0: 1.0}
    nodes = table.select(["nodeData"]).flatten()
    nodes = nodes.rename_columns([name.partition(".")[2] for name in nodes.column_names])
    numbers, _, weights = stage.table("treesMetadata").columns  # by place: Spark gives them no names
    return table["treeID"].to_numpy(), nodes, dict(zip(numbers.to_pylist(), weights.to_pylist(), strict=True))


def _read_tree(nodes: pa.Table, classifies: bool) -> list[Tree]:
    """One tree, once for each number that it says: of a classifier the share of a class among a leaf's rows."""
    ids, splits = nodes["id"].to_numpy(), nodes["split"].combine_chunks()
    first = nodes["leftChild"].to_numpy()
    inner = first != LEAF
    limits = splits.field("leftCategoriesOrThreshold").to_pylist()
    categorical = inner & (splits.field("numCategories").to_numpy() != -1)
    seen = nodes["impurityStats"].to_pylist()  # by class, or else rows, sum and sum of squares
    tree = Tree(
        np.where(inner, np.searchsorted(ids, first), LEAF),
        np.where(inner, np.searchsorted(ids, nodes["rightChild"].to_numpy()), LEAF),
        splits.field("featureIndex").to_numpy(),
        np.array([values[0] if values else 0.0 for values in limits]),
        {int(node): limits[node] for node in np.flatnonzero(categorical)},
        nodes["prediction"].to_numpy(),
        np.zeros(len(ids), dtype=bool),
        np.array([sum(stats) if classifies else stats[0] for stats in seen]),
    )
    if not classifies:
        return [tree]
    classes = len(seen[0])
    numbers = (1,) if classes == 2 else range(classes)
    return [replace(tree, value=_shares(seen, number)) for number in numbers]


def _shares(seen: list[list[float]], number: int) -> NDArray[np.float64]:
    return np.array([stats[number] / (sum(stats) or 1.0) for stats in seen])
