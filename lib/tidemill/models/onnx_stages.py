"""Preprocessing stages as ONNX nodes.

Each does to null, NaN, infinity and unseen categories what Spark's stage does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from tidemill.models.onnx_graph import ML, NUMBER, TEXT, refused
from tidemill.models.saved_pipeline import matrix_coefficients, vector

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tidemill.models.onnx_graph import Graph
    from tidemill.models.saved_pipeline import Stage


def _impute(stage: Stage, graph: Graph) -> None:
    """Null and NaN (in the graph both are NaN) become the fitted value; infinities stay."""
    _only(stage, "missingValue", "NaN")  # as Spark's JSON has it
    fitted = stage.table()
    read = graph.join([graph.read(name, NUMBER) for name in stage.input_columns])
    values = np.array([[fitted[name][0].as_py() for name in stage.input_columns]], dtype=np.float64)
    filled = graph.add("Where", graph.add("IsNaN", read.tensor), graph.constant(values), read.tensor)
    graph.make_each(stage.output_columns, filled, read.origins)


def _index(stage: Stage, graph: Graph) -> None:
    """A category becomes its place among those of the fit, byte by byte; null and unseen ones share the next place."""
    _only(stage, "handleInvalid", "keep")
    labels = stage.table()["labelsArray"][0].as_py()
    for source, target, known in zip(stage.input_columns, stage.output_columns, labels, strict=True):
        text = graph.read(source, TEXT)
        graph.probes.setdefault(source, []).extend(known)
        places = list(range(len(known)))
        index = graph.add(
            "LabelEncoder",
            graph.take(text),
            domain=ML,
            keys_strings=known,
            values_int64s=places,
            default_int64=len(known),
        )
        graph.make(target, graph.add("Cast", index, to=TensorProto.DOUBLE), [None])


def _one_hot(stage: Stage, graph: Graph) -> None:
    """One column a place; with `keep` and `dropLast` a place that was not fitted has none."""
    sizes = stage.table()["categorySizes"][0].as_py()
    kept = stage.parameters["handleInvalid"] == "keep"
    for source, target, size in zip(stage.input_columns, stage.output_columns, sizes, strict=True):
        width = size + int(kept) - int(stage.parameters["dropLast"])
        places = graph.constant(np.arange(width, dtype=np.float64).reshape(1, -1))
        same = graph.add("Equal", graph.take(graph.read(source, NUMBER)), places)
        graph.make(target, graph.add("Cast", same, to=TensorProto.DOUBLE), [None] * width)


def _assemble(stage: Stage, graph: Graph) -> None:
    """The columns side by side. After an Imputer nothing is missing, which Spark's stage would refuse."""
    if stage.parameters["handleInvalid"] == "skip":
        raise refused("a VectorAssembler leaves rows out", stage.folder, "use handleInvalid='error'")
    joined = graph.join([graph.read(name, NUMBER) for name in stage.input_columns])
    graph.make(stage.parameters["outputCol"], joined.tensor, joined.origins)


def _standardise(stage: Stage, graph: Graph) -> None:
    """(x - mean) / standard deviation; a feature that was constant becomes 0, or NaN where it is infinite."""
    fitted = stage.table()
    deviation = vector(fitted["std"][0].as_py())
    tensor, width = _input(stage, graph)
    if stage.parameters["withMean"]:
        tensor = graph.add("Sub", tensor, graph.constant(vector(fitted["mean"][0].as_py()).reshape(1, -1)))
    if stage.parameters["withStd"]:
        tensor = graph.add("Mul", tensor, graph.constant(_inverse(deviation).reshape(1, -1)))
    graph.make(stage.parameters["outputCol"], tensor, [None] * width)


def _rescale(stage: Stage, graph: Graph) -> None:
    """(x - least) / (most - least), stretched to [min, max]; a feature that was constant becomes the middle."""
    fitted = stage.table()
    least, most = vector(fitted["originalMin"][0].as_py()), vector(fitted["originalMax"][0].as_py())
    low, high = stage.parameters["min"], stage.parameters["max"]
    tensor, width = _input(stage, graph)
    constant = least == most
    shifted = graph.add("Sub", tensor, graph.constant(least.reshape(1, -1)))
    scale = np.where(constant, 0.0, (high - low) * _inverse(most - least))
    scaled = graph.add("Mul", shifted, graph.constant(scale.reshape(1, -1)))
    moved = graph.add("Add", scaled, graph.number(low))
    if constant.any():
        middle = graph.number((high + low) / 2)
        moved = graph.add("Where", graph.constant(constant.reshape(1, -1)), middle, moved)
    graph.make(stage.parameters["outputCol"], moved, [None] * width)


def _slice(stage: Stage, graph: Graph) -> None:
    """Some columns of a vector, in the order of their indices."""
    _only(stage, "names", [])
    column = graph.read(stage.parameters["inputCol"], NUMBER)
    wanted = np.array(stage.parameters["indices"], dtype=np.int64)
    chosen = graph.gather(graph.take(column), wanted)
    graph.make(stage.parameters["outputCol"], chosen, [column.origins[place] for place in wanted.tolist()])


def _project(stage: Stage, graph: Graph) -> None:
    """The vector times the principal components; Spark takes no mean off."""
    components = matrix_coefficients(stage.table()["pc"][0].as_py()).values
    tensor, _ = _input(stage, graph)
    product = graph.add("MatMul", tensor, graph.constant(components))
    graph.make(stage.parameters["outputCol"], product, [None] * components.shape[1])


PREPROCESSING: dict[str, Callable[[Stage, Graph], None]] = {
    "ImputerModel": _impute,
    "StringIndexerModel": _index,
    "OneHotEncoderModel": _one_hot,
    "VectorAssembler": _assemble,
    "StandardScalerModel": _standardise,
    "MinMaxScalerModel": _rescale,
    "VectorSlicer": _slice,
    "PCAModel": _project,
}


def _input(stage: Stage, graph: Graph) -> tuple[str, int]:
    column = graph.read(stage.parameters["inputCol"], NUMBER)
    return graph.take(column), len(column.origins)


def _inverse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / x, and 0 for 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)


def _only(stage: Stage, name: str, value: Any) -> None:
    """Refuses another value of a parameter than the one whose meaning the graph has."""
    given = stage.parameters[name]
    if given != value:
        raise refused(
            f"{stage.kind} with {name}={given!r} has no graph", stage.folder, f"use {name}={value!r}, or another stage"
        )
