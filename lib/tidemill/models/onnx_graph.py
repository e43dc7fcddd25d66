"""An ONNX graph while it is built: nodes, constants, and the columns that they make."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, checker, helper, load_model_from_string, numpy_helper

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import AttributeProto, NodeProto

NUMBER, TEXT = "double", "string"
OUTPUT, OF_CLASSES, PREDICTION = "score", "probabilities", "prediction"
OPSET, ML_OPSET, IR = 18, 5, 9
ML = "ai.onnx.ml"
_TYPES = {NUMBER: TensorProto.DOUBLE, TEXT: TensorProto.STRING}


@dataclass(frozen=True)
class Column:
    """Neighbouring columns of a tensor of shape (rows, columns).

    Args:
        tensor: its name.
        first: the first of them.
        origins: for each the input whose very value it holds, or None where it was made from it.
    """

    tensor: str
    first: int
    origins: tuple[str | None, ...]

    @property
    def end(self) -> int:
        """The column after the last one."""
        return self.first + len(self.origins)


@dataclass(frozen=True)
class Output:
    """What a model makes of rows.

    Args:
        tensor: of shape (rows, width).
        width: its columns.
        name: of the graph's output: `score`, or `probabilities`, one for each of several classes.
    """

    tensor: str
    width: int = 1
    name: str = OUTPUT


@dataclass(frozen=True)
class Graph:
    """The parts of a graph, in the order in which they are computed.

    Args:
        inputs: the features that it reads, each `double` or `string`.
        columns: Spark's columns so far, by name.
        probes: for inputs the values at which the score may jump, or a category's text.
    """

    inputs: dict[str, str] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    probes: dict[str, list[Any]] = field(default_factory=dict)
    _nodes: list[NodeProto] = field(default_factory=list)
    _constants: list[TensorProto] = field(default_factory=list)
    _widths: dict[str, int] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """The columns of the widest tensor, which say how much memory a row takes."""
        return max(self._widths.values(), default=1)

    def read(self, name: str, kind: str) -> Column:
        """A column by name: one that a stage has made, or else an input of that type."""
        if name not in self.columns:
            self.inputs[name] = kind
            self._widths[name] = 1
            self.columns[name] = Column(name, 0, (name,))
        return self.columns[name]

    def make(self, name: str, tensor: str, origins: Sequence[str | None]) -> None:
        """Names a whole tensor as one of Spark's columns."""
        self._widths[tensor] = len(origins)
        self.columns[name] = Column(tensor, 0, tuple(origins))

    def make_each(self, names: Sequence[str], tensor: str, origins: Sequence[str | None]) -> None:
        """Names each column of a tensor."""
        self._widths[tensor] = len(origins)
        for place, (name, origin) in enumerate(zip(names, origins, strict=True)):
            self.columns[name] = Column(tensor, place, (origin,))

    def join(self, columns: Sequence[Column]) -> Column:
        """One column after the other, as a whole tensor; neighbours in one tensor are not taken apart."""
        runs: list[Column] = []
        for column in columns:
            if runs and (runs[-1].tensor, runs[-1].end) == (column.tensor, column.first):
                runs[-1] = Column(column.tensor, runs[-1].first, runs[-1].origins + column.origins)
            else:
                runs.append(column)
        tensors = [self.take(run) for run in runs]
        tensor = tensors[0] if len(tensors) == 1 else self.add("Concat", *tensors, axis=1)
        origins = tuple(origin for run in runs for origin in run.origins)
        self._widths[tensor] = len(origins)
        return Column(tensor, 0, origins)

    def take(self, column: Column) -> str:
        """The tensor of a column alone."""
        if len(column.origins) == self._widths[column.tensor]:
            return column.tensor
        return self.gather(column.tensor, np.arange(column.first, column.end))

    def gather(self, tensor: str, wanted: NDArray[np.int64]) -> str:
        """Some columns of a tensor."""
        return self.add("Gather", tensor, self.constant(wanted), axis=1)

    def add(self, kind: str, *tensors: str, domain: str = "", **attributes: Any) -> str:
        """Adds a node; returns its one output."""
        output = f"{kind.lower()}_{len(self._nodes)}__"
        self._nodes.append(helper.make_node(kind, tensors, [output], domain=domain, **attributes))
        return output

    def constant(self, values: NDArray[Any]) -> str:
        """Adds a constant."""
        name = f"constant_{len(self._constants)}__"
        self._constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def number(self, value: float) -> str:
        """Adds a constant number."""
        return self.constant(np.array([[value]], dtype=np.float64))

    def probe(self, origins: Sequence[str | None], features: NDArray[np.int64], limits: NDArray[np.float64]) -> None:
        """Notes limits of features at which the score may jump, for those that are an input's very values."""
        for feature, limit in zip(features.tolist(), limits.tolist(), strict=True):
            origin = origins[feature]
            if origin is not None:
                self.probes.setdefault(origin, []).append(limit)

    def serialise(self, tensor: str, width: int = 1, name: str = OUTPUT, prediction: str | None = None) -> bytes:
        """The finished graph, checked: every input by name, of shape (rows, 1), and one output, (rows, width).

        With a tensor of predictions, (rows, 1), it has these as a second output.
        """
        told = [(tensor, name, width), *([] if prediction is None else [(prediction, PREDICTION, 1)])]
        for source, output, _ in told:
            self._nodes.append(helper.make_node("Identity", [source], [output]))
        inputs = [helper.make_tensor_value_info(name, _TYPES[kind], [None, 1]) for name, kind in self.inputs.items()]
        outputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, width]) for _, name, width in told]
        graph = helper.make_graph(self._nodes, "tidemill", inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="tidemill", ir_version=IR)
        checker.check_model(model)
        return bytes(model.SerializeToString())


def numbers_of(graph: bytes) -> int:
    """How many numbers a serialised graph holds, in constants and in the arrays of its nodes: the size of a model.

    It counts coefficients and splits alike, whatever the family, and what preprocessing has learned as well.
    """
    read = load_model_from_string(graph).graph
    arrays = [tensor for node in read.node for attribute in node.attribute for tensor in _arrays(attribute)]
    return sum(arrays) + sum(math.prod(constant.dims) for constant in read.initializer)


def _arrays(attribute: AttributeProto) -> list[int]:
    tensors = [attribute.t] if attribute.HasField("t") else []
    return [len(attribute.floats), len(attribute.ints), *(math.prod(tensor.dims) for tensor in tensors)]


def refused(what: str, where: Path | str, next_step: str) -> TidemillError:
    """The error of a model that has no exact graph."""
    return TidemillError("E_EXPORT", what, where=str(where), next_step=next_step, exit_code=Exit.DATA)
