"""Why a row has its score: what each input adds to the margin, without Spark, JVM and pickle.

A registered model's graph folder holds what this needs: the preprocessing as a graph of its own, whose output is the
vector that the model reads; the model's trees, coefficients or booster; and the input that each column of the vector
was made from. Contributions of columns that were made from one input (of its categories, say) are added up to one.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tidemill.models.onnx_scoring import make_scorer
from tidemill.models.tree_shap import tree_contributions
from tidemill.models.trees import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tidemill.models.onnx_scoring import Scorer

VECTOR, ARRAYS, REASONS, NATIVE = "features.onnx", "reasons.npz", "reasons.json", "booster.ubj"
TREES, LINEAR, BOOSTER = "trees", "linear", "booster"
_PARTS = (VECTOR, ARRAYS, REASONS, NATIVE)
_CELLS = 1 << 21  # of the widest array of a step: 16 MB
_TREE = ("first", "second", "feature", "threshold", "value", "missing_first", "cover")


@dataclass(frozen=True)
class Explainer:
    """A model that is ready to explain.

    Args:
        inputs: what contributions are named after: the features that the model reads. A column that was made from
            several of them stands for itself.
        base: the margin that is expected where nothing is known of a row.
        unit: of margin and contributions: `log-odds`, `probability`, `value`, or `log` of the value.
        vector: makes the vector that the model reads.
        sources: for each column of the vector the place among `inputs` of what it was made from.
        columns: the contributions of the columns of such vectors.
    """

    inputs: tuple[str, ...]
    base: float
    unit: str
    vector: Scorer
    sources: tuple[int, ...]
    columns: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    def explain(self, rows: pa.Table | pa.RecordBatch) -> NDArray[np.float64]:
        """What each input adds to the margin of each row.

        Args:
            rows: the features by name, as the model's scorer takes them.

        Returns:
            Shape (rows, inputs). A row's contributions and `base` add up to its margin: with trees and coefficients
            to the last digits of double precision, with a booster to those of single precision.

        Raises:
            ValueError: a feature is not among the columns.
        """
        step = max(1, _CELLS // max(1, len(self.sources)))
        parts = [self._of_vectors(self.vector.outputs(rows.slice(at, step))) for at in range(0, rows.num_rows, step)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.inputs)))

    def explain_rows(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """The same of plain rows, which are few, as the model's scorer takes them."""
        return self._of_vectors(self.vector.outputs_of_rows(rows))

    def _of_vectors(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.zeros((len(vectors), len(self.inputs)))
        for source, values in zip(self.sources, self.columns(vectors).T, strict=True):
            found[:, source] += values
        return found

    def reasons(self, contributions: NDArray[np.float64], count: int) -> tuple[pa.ListArray, pa.ListArray]:
        """The inputs that moved each row's margin most, largest first, and by how much; those that did not are none."""
        places = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :count]
        values = np.take_along_axis(contributions, places, axis=1)
        moved = np.abs(values) > 0
        offsets = pa.array(np.concatenate([[0], np.cumsum(moved.sum(axis=1))]), pa.int32())
        names = pa.array(self.inputs, pa.string()).take(pa.array(places[moved]))
        return pa.ListArray.from_arrays(offsets, names), pa.ListArray.from_arrays(offsets, pa.array(values[moved]))


def read_parts(folder: Path) -> dict[str, bytes] | None:
    """What an explainer is made of, to send to where it is needed; None where the model has none."""
    if not (folder / REASONS).exists():
        return None
    return {name: (folder / name).read_bytes() for name in _PARTS if (folder / name).exists()}


def features_of(parts: Mapping[str, bytes]) -> list[str]:
    """The features that a model reads."""
    return [item["name"] for item in json.loads(parts[REASONS])["vector"]["inputs"]]


def make_explainer(parts: Mapping[str, bytes]) -> Explainer:
    """The explainer of a model from its parts.

    Raises:
        ValueError: the graph is not the one that was described.
    """
    said = json.loads(parts[REASONS])
    arrays: dict[str, NDArray[Any]] = {}
    if ARRAYS in parts:
        with np.load(io.BytesIO(parts[ARRAYS]), allow_pickle=False) as saved:
            arrays = dict(saved)
    return Explainer(
        tuple(said["inputs"]),
        said["base"],
        said["unit"],
        make_scorer(parts[VECTOR], said["vector"]),
        tuple(said["sources"]),
        _columns(said["kind"], arrays, parts),
    )


def load_explainer(folder: Path) -> Explainer | None:
    """The explainer of a registered model's graph folder, or None where the model has none.

    Raises:
        ValueError: the graph is not the one that was described.
    """
    parts = read_parts(folder)
    return None if parts is None else make_explainer(parts)


def pack_trees(trees: list[Tree]) -> dict[str, NDArray[Any]]:
    """Trees as arrays: the nodes of one after those of the other."""
    arrays = {name: np.concatenate([getattr(tree, name) for tree in trees]) for name in _TREE}
    members = [
        (n, node, value) for n, tree in enumerate(trees) for node in tree.members for value in tree.members[node]
    ]
    sizes = np.array([len(tree.first) for tree in trees])
    return {**arrays, "sizes": sizes, "members": np.array(members, dtype=np.float64).reshape(-1, 3)}


def unpack_trees(arrays: Mapping[str, NDArray[Any]]) -> list[Tree]:
    """The trees of such arrays."""
    members: list[dict[int, list[float]]] = [{} for _ in arrays["sizes"]]
    for number, node, value in arrays["members"]:
        members[int(number)].setdefault(int(node), []).append(float(value))
    ends = np.cumsum(arrays["sizes"])[:-1]
    parts = {name: np.split(arrays[name], ends) for name in _TREE}
    return [Tree(members=held, **{name: parts[name][n] for name in _TREE}) for n, held in enumerate(members)]


def _columns(
    kind: str, arrays: Mapping[str, NDArray[Any]], parts: Mapping[str, bytes]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    if kind == TREES:
        trees = unpack_trees(arrays)
        return lambda rows: tree_contributions(trees, rows)
    if kind == LINEAR:
        active, slopes, means = arrays["active"], arrays["slopes"], arrays["means"]

        def terms(rows: NDArray[np.float64]) -> NDArray[np.float64]:
            found = np.zeros_like(rows)
            found[:, active] = (rows[:, active] - means[active]) * slopes[active]
            return found

        return terms
    from tidemill.models.xgb_native import booster_contributions  # which only boosters need

    booster = parts[NATIVE]
    return lambda rows: booster_contributions(booster, rows)[:, :-1]
