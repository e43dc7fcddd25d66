"""Scores from a graph: Arrow and pandas rows with gaps, other types and odd texts; a changed graph is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from onnx import TensorProto
from tidemill.models.onnx_export import Export, add_prediction
from tidemill.models.onnx_graph import ML, NUMBER, TEXT, Graph, Output
from tidemill.models.onnx_scoring import (
    DESCRIPTION,
    GRAPH,
    SAMPLE,
    PandasScorer,
    Scorer,
    decisions,
    load_scorer,
    make_scorer,
)
from tidemill.models.sample_check import load_checked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAN = float("nan")
PLANS = ["a", "A", "a b", "größe", "a\0b"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A graph that adds to a number the place of a category: 0 to 4, and 100 for others; from 50 on it decides."""
    graph = Graph()
    place = graph.add(
        "LabelEncoder",
        graph.read("plan", TEXT).tensor,
        domain=ML,
        keys_strings=PLANS,
        values_int64s=[0, 1, 2, 3, 4],
        default_int64=100,
    )
    number = graph.read("days", NUMBER).tensor
    score = graph.add("Add", number, graph.add("Cast", place, to=TensorProto.DOUBLE))
    model = graph.serialise(score, prediction=add_prediction(graph, Output(score), 50.0))
    (tmp_path / GRAPH).write_bytes(model)
    described = Export(model, graph.inputs, "<null>", graph.width, 1e-9, {}, threshold=50.0).description()
    (tmp_path / DESCRIPTION).write_text(json.dumps(described), "utf-8")
    return tmp_path


@pytest.fixture
def scorer(folder: Path) -> Scorer:
    return load_scorer(folder)


def test_numbers_and_texts_of_any_type(scorer: Scorer) -> None:
    wide = pa.table({"other": [[1]] * 5, "plan": PLANS, "days": [10.0, 20.0, 30.0, 40.0, 50.0]})
    assert scorer.score(wide).tolist() == [10.0, 21.0, 32.0, 43.0, 54.0]
    types: list[tuple[pa.Array, pa.Array]] = [
        (pa.array([1, 2**53 + 1], pa.int64()), pa.array(["a", "never"])),
        (pa.array([1.0, 2.0**53], pa.float64()), pa.array(["a", "never"]).dictionary_encode()),
        (pa.array([1.0, 2.0**53], pa.float32()), pa.array(["a", "never"], pa.large_string())),
    ]
    for days, plan in types:
        batch = pa.RecordBatch.from_arrays([days, plan], ["days", "plan"])
        assert scorer.score(batch).tolist() == [1.0, 2.0**53 + 100]


def test_null_is_nan_and_an_unseen_category(scorer: Scorer) -> None:
    rows = pa.table({"days": pa.array([None, 1.0, NAN], from_pandas=False), "plan": ["a", None, "A"]})
    assert str(scorer.score(rows).tolist()) == "[nan, 101.0, nan]"
    nothing = pa.table({"days": pa.nulls(2), "plan": pa.nulls(2)})
    assert str(scorer.score(nothing).tolist()) == "[nan, nan]"


def test_many_rows_in_chunks_and_none_at_all(scorer: Scorer) -> None:
    narrow = Scorer(scorer.session, {**scorer.description, "width": 1 << 20})  # two rows a call
    days = pa.chunked_array([pa.array(np.arange(3.0)), pa.array(np.arange(3.0, 7.0))])
    rows = pa.table({"days": days, "plan": pa.chunked_array([["a"] * 5, ["A"] * 2])})
    assert narrow.score(rows).tolist() == scorer.score(rows).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 7.0]
    assert scorer.score(rows.slice(0, 0)).tolist() == []


def test_a_missing_feature_is_named(scorer: Scorer) -> None:
    with pytest.raises(ValueError, match="no column 'days', which the model reads"):
        scorer.score(pa.table({"plan": ["a"]}))


def test_pandas_rows_keep_their_index(scorer: Scorer) -> None:
    frame = pd.DataFrame({"plan": ["A", None, NAN], "days": [1, 2, 3]}, index=[7, 8, 7])
    found = PandasScorer(scorer).predict(frame)
    expected = {"score": [2.0, 102.0, 103.0], "prediction": [0.0, 1.0, 1.0]}
    assert (found.to_dict("list"), found.index.tolist()) == (expected, [7, 8, 7])
    assert PandasScorer(scorer).predict(frame.astype({"plan": "category"})).to_dict("list") == expected
    assert PandasScorer(scorer).predict(frame[:0]).shape == (0, 2)


def test_a_changed_graph_is_refused(folder: Path) -> None:
    graph = (folder / GRAPH).read_bytes()
    description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    make_scorer(graph, description)
    with pytest.raises(ValueError, match="one of the two was changed"):
        make_scorer(graph + b"\0", description)


def test_plain_rows_score_as_arrow_rows_do(scorer: Scorer) -> None:
    rows: list[dict[str, Any]] = [
        {"days": 1, "plan": "A", "other": object()},
        {"days": None, "plan": "a"},
        {"days": NAN, "plan": None},
        {"days": 2.5, "plan": "a\0b"},
        {"days": np.float64(3.0), "plan": "never"},
    ]
    assert str(scorer.score_rows(rows).tolist()) == "[2.0, nan, nan, 6.5, 103.0]"
    assert scorer.score_rows([]).tolist() == []
    for row, said in (
        ({"days": "1", "plan": "A"}, "'days' is a number, not '1'"),
        ({"days": 1, "plan": 1}, "'plan' is a text, not 1"),
        ({"plan": "A"}, "no value 'days', which the model reads"),
    ):
        with pytest.raises(ValueError, match=said):
            scorer.score_rows([row])


def test_a_graph_is_loaded_only_where_it_scores_its_own_sample(folder: Path) -> None:
    def keep(scores: Sequence[float | None], predictions: Sequence[float | None] | None = None) -> None:
        rows = [{"days": 1.0, "plan": "A"}, {"days": 2e9, "plan": None}]
        told = {} if predictions is None else {"predictions": predictions}
        (folder / SAMPLE).write_text(json.dumps({"rows": rows[: len(scores)], "scores": scores, **told}), "utf-8")

    right = [2.0, 2000000100.5]  # the tolerance is relative where a score is larger than 1
    older: tuple[Sequence[float | None] | None, ...] = (None, [0.0, 1.0], [None, 1.0])
    for predictions in older:  # none: of an older release; null: too near to the threshold
        keep(right, predictions)
        assert load_checked(folder).inputs == {"plan": "string", "days": "double"}
    wrong: tuple[tuple[Sequence[float | None], Sequence[float | None] | None, str], ...] = (
        ([2.0, 2000000105.0], [0.0, 1.0], "row 1 scores"),
        (right, [0.0, 0.0], "row 1 scores"),
        ([2.000001], None, "row 0 scores"),
        ([None], [0.0], "row 0 scores"),
        ([], [], "it holds no row"),
    )
    for scores, predictions, said in wrong:
        keep(scores, predictions)
        with pytest.raises(ValueError, match=said):
            load_checked(folder)


def test_decisions_are_made_at_the_threshold() -> None:
    scores = np.array([0.2, 0.5, 0.7])
    assert decisions(scores, 0.5).tolist() == [0.0, 1.0, 1.0]
    assert decisions(scores, None).tolist() == [0.2, 0.5, 0.7]


def test_of_no_number_nothing_is_decided(scorer: Scorer) -> None:
    scores = np.array([NAN, np.inf, -np.inf, 0.5])
    assert str(decisions(scores, 0.5).tolist()) == "[nan, nan, nan, 1.0]"
    assert str(decisions(scores, None).tolist()) == "[nan, nan, nan, 0.5]"
    rows = pa.table({"days": [None, np.inf, -np.inf, 49.0], "plan": ["a", "a", "a", "A"]})
    outputs, predictions = scorer.told(rows)
    assert str(predictions.tolist()) == "[nan, nan, nan, 1.0]"
    found = scorer.predicted(outputs, 50.0)
    assert str(found.score.tolist()) == "[nan, nan, nan, 50.0]"
    assert np.array_equal(found.prediction, predictions, equal_nan=True)


def test_plain_rows_need_onnx_runtime_and_numpy_alone(folder: Path) -> None:
    code = (
        "import json, pathlib, sys\n"
        "from tidemill.models.onnx_scoring import load_scorer\n"
        "scorer = load_scorer(pathlib.Path(sys.argv[1]))\n"
        "scores = scorer.score_rows([{'days': 1, 'plan': 'A'}]).tolist()\n"
        "print(json.dumps([scores, sorted({name.partition('.')[0] for name in sys.modules})]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    scores, loaded = json.loads(done.stdout)
    assert scores == [2.0]
    assert not {"pandas", "pyarrow", "pyspark", "mlflow", "pydantic", "onnx"} & set(loaded)
