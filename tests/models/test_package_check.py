"""A packaged model in a process of its own: it scores as it should, or why not is said."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from mlflow.models import Model
from onnx import TensorProto
from tidemill.core.quiet import quiet
from tidemill.models.onnx_export import add_prediction
from tidemill.models.onnx_graph import ML, NUMBER, TEXT, Graph, Output, numbers_of
from tidemill.models.onnx_scoring import DESCRIPTION, GRAPH, SAMPLE
from tidemill.models.package_check import check_package
from tidemill.models.packaging import Package
from tidemill.models.registry_flavor import GRAPH_FOLDER, PackageFlavor

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE_ROWS = {
    "rows": [
        {"visits": 1.0, "plan": "basic"},
        {"visits": 2, "plan": "other"},
        {"visits": -2.5, "plan": "team"},
        {"visits": 0.0, "plan": None},
    ],
    "scores": [3.0, 26.0, 2.5, 20.0],
    "predictions": [0.0, 1.0, 0.0, 1.0],
}


def make_graph() -> bytes:
    """Three times the visits, and 10 for a team, 20 for no plan; from 10 on it is decided."""
    graph = Graph()
    visits, plan = graph.take(graph.read("visits", NUMBER)), graph.take(graph.read("plan", TEXT))
    known = {"keys_strings": ["basic", "team"], "values_int64s": [0, 10], "default_int64": 20}
    more = graph.add("Cast", graph.add("LabelEncoder", plan, domain=ML, **known), to=TensorProto.DOUBLE)
    score = graph.add("Add", graph.add("Mul", visits, graph.number(3.0)), more)
    return graph.serialise(score, prediction=add_prediction(graph, Output(score), 10.0))


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder as the registry hands it out."""
    folder = tmp_path_factory.mktemp("packaged")
    (folder / "sparkml").mkdir()
    graph = folder / "graph"
    graph.mkdir()
    (graph / GRAPH).write_bytes(make_graph())
    inputs = {"visits": NUMBER, "plan": TEXT}
    description = {
        "inputs": [{"name": name, "type": kind} for name, kind in inputs.items()],
        "null_text": "<null>",
        "width": 1,
        "tolerance": 1e-9,
        "sha256": sha256(make_graph()).hexdigest(),
    }
    (graph / DESCRIPTION).write_text(json.dumps(description), "utf-8")
    (graph / SAMPLE).write_text(json.dumps(SAMPLE_ROWS), "utf-8")
    package = Package(folder / "sparkml", graph, inputs, {"visits": 1.0, "plan": "basic"})
    with quiet():
        PackageFlavor.save_model(str(folder / "model"), Model(), package)
    return folder / "model"


def copied(packaged: Path, tmp_path: Path) -> Path:
    return shutil.copytree(packaged, tmp_path / "model")


def test_a_model_that_scores_as_spark_did(packaged: Path, tmp_path: Path) -> None:
    found = check_package(copied(packaged, tmp_path))
    assert (found.rows, found.difference, found.tolerance, found.error) == (4, 0.0, 1e-9, None)


def test_a_model_that_decides_otherwise(packaged: Path, tmp_path: Path) -> None:
    model = copied(packaged, tmp_path)
    sample = model / GRAPH_FOLDER / SAMPLE
    sample.write_text(json.dumps({**SAMPLE_ROWS, "predictions": [0.0, None, 1.0, 1.0]}), "utf-8")
    assert check_package(model).difference == 1.0
    sample.write_text(json.dumps({**SAMPLE_ROWS, "predictions": [None, None, 0.0, 1.0]}), "utf-8")
    assert check_package(model).difference == 0.0


def test_a_model_that_does_not_load(packaged: Path, tmp_path: Path) -> None:
    model = copied(packaged, tmp_path)
    graph = model / GRAPH_FOLDER / GRAPH
    graph.write_bytes(graph.read_bytes() + b"\0")
    found = check_package(model)
    assert found.difference is None
    assert found.error is not None
    assert "the graph is not the one that its description belongs to" in found.error


def test_a_model_without_a_sample(packaged: Path, tmp_path: Path) -> None:
    model = copied(packaged, tmp_path)
    (model / GRAPH_FOLDER / SAMPLE).write_text(json.dumps({"rows": [], "scores": []}), "utf-8")
    assert check_package(model).error == "its sample holds no row, or not a score and a prediction for each"
    (model / GRAPH_FOLDER / SAMPLE).unlink()
    found = check_package(model)
    assert found.difference is None
    assert found.error is not None
    assert "lacks a description or a sample" in found.error


def test_the_numbers_of_a_graph() -> None:
    assert numbers_of(make_graph()) == 4  # the factor, what two plans add, and the threshold
