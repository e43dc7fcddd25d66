"""Scores of Arrow batches and pandas frames from an exported graph: no Spark, no JVM, one thread.

The file is packed with every registered model and read from there by MLflow: it imports nothing of this project.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

GRAPH, DESCRIPTION = "score.onnx", "score.json"
_CELLS = 1 << 21  # of the widest tensor of a call: 16 MB


@dataclass(frozen=True)
class Scorer:
    """A graph that is ready to score.

    Args:
        session: of ONNX Runtime.
        description: names and types of the features, and the text for a null category.
    """

    session: Any
    description: Mapping[str, Any]

    def score(self, rows: pa.Table | pa.RecordBatch) -> NDArray[np.float64]:
        """The scores of rows, in their order.

        Args:
            rows: the features by name, beside other columns; numbers of any type, null or NaN where missing; texts,
                also as dictionaries, null where missing.

        Raises:
            ValueError: a feature is not among the columns.
        """
        return self.outputs(rows).ravel()

    def outputs(self, rows: pa.Table | pa.RecordBatch) -> NDArray[np.float64]:
        """What the graph makes of rows: a row for each, with one column or more."""
        inputs = {item["name"]: item["type"] for item in self.description["inputs"]}
        missing = [name for name in inputs if name not in rows.schema.names]
        if missing:
            raise ValueError(f"the rows have no column {', '.join(map(repr, missing))}, which the model reads")
        fed = {name: self._values(rows.column(name), kind) for name, kind in inputs.items()}
        step = max(1, _CELLS // self.description["width"])
        parts = [
            self.session.run(None, {name: values[at : at + step] for name, values in fed.items()})[0]
            for at in range(0, rows.num_rows, step)
        ]
        return np.concatenate(parts) if parts else np.empty((0, 1))

    def _values(self, column: pa.Array | pa.ChunkedArray, kind: str) -> NDArray[Any]:
        """A column as the graph reads it: shape (rows, 1), NaN or the text for null where a value is missing."""
        if kind == "string":
            values = pc.fill_null(column.cast(pa.string()), self.description["null_text"])
            return values.to_numpy(zero_copy_only=False).astype(object).reshape(-1, 1)
        return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).reshape(-1, 1)


@dataclass(frozen=True)
class PandasScorer:
    """The same for pandas frames, in the form that MLflow's pyfunc calls.

    Args:
        scorer: what scores.
    """

    scorer: Scorer

    def predict(self, frame: pd.DataFrame) -> pd.Series:
        """The scores of rows, as a series `score` with the frame's index."""
        import pandas as pd

        wanted = [item["name"] for item in self.scorer.description["inputs"] if item["name"] in frame]
        scores = self.scorer.score(pa.Table.from_pandas(frame[wanted], preserve_index=False))
        return pd.Series(scores, index=frame.index, name="score")


def make_scorer(graph: bytes, description: Mapping[str, Any]) -> Scorer:
    """A scorer from the graph and its description.

    Raises:
        ValueError: the graph is not the one that was described.
    """
    if sha256(graph).hexdigest() != description["sha256"]:
        raise ValueError("the graph is not the one that its description belongs to: one of the two was changed")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    return Scorer(ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"]), description)


def load_scorer(folder: Path) -> Scorer:
    """The scorer of a folder that holds a graph and its description.

    Raises:
        ValueError: the graph is not the one that was described.
    """
    return make_scorer((folder / GRAPH).read_bytes(), json.loads((folder / DESCRIPTION).read_text("utf-8")))


def _load_pyfunc(folder: str) -> PandasScorer:
    """What MLflow calls to load the model."""
    return PandasScorer(load_scorer(Path(folder)))
