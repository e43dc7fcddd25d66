"""Linear models and perceptrons as ONNX nodes, in the formulas of MLlib."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tidemill.models.onnx_graph import NUMBER, refused
from tidemill.models.saved_pipeline import matrix_coefficients, vector, vector_coefficients

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tidemill.models.onnx_graph import Graph
    from tidemill.models.saved_pipeline import Coefficients, Stage


def alone(graph: Graph, kind: str, tensor: str, factor: float = 1.0) -> str:
    """A function of factor * x, each value by itself.

    ONNX Runtime computes most of a tensor by vector instructions and its last few values one by one, which differ in
    the last digit. Eight copies of each value leave no last few: a row's score does not depend on its neighbours.
    """
    apart = graph.add("Unsqueeze", tensor, graph.constant(np.array([2])))
    copies = graph.add("Mul", apart, graph.constant(np.full(8, factor)))
    return graph.add("Gather", graph.add(kind, copies), graph.constant(np.array(0)), axis=2)


def exponential(graph: Graph, tensor: str, factor: float) -> str:
    """exp(factor * x)."""
    return alone(graph, "Exp", tensor, factor)


def sigmoid(graph: Graph, tensor: str) -> str:
    """1 / (1 + exp(-x)).

    ONNX's own Sigmoid is not used: where it is small, it has an absolute error of 1e-16 in place of a relative one.
    """
    one = graph.number(1.0)
    return graph.add("Div", one, graph.add("Add", one, exponential(graph, tensor, -1.0)))


def positive_probability(graph: Graph, margin: str) -> str:
    """1 - 1 / (1 + exp(margin)): MLlib computes the probability of class 0 first."""
    return graph.add("Sub", graph.number(1.0), sigmoid(graph, graph.add("Neg", margin)))


def _logistic(stage: Stage, graph: Graph) -> str:
    fitted = stage.table()
    coefficients = matrix_coefficients(fitted["coefficientMatrix"][0].as_py())
    margins = _margins(stage, graph, coefficients, vector(fitted["interceptVector"][0].as_py()))
    if not fitted["isMultinomial"][0].as_py():
        return positive_probability(graph, margins)
    if len(coefficients.values) != 2:
        raise refused(f"a model of {len(coefficients.values)} classes has no score", stage.folder, "use two classes")
    return _second_of_two(graph, margins)


def _linear(stage: Stage, graph: Graph) -> str:
    fitted = stage.table()
    coefficients = vector_coefficients(fitted["coefficients"][0].as_py())
    return _margins(stage, graph, coefficients, np.array([fitted["intercept"][0].as_py()]))


def _perceptron(stage: Stage, graph: Graph) -> str:
    """Affine layers with sigmoids between them and a softmax at the end; each layer's weights lie column by column."""
    weights, layers = vector(stage.table()["weights"][0].as_py()), stage.parameters["layers"]
    if layers[-1] != 2:
        raise refused(f"a perceptron of {layers[-1]} classes has no score", stage.folder, "use two classes")
    tensor, at = graph.take(graph.read(stage.parameters["featuresCol"], NUMBER)), 0
    for number, (into, out) in enumerate(pairwise(layers)):
        tensor = sigmoid(graph, tensor) if number else tensor
        matrix = weights[at : at + into * out].reshape(into, out)
        bias = weights[at + into * out : at + into * out + out].reshape(1, -1)
        tensor = graph.add("Add", graph.add("MatMul", tensor, graph.constant(matrix)), graph.constant(bias))
        at += into * out + out
    return _second_of_two(graph, tensor)


LINEAR: dict[str, Callable[[Stage, Graph], str]] = {
    "LogisticRegressionModel": _logistic,
    "LinearRegressionModel": _linear,
    "MultilayerPerceptronClassificationModel": _perceptron,
}


def _second_of_two(graph: Graph, margins: str) -> str:
    """The second share of a softmax of two.

    Where a margin is +infinity, MLlib multiplies all by 0 and sets the first such share to 1: an infinity or NaN beside
    it becomes NaN.
    """
    first, second = (graph.gather(margins, np.array([number])) for number in (0, 1))
    zero, one, infinity = graph.number(0.0), graph.number(1.0), graph.number(np.inf)
    usual = sigmoid(graph, graph.add("Sub", second, first))
    certain = graph.add("Where", graph.add("Equal", second, infinity), one, usual)
    return graph.add("Where", graph.add("Equal", first, infinity), graph.add("Mul", second, zero), certain)


def _margins(stage: Stage, graph: Graph, coefficients: Coefficients, intercepts: NDArray[np.float64]) -> str:
    tensor, values = graph.take(graph.read(stage.parameters["featuresCol"], NUMBER)), coefficients.values
    if coefficients.active is not None:
        tensor, values = graph.gather(tensor, coefficients.active), values[:, coefficients.active]
    product = graph.add("MatMul", tensor, graph.constant(values.T))
    return graph.add("Add", product, graph.constant(intercepts.reshape(1, -1)))
