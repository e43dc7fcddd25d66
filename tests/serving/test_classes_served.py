"""A model of several classes: what the service answers, and what its bundle says of the same rows."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from service_ground import NOW, ORDER_VIEW, ORDERS, PLAN_VIEW, register_package
from tidemill.core.time import days
from tidemill.declare import ActiveWithin, ClassIn, Grid, Label, LogisticRegression, UseCase
from tidemill.models.onnx_export import Export, add_prediction
from tidemill.models.onnx_graph import NUMBER, OF_CLASSES, Graph, Output
from tidemill.models.onnx_scoring import DESCRIPTION, GRAPH, SAMPLE, PandasScorer, columns_of, make_scorer
from tidemill.models.packaging import Package
from tidemill.serving.answers import Asked, Inquiry, build_answers
from tidemill.serving.bundle import write_bundle
from tidemill.serving.messages import predictions_of
from tidemill.serving.served import load_served

if TYPE_CHECKING:
    from pathlib import Path

    from service_ground import Place
    from tidemill.serving.served import Served

NAMES = ("web", "größe", "phone")
USE_CASE = UseCase(
    "kinds",
    views=(ORDER_VIEW, PLAN_VIEW),
    label=Label("next", days(10), ActiveWithin(ORDERS, days(20)), ClassIn(ORDERS, "kind", NAMES)),
    task="multiclass",
    models=(LogisticRegression(),),
    grid=Grid("2024-01-11", every=days(10)),
    baseline="events_count_10d",
)


@pytest.fixture(scope="module")
def served(place: Place) -> Served:
    """A registered model whose shares are basket_part, a tenth of events_count_10d, and the rest."""
    graph = Graph()
    basket, count = (graph.read(name, NUMBER).tensor for name in ("basket_part", "events_count_10d"))
    tenth = graph.add("Mul", count, graph.number(0.1))
    rest = graph.add("Sub", graph.number(1.0), graph.add("Add", basket, tenth))
    shares = Output(graph.add("Concat", basket, tenth, rest, axis=1), 3, OF_CLASSES)
    serialised = graph.serialise(shares.tensor, 3, OF_CLASSES, add_prediction(graph, shares))
    exported = Export(serialised, graph.inputs, "<null>", graph.width, 1e-9, {}, OF_CLASSES, 3)
    description = {"task": "multiclass", "classes": list(NAMES), **exported.description()}
    rows: list[dict[str, Any]] = [{"basket_part": 0.5, "events_count_10d": 2.0}]
    outputs, predictions = make_scorer(serialised, description).told(rows)
    sample = {"rows": rows, "scores": outputs.tolist(), "predictions": predictions.tolist()}
    folder = place.root / "made" / "kinds"
    spark, made = folder / "sparkml", folder / "graph"
    spark.mkdir(parents=True)
    made.mkdir()
    (spark / "empty").write_text("", "utf-8")
    (made / GRAPH).write_bytes(serialised)
    (made / DESCRIPTION).write_text(json.dumps(description), "utf-8")
    (made / SAMPLE).write_text(json.dumps(sample), "utf-8")
    package = Package(spark, made, exported.inputs, rows[0], NAMES)
    return load_served(place.registry, register_package(place, USE_CASE, package, "kinds"))


def test_an_answer_names_the_class_and_all_probabilities(served: Served, place: Place) -> None:
    keys = ("ann", "dee", "nobody", "bob")  # ann: 0.2 and 3 events; bob: 0.1 and 1 event, long ago
    rows = place.reader().read(served.use_case.views, keys)
    settings = place.settings.model_copy(update={"stale": "refuse"})
    (answers,) = build_answers(served, [Inquiry([Asked(key) for key in keys], reasons=2)], rows, settings, NOW)
    assert isinstance(answers, list)
    ann, *others = json.loads(predictions_of(served, answers).model_dump_json())["predictions"]
    assert (ann["status"], ann["prediction"], ann["predicted_class"]) == ("ok", 2.0, "phone")
    assert list(ann["probabilities"]) == list(NAMES)
    assert list(ann["probabilities"].values()) == pytest.approx([0.2, 0.3, 0.5])
    assert ann["score"] == ann["probabilities"]["phone"]
    assert ann["reasons"] is None  # nothing explains it
    assert [one["status"] for one in others] == ["no_score", "unknown", "stale"]
    silent = dict.fromkeys(("score", "prediction", "predicted_class", "probabilities"))
    assert [{name: one[name] for name in silent} for one in others] == [silent] * 3


def test_questions_that_come_together_have_their_own_answers(served: Served, place: Place) -> None:
    inquiries = [
        Inquiry([Asked("ann"), Asked("nobody")]),
        Inquiry([Asked("ann", {"baskte": 1})]),
        Inquiry([Asked("bob")]),
    ]
    keys = [item.key for inquiry in inquiries for item in inquiry.asked]
    rows = place.reader().read(served.use_case.views, keys)
    first, second, third = build_answers(served, inquiries, rows, place.settings, NOW)
    assert isinstance(first, list)
    assert isinstance(third, list)
    assert getattr(second, "code", None) == "E_REQUEST"
    assert [answer.predicted_class for answer in (*first, *third)] == ["phone", None, "phone"]


def test_a_bundle_says_the_same(served: Served, place: Place, tmp_path: Path) -> None:
    write_bundle(place.registry, place.registry.version("kinds", served.version), tmp_path / "edge")
    events = [
        {
            "rows": [
                {"basket_part": 0.2, "events_count_10d": 3},
                {"basket_part": 0.4, "events_count_10d": 4},
                {"basket_part": None, "events_count_10d": 1},
            ]
        }
    ]
    program = "import json, sys; sys.path.insert(0, sys.argv[1]); import handler; "
    program += "print(json.dumps([handler.handle(event) for event in json.loads(sys.argv[2])]))"
    words = [sys.executable, "-P", "-c", program, str(tmp_path / "edge"), json.dumps(events)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    one, tied, nothing = json.loads(done.stdout)[0]["predictions"]
    assert (one["prediction"], one["predicted_class"], list(one["probabilities"])) == (2.0, "phone", list(NAMES))
    assert (tied["prediction"], tied["predicted_class"]) == (0.0, "web")  # of equal probabilities the first
    assert nothing == {"score": None, "prediction": None, "predicted_class": None, "probabilities": None}
    example = subprocess.run(
        [sys.executable, "-P", str(tmp_path / "edge" / "example.py")], capture_output=True, text=True, check=True
    )
    said = json.loads(example.stdout)
    assert (said["rows"], said["scores"], said["predictions"]) == (1, pytest.approx([0.5, 0.2, 0.3]), [0.0])


def test_a_frame_has_a_column_for_each_class(served: Served, place: Place, tmp_path: Path) -> None:
    program = "import json, sys, mlflow.pyfunc, pandas; m = mlflow.pyfunc.load_model(sys.argv[1]); "
    program += "f = m.predict(pandas.DataFrame({'basket_part': [0.2, None], 'events_count_10d': [3.0, 1.0]}, [7, 5])); "
    program += "print(json.dumps([list(f.columns), f.index.tolist(), f.iloc[0].tolist(), f.iloc[1].isna().tolist()]))"
    model = place.registry.fetch(place.registry.version("kinds", served.version), "", tmp_path)
    done = subprocess.run([sys.executable, "-P", "-c", program, str(model)], capture_output=True, text=True, check=True)
    columns, index, first, nothing = json.loads(done.stdout.splitlines()[-1])
    assert (columns, index) == ([*NAMES, "prediction"], [7, 5])
    assert first == pytest.approx([0.2, 0.3, 0.5, 2.0])
    assert nothing == [True, False, True, True]
    assert columns_of(["prediction", "prediction_"]) == ["prediction", "prediction_", "prediction__"]


def test_of_no_rows_there_are_no_probabilities_and_of_no_number_no_class(served: Served) -> None:
    scorer = served.scorer
    assert scorer.outputs_of_rows([]).shape == (0, 3)
    assert PandasScorer(scorer).predict(pd.DataFrame({"basket_part": [], "events_count_10d": []})).shape == (0, 4)
    told = scorer.predicted(np.array([[0.1, np.nan, 0.2], [0.1, 0.7, 0.2]]), None)
    assert np.array_equal(told.prediction, [np.nan, 1.0], equal_nan=True)
