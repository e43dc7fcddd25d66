"""Scores from an exported graph, of Arrow batches, pandas frames and plain rows: no Spark, no JVM, one thread.

The file is packed with every registered model and read from there by MLflow, an event handler or an edge device: it
imports nothing of this project, and needs ONNX Runtime and NumPy alone where rows are plain.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

GRAPH, DESCRIPTION, SAMPLE = "score.onnx", "score.json", "sample.json"
_CELLS = 1 << 17  # of the widest tensor of a call: 1 MB, so that what one operator makes the next finds in the cache


@dataclass(frozen=True)
class Predicted:
    """What is said of rows, each array as long as they are many.

    Args:
        score: the probability of the positive class or of the predicted one of several, or the predicted value; NaN
            where the model makes no finite number of a row.
        prediction: the decision at the threshold, the number of the predicted class, or the value itself; NaN without a
            score.
        probabilities: of several classes, shape (rows, classes); else None.
    """

    score: NDArray[np.float64]
    prediction: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None


@dataclass(frozen=True)
class Scorer:
    """A graph that is ready to score.

    Args:
        session: of ONNX Runtime.
        description: names and types of the features, and the text for a null category; of several classes their names.
    """

    session: Any
    description: Mapping[str, Any]

    def score(self, rows: pa.Table | pa.RecordBatch) -> NDArray[np.float64]:
        """The scores of rows, in their order; of several classes the highest probability of each row.

        Args:
            rows: the features by name, beside other columns; numbers of any type, null or NaN where missing; texts,
                also as dictionaries, null where missing.

        Raises:
            ValueError: a feature is not among the columns.
        """
        return self.outputs(rows).max(axis=1)

    def outputs(self, rows: pa.Table | pa.RecordBatch) -> NDArray[np.float64]:
        """What the graph makes of rows: a row for each, with one column or more."""
        return self._run(self._of_arrow(rows))[0]

    def score_rows(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """The scores of plain rows, in their order, as of those of Arrow.

        Args:
            rows: of each the features by name, beside other values; None or NaN where one is missing.

        Raises:
            ValueError: a row lacks a feature, or its value is not of the feature's type.
        """
        return self.outputs_of_rows(rows).max(axis=1)

    def outputs_of_rows(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """What the graph makes of plain rows, as of those of Arrow."""
        return self._run(self._of_plain(rows))[0]

    def told(
        self, rows: pa.Table | pa.RecordBatch | Sequence[Mapping[str, Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What the graph makes of rows of either kind, and predicts of each: NaN where it makes no finite number."""
        outputs, said = self._run(self._of_arrow(rows) if hasattr(rows, "schema") else self._of_plain(rows))
        return outputs, said.ravel()

    def predicted(self, outputs: NDArray[np.float64], threshold: float | None) -> Predicted:
        """What is said of rows: the rule that the graph has as well, which is held against this one before it is used.

        Args:
            outputs: what the graph made of them.
            threshold: from which score on the prediction is 1; None where the score is the prediction, and of several
                classes, of which that of the highest probability is predicted, of equal ones the first.
        """
        score = np.where(np.isfinite(outputs).all(axis=1), outputs.max(axis=1), np.nan)
        if self.classes:
            return Predicted(score, np.where(np.isnan(score), np.nan, outputs.argmax(axis=1)), outputs)
        return Predicted(score, decisions(score, threshold), None)

    @property
    def classes(self) -> list[str]:
        """The names of several classes, in the order of their numbers; else none."""
        return list(self.description.get("classes", ()))

    @property
    def inputs(self) -> dict[str, str]:
        """The features that it reads, each `double` or `string`."""
        return {item["name"]: item["type"] for item in self.description["inputs"]}

    def _run(self, fed: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float64]]:
        """The score or the probabilities, and the prediction, of each row; one that explains predicts nothing."""
        count, step = len(next(iter(fed.values()))), max(1, _CELLS // self.description["width"])
        parts = [
            self.session.run(None, {name: values[at : at + step] for name, values in fed.items()})
            for at in range(0, count, step)
        ]
        if not parts:
            return [np.empty((0, max(1, len(self.classes)))), np.empty((0, 1))]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _of_arrow(self, rows: pa.Table | pa.RecordBatch) -> dict[str, NDArray[Any]]:
        missing = [name for name in self.inputs if name not in rows.schema.names]
        if missing:
            raise ValueError(f"the rows have no column {', '.join(map(repr, missing))}, which the model reads")
        return {name: self._arrow(rows.column(name), kind) for name, kind in self.inputs.items()}

    def _of_plain(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
        missing = sorted({name for row in rows for name in self.inputs if name not in row})
        if missing:
            raise ValueError(f"the rows have no value {', '.join(map(repr, missing))}, which the model reads")
        return {name: self._plain(name, [row[name] for row in rows], kind) for name, kind in self.inputs.items()}

    def _arrow(self, column: pa.Array | pa.ChunkedArray, kind: str) -> NDArray[Any]:
        """A column as the graph reads it: shape (rows, 1), NaN or the text for null where a value is missing."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if kind == "string":
            values = pc.fill_null(column.cast(pa.string()), self.description["null_text"])
            return values.to_numpy(zero_copy_only=False).astype(object).reshape(-1, 1)
        return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).reshape(-1, 1)

    def _plain(self, name: str, values: Sequence[Any], kind: str) -> NDArray[Any]:
        """The same of plain values."""
        for value in values:
            number = isinstance(value, int | float | np.number)
            if value is not None and not (number if kind == "double" else isinstance(value, str)):
                raise ValueError(f"{name!r} is a {'number' if kind == 'double' else 'text'}, not {value!r}")
        if kind == "string":
            null = self.description["null_text"]
            return np.array([null if value is None else value for value in values], object).reshape(-1, 1)
        return np.array([np.nan if value is None else value for value in values], np.float64).reshape(-1, 1)


@dataclass(frozen=True)
class PandasScorer:
    """The same for pandas frames, in the form that MLflow's pyfunc calls.

    Args:
        scorer: what scores.
    """

    scorer: Scorer

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The scores of rows and what is predicted of them, in the columns of `columns_of`, with the frame's index."""
        import pandas as pd
        import pyarrow as pa

        wanted = [item["name"] for item in self.scorer.description["inputs"] if item["name"] in frame]
        told = self.scorer.told(pa.Table.from_pandas(frame[wanted], preserve_index=False))
        return pd.DataFrame(np.column_stack(told), index=frame.index, columns=columns_of(self.scorer.classes))


def columns_of(classes: Sequence[str]) -> list[str]:
    """`score` or, of several classes, a column for each, and last `prediction`, which no class may be called."""
    said = "prediction"
    while said in classes:
        said += "_"
    return [*(classes or ("score",)), said]


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


def decisions(scores: NDArray[np.float64], threshold: float | None) -> NDArray[np.float64]:
    """What is predicted: 1 from the threshold upwards and 0 below it; without a threshold the score itself.

    Where a score is no finite number, NaN: nothing is decided of it.
    """
    said = scores if threshold is None else (scores >= threshold).astype(np.float64)
    return np.where(np.isfinite(scores), said, np.nan)


def _load_pyfunc(folder: str) -> PandasScorer:
    """What MLflow calls to load the model."""
    return PandasScorer(load_scorer(Path(folder)))
