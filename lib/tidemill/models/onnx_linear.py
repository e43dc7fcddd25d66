"""Linear models and perceptrons as ONNX nodes, in the formulas of MLlib."""

from __future__ import annotations

from functools import partial, reduce
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from tidemill.models.onnx_graph import NUMBER, OF_CLASSES, Output
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


def _logistic(stage: Stage, graph: Graph) -> Output:
    fitted = stage.table()
    coefficients = matrix_coefficients(fitted["coefficientMatrix"][0].as_py())
    margins = _margins(stage, graph, coefficients, vector(fitted["interceptVector"][0].as_py()))
    if not fitted["isMultinomial"][0].as_py():
        return Output(positive_probability(graph, margins))
    return _share_of_classes(graph, margins, len(coefficients.values))


def _linear(stage: Stage, graph: Graph) -> Output:
    fitted = stage.table()
    coefficients = vector_coefficients(fitted["coefficients"][0].as_py())
    return Output(_margins(stage, graph, coefficients, np.array([fitted["intercept"][0].as_py()])))


def _perceptron(stage: Stage, graph: Graph) -> Output:
    """Affine layers with sigmoids between them and a softmax at the end; each layer's weights lie column by column."""
    weights, layers = vector(stage.table()["weights"][0].as_py()), stage.parameters["layers"]
    tensor, at = graph.take(graph.read(stage.parameters["featuresCol"], NUMBER)), 0
    for number, (into, out) in enumerate(pairwise(layers)):
        tensor = sigmoid(graph, tensor) if number else tensor
        matrix = weights[at : at + into * out].reshape(into, out)
        bias = weights[at + into * out : at + into * out + out].reshape(1, -1)
        tensor = graph.add("Add", graph.add("MatMul", tensor, graph.constant(matrix)), graph.constant(bias))
        at += into * out + out
    return _share_of_classes(graph, tensor, layers[-1])


LINEAR: dict[str, Callable[[Stage, Graph], Output]] = {
    "LogisticRegressionModel": _logistic,
    "LinearRegressionModel": _linear,
    "MultilayerPerceptronClassificationModel": _perceptron,
}


def softmax(graph: Graph, margins: str, classes: int) -> str:
    """The shares of a softmax, as MLlib computes them: the largest margin is taken off all.

    Where a margin is +infinity, MLlib multiplies all by 0 and sets the first such share to 1: an infinity or NaN beside
    it becomes NaN.
    """
    rows, zero = graph.constant(np.array([1])), graph.number(0.0)
    powers = exponential(graph, graph.add("Sub", margins, graph.add("ReduceMax", margins, rows, keepdims=1)), 1.0)
    each = [graph.gather(powers, np.array([number])) for number in range(classes)]
    total = reduce(partial(graph.add, "Add"), each)  # in MLlib's order; ReduceSum has another one for a single row
    usual = graph.add("Mul", powers, graph.add("Div", graph.number(1.0), total))
    infinite = graph.add("Cast", graph.add("Equal", margins, graph.number(np.inf)), to=TensorProto.DOUBLE)
    first = graph.add("Equal", graph.add("ArgMax", infinite, axis=1), graph.constant(np.arange(classes).reshape(1, -1)))
    certain = graph.add("Where", first, graph.number(1.0), graph.add("Mul", margins, zero))
    some = graph.add("Greater", graph.add("ReduceMax", infinite, rows, keepdims=1), zero)
    return graph.add("Where", some, certain, usual)


def _share_of_classes(graph: Graph, margins: str, classes: int) -> Output:
    """The score of a softmax: of two classes the second share, of more all."""
    if classes == 2:
        return Output(_second_of_two(graph, margins))
    return Output(softmax(graph, margins, classes), classes, OF_CLASSES)


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
    """The margins one by one: a product with several columns depends in its last digits on how many rows there are."""
    tensor = graph.take(graph.read(stage.parameters["featuresCol"], NUMBER))
    products = []
    for row in range(len(coefficients.values)):
        active, values = coefficients.active_of(row), coefficients.values[row]
        read = tensor if active is None else graph.gather(tensor, active)
        slopes = values if active is None else values[active]
        products.append(graph.add("MatMul", read, graph.constant(slopes.reshape(-1, 1))))
    product = products[0] if len(products) == 1 else graph.add("Concat", *products, axis=1)
    return graph.add("Add", product, graph.constant(intercepts.reshape(1, -1)))
