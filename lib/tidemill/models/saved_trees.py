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


def read_trees(stage: Stage, number: int = 1) -> list[Tree]:
    """The trees of a saved model, in order.

    Args:
        stage: the saved model.
        number: of the class whose share a classifier tells; 1 is the positive one of two.

    Returns:
        Leaves whose sum is what the model says: the share of the class or the value of a tree or forest, the margin of
        a booster. A leaf of a classifier holds the share of the class among its training rows.
    """
    owners, nodes, weight = _saved(stage)
    found = []
    for owner in sorted(weight):
        tree = _read_tree(nodes.filter(owners == owner).sort_by("id"), number if stage.kind in _CLASSIFIERS else None)
        factor = weight[owner] if stage.kind in _BOOSTERS else 1.0 / len(weight)
        found.append(replace(tree, value=tree.value * factor))
    return found


def class_count(stage: Stage) -> int:
    """How many classes the leaves of a classifier tell apart."""
    return len(_saved(stage)[1]["impurityStats"][0])


def _saved(stage: Stage) -> tuple[NDArray[np.int64], pa.Table, dict[int, float]]:
    """The nodes, the tree that each belongs to, and the weights of the trees."""
    table = stage.table()
    if "treeID" not in table.column_names:
        return np.zeros(len(table), dtype=np.int64), table, {0: 1.0}
    nodes = table.select(["nodeData"]).flatten()
    nodes = nodes.rename_columns([name.partition(".")[2] for name in nodes.column_names])
    numbers, _, weights = stage.table("treesMetadata").columns  # by place: Spark gives them no names
    return table["treeID"].to_numpy(), nodes, dict(zip(numbers.to_pylist(), weights.to_pylist(), strict=True))


def _read_tree(nodes: pa.Table, number: int | None) -> Tree:
    """One tree, of a classifier with the shares of the class of that number."""
    ids, splits = nodes["id"].to_numpy(), nodes["split"].combine_chunks()
    first = nodes["leftChild"].to_numpy()
    inner = first != LEAF
    limits = splits.field("leftCategoriesOrThreshold").to_pylist()
    categorical = inner & (splits.field("numCategories").to_numpy() != -1)
    seen = nodes["impurityStats"].to_pylist()  # by class, or else rows, sum and sum of squares
    return Tree(
        np.where(inner, np.searchsorted(ids, first), LEAF),
        np.where(inner, np.searchsorted(ids, nodes["rightChild"].to_numpy()), LEAF),
        splits.field("featureIndex").to_numpy(),
        np.array([values[0] if values else 0.0 for values in limits]),
        {int(node): limits[node] for node in np.flatnonzero(categorical)},
        nodes["prediction"].to_numpy() if number is None else _shares(seen, number),
        np.zeros(len(ids), dtype=bool),
        np.array([stats[0] if number is None else sum(stats) for stats in seen]),
    )


def _shares(seen: list[list[float]], number: int) -> NDArray[np.float64]:
    return np.array([stats[number] / (sum(stats) or 1.0) for stats in seen])
