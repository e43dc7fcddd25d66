"""Calibrations as ONNX nodes, in the formulas of `stats.calibration`; what is no number stays none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from tidemill.models.calibrating import calibration_of
from tidemill.models.onnx_graph import refused
from tidemill.models.onnx_linear import alone, sigmoid
from tidemill.models.onnx_trees import LESS, add_ensemble
from tidemill.models.trees import LEAF, Tree
from tidemill.stats.calibration import LEAST, Platt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tidemill.models.onnx_graph import Graph
    from tidemill.models.saved_pipeline import Stage
    from tidemill.stats.calibration import Isotonic

CALIBRATED = "Calibrated"


def add_calibration(stage: Stage, graph: Graph, score: str) -> tuple[str, float]:
    """The calibrated score.

    Args:
        stage: the saved one.
        graph: to add to.
        score: a tensor of shape (rows, 1).

    Returns:
        The tensor, and by how much an error of the score is multiplied at most.
    """
    known = calibration_of(stage.parameters["calibration"])
    if known is None:
        raise refused("the calibration has no parameters", stage.folder, "train again")
    made = _platt(known, graph, score) if isinstance(known, Platt) else _isotonic(known, graph, score)
    return graph.add("Where", graph.add("IsNaN", score), score, made), known.steepest


def _platt(known: Platt, graph: Graph, score: str) -> str:
    one = graph.number(1.0)
    kept = graph.add("Max", graph.add("Min", score, graph.number(1 - LEAST)), graph.number(LEAST))
    odds = graph.add("Sub", alone(graph, "Log", kept), alone(graph, "Log", graph.add("Sub", one, kept)))
    moved = graph.add("Add", graph.add("Mul", odds, graph.number(known.slope)), graph.number(known.offset))
    return sigmoid(graph, moved)


def _isotonic(known: Isotonic, graph: Graph, score: str) -> str:
    """The knot at or below the score, found by a tree, and the line that begins there; before the first it is flat."""
    scores, values = np.array(known.scores), np.array(known.values)
    slopes = np.concatenate([[0.0], np.diff(values) / np.diff(scores), [0.0]])
    starts, heights = (np.concatenate([column[:1], column]) for column in (scores, values))
    place = graph.add("Cast", add_ensemble(graph, score, [_search(scores)], LESS, np.float64), to=TensorProto.INT64)
    start, height, slope = (graph.add("Gather", graph.constant(c), place, axis=0) for c in (starts, heights, slopes))
    risen = graph.add("Add", height, graph.add("Mul", slope, graph.add("Sub", score, start)))
    return graph.add("Max", graph.add("Min", risen, graph.number(values[-1])), graph.number(values[0]))


def _search(knots: NDArray[np.float64]) -> Tree:
    """A balanced tree whose leaf is the number of knots at or below a value."""
    first: list[int] = []
    second: list[int] = []
    limits: list[float] = []
    leaves: list[float] = []

    def grow(low: int, high: int) -> int:
        """The node of values that have at least `low` and at most `high` knots at or below them."""
        node, middle = len(first), (low + high) // 2
        for column, value in ((first, LEAF), (second, LEAF), (limits, 0.0), (leaves, float(low))):
            column.append(value)  # type: ignore[arg-type]
        if low < high:
            limits[node] = float(knots[middle])
            first[node], second[node] = grow(low, middle), grow(middle + 1, high)
        return node

    grow(0, len(knots))
    zeros = np.zeros(len(first))
    return Tree(
        np.array(first),
        np.array(second),
        zeros.astype(np.int64),
        np.array(limits),
        {},
        np.array(leaves),
        zeros.astype(bool),
        zeros,
    )
