"""A saved Spark pipeline, read from its folder with Arrow alone: no JVM, no Spark.

Spark ML saves each stage as a folder: JSON metadata with the parameters, and Parquet files with what was fitted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

SPARSE = 0  # how the struct of a Spark vector or matrix marks that only its active entries are kept


@dataclass(frozen=True)
class Stage:
    """One fitted stage.

    Args:
        kind: its class, without the package.
        parameters: those that were set, and the defaults of the others.
        folder: where it lies.
    """

    kind: str
    parameters: Mapping[str, Any]
    folder: Path

    @property
    def input_columns(self) -> list[str]:
        """The columns that it reads."""
        return _one_or_more(self.parameters, "inputCol")

    @property
    def output_columns(self) -> list[str]:
        """The columns that it makes, one for each that it reads."""
        return _one_or_more(self.parameters, "outputCol")

    def table(self, name: str = "data") -> pa.Table:
        """What was fitted, as Spark saved it."""
        return pq.read_table(self.folder / name)

    def text(self, name: str) -> str:
        """A text that was saved in parts."""
        return "".join(_parts(self.folder / name))


@dataclass(frozen=True)
class Coefficients:
    """The coefficients of a linear model.

    Args:
        values: one row for each margin, one column for each feature.
        active: the features that take part, or None for all. Spark leaves the others out, even where they are infinite
            or no number; a coefficient of zero that is not left out makes such a feature's product no number.
    """

    values: NDArray[np.float64]
    active: NDArray[np.int64] | None

    def active_of(self, row: int) -> NDArray[np.int64] | None:
        """The features that take part in one of several margins."""
        if self.active is None or len(self.values) == 1:
            return self.active
        return np.flatnonzero(self.values[row])


def read_stages(folder: Path) -> list[Stage]:
    """The stages of a saved `PipelineModel`, in order; a pipeline within it counts as its stages."""
    stage = _read_stage(folder)
    if stage.kind != "PipelineModel":
        return [stage]
    found = sorted((folder / "stages").iterdir(), key=lambda path: int(path.name.partition("_")[0]))
    return [inner for path in found for inner in read_stages(path)]


def vector(value: Mapping[str, Any]) -> NDArray[np.float64]:
    """A saved vector, dense."""
    if value["type"] != SPARSE:
        return np.asarray(value["values"], dtype=np.float64)
    dense = np.zeros(value["size"])
    dense[np.asarray(value["indices"], dtype=np.int64)] = value["values"]
    return dense


def vector_coefficients(value: Mapping[str, Any]) -> Coefficients:
    """A saved vector as the coefficients of one margin."""
    active = np.asarray(value["indices"], dtype=np.int64) if value["type"] == SPARSE else None
    return Coefficients(vector(value).reshape(1, -1), active)


def matrix_coefficients(value: Mapping[str, Any]) -> Coefficients:
    """A saved matrix as coefficients, one margin a row."""
    rows, columns, by_rows = value["numRows"], value["numCols"], value["isTransposed"]
    values = np.asarray(value["values"], dtype=np.float64)
    if value["type"] != SPARSE:
        dense = values.reshape(rows, columns) if by_rows else values.reshape(columns, rows).T
        return Coefficients(dense, None)
    starts, inner = np.asarray(value["colPtrs"]), np.asarray(value["rowIndices"], dtype=np.int64)
    outer = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    at = (outer, inner) if by_rows else (inner, outer)
    dense = np.zeros((rows, columns))
    dense[at] = values
    return Coefficients(dense, np.unique(at[1]))


def _read_stage(folder: Path) -> Stage:
    metadata = json.loads(_parts(folder / "metadata")[0])
    parameters = {**metadata.get("defaultParamMap", {}), **metadata["paramMap"]}
    return Stage(metadata["class"].rpartition(".")[2], parameters, folder)


def _parts(folder: Path) -> list[str]:
    lines = [line for part in sorted(folder.glob("part-*")) for line in part.read_text("utf-8").splitlines()]
    return [line for line in lines if line]


def _one_or_more(parameters: Mapping[str, Any], name: str) -> list[str]:
    many = parameters.get(f"{name}s")
    return [parameters[name]] if many is None else list(many)
