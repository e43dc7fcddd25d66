"""What leaves the house: a folder that scores as the registered model does: a handler, Python, JavaScript."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from packaging.utils import canonicalize_name
from service_ground import PLAN, register
from tidemill.cli.console import app
from tidemill.core.errors import TidemillError
from tidemill.models.onnx_scoring import SAMPLE
from tidemill.models.registry_flavor import GRAPH_FOLDER
from tidemill.models.scoring import read_graph
from tidemill.models.scoring_work import scored
from tidemill.serving.bundle import write_bundle
from tidemill.serving.served import load_served

from bench._installed import HANDLER, installed_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from service_ground import Place

ROWS: list[dict[str, Any]] = [
    {"basket_part": 0.5, "events_count_10d": 2, PLAN: "gold", "other": "is not read"},
    {"basket_part": 0.25, "events_count_10d": 1.0, PLAN: None},
    {"basket_part": None, "events_count_10d": 1.0, PLAN: "größe"},
    {"basket_part": 1e308, "events_count_10d": 1e308, PLAN: ""},
    {"basket_part": 0.5, "events_count_10d": None, PLAN: "gold"},  # the declaration lets 0 stand for no count
]
# Python with nothing on its path but what the bundle says it needs.
ALONE = """
import importlib.abc, json, sys
class Others(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in "tidemill pandas pyarrow pyspark mlflow pydantic onnx feast".split():
            raise ImportError(f"{name} must not be needed")
sys.meta_path.insert(0, Others())
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import handler
answers = [handler.handle(event) for event in json.loads(sys.argv[2])]
files = {name: str(getattr(sys.modules[name], "__file__", "")) for name in set(sys.modules) - before}
foreign = {name.partition(".")[0] for name, file in files.items() if "site-packages" in file}
print(json.dumps([answers, sorted(foreign)]))
"""


@pytest.fixture(scope="module")
def bundle(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The champion's bundle, written by the command."""
    folder = tmp_path_factory.mktemp("edge") / "shop"
    found = run("export", "shop", str(folder), "--root", str(place.root), "--json")
    assert found == {
        "use_case": "shop",
        "version": "1",
        "folder": str(folder),
        "files": [
            "example.mjs",
            "example.py",
            "handler.py",
            "onnx_scoring.py",
            "sample.json",
            "schema.json",
            "score.json",
            "score.onnx",
        ],
    }
    return folder


def run(*words: str) -> Any:
    """What the console command prints, as JSON."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        app(list(words), standalone_mode=False)
    return json.loads(out.getvalue())


def python(*words: str) -> Any:
    """What a process of its own prints, as JSON."""
    quiet = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "JAVA_HOME"}}
    done = subprocess.run([sys.executable, "-P", *words], capture_output=True, text=True, check=False, env=quiet)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_handler_scores_events_with_onnx_runtime_and_numpy_alone(bundle: Path) -> None:
    events = [
        {"rows": ROWS},
        {"body": json.dumps({"rows": ROWS[:1]}), "headers": {}},
        {"rows": []},
        {"rows": [{"basket_part": "0.5", "events_count_10d": 1, PLAN: "gold"}]},
        {"rows": [{"basket_part": 0.5}]},
        {"nothing": 1},
        None,
        {"rows": 7},
        {"body": "{"},
        {"rows": [{"basket_part": 10**400, "events_count_10d": 1, PLAN: "gold"}]},
        {"body": "[" * 50_000},
    ]
    found, loaded = python("-c", ALONE, str(bundle), json.dumps(events))
    scores = [item["score"] for item in found[0]["predictions"]]
    assert scores[:3] == [pytest.approx(0.77, abs=1e-12), pytest.approx(0.26, abs=1e-12), None]
    assert scores[3:] == [pytest.approx(1.01e308), pytest.approx(0.75, abs=1e-12)]
    assert [item["prediction"] for item in found[0]["predictions"]] == [1.0, 0.0, None, 1.0, 1.0]
    assert (found[0]["model"], found[0]["version"]) == ("shop", "1")
    assert found[1]["predictions"] == found[0]["predictions"][:1]
    assert found[2]["predictions"] == []
    assert [set(answer) for answer in found[3:]] == [{"error"}] * 8
    # All that it loads, with what that needs and the folder, is less than the platforms take.
    packages = installed_bytes(HANDLER)
    assert {"numpy", "onnxruntime"} <= set(loaded)
    owners = metadata.packages_distributions()
    assert {canonicalize_name(owner) for name in loaded for owner in owners.get(name, [])} <= set(packages)
    assert min(packages.values()) > 0
    folder = sum(path.stat().st_size for path in bundle.iterdir() if path.is_file())
    assert 100e6 < folder + sum(packages.values()) < 250e6


def test_of_no_number_batch_and_handler_decide_nothing(place: Place, bundle: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"basket_part": 0.5, "events_count_10d": 2.0, PLAN: "gold"},
        {"basket_part": math.inf, "events_count_10d": 1.0, PLAN: None},
        {"basket_part": None, "events_count_10d": 1.0, PLAN: "gold"},
        {"basket_part": 0.1, "events_count_10d": 1.0, PLAN: "gold"},
    ]
    graph = place.registry.fetch(place.registry.version("shop", "1"), GRAPH_FOLDER, tmp_path)
    schema = pa.schema([("basket_part", pa.float64()), ("events_count_10d", pa.float64()), (PLAN, pa.string())])
    (batch,) = scored([pa.RecordBatch.from_pylist(rows, schema)], read_graph(graph, 0.5, 1), ())
    (answer,), _ = python("-c", ALONE, str(bundle), json.dumps([{"rows": rows}]))
    found = answer["predictions"]
    assert [[row[name] for row in found] for name in ("score", "prediction")] == [
        [pytest.approx(0.77), None, None, pytest.approx(0.36)],
        [1.0, None, None, 0.0],
    ]
    told = batch.select(["score", "prediction"]).to_pylist()
    assert told == [{name: row[name] for name in ("score", "prediction")} for row in found]
    assert batch["reasons"].to_pylist() == [["basket_part"], None, None, [PLAN]]
    assert batch["contributions"].to_pylist() == [[0.5], None, None, [0.25]]


def test_the_example_in_python_gives_the_expected_scores(bundle: Path) -> None:
    expected = json.loads((bundle / SAMPLE).read_text("utf-8"))["scores"]
    found = python(str(bundle / "example.py"))
    assert (found["rows"], found["scores"], found["predictions"]) == (len(expected), expected, [1.0, 0.0])


def test_the_example_in_javascript_gives_the_expected_scores(bundle: Path, onnx_node: Path) -> None:
    def node() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["node", "example.mjs"], cwd=bundle, capture_output=True, text=True, check=False)

    link = bundle / "node_modules"
    link.symlink_to(onnx_node / "node_modules")
    sample = (bundle / SAMPLE).read_text("utf-8")
    try:
        done = node()
        assert done.returncode == 0, done.stderr
        found, expected = json.loads(done.stdout), json.loads(sample)["scores"]
        assert found["scores"] == pytest.approx(expected, abs=1e-12)
        assert found["predictions"] == [1.0, 0.0]
        (bundle / SAMPLE).write_text(sample.replace('"predictions": [1.0', '"predictions": [0.0'), "utf-8")
        assert node().returncode == 1
        (bundle / SAMPLE).write_text(sample.replace('"scores": [', '"scores": [7, '), "utf-8")
        assert node().returncode == 1
    finally:
        (bundle / SAMPLE).write_text(sample, "utf-8")
        link.unlink()


def test_examples_are_short(bundle: Path) -> None:
    def lines(names: Iterable[str]) -> list[int]:
        return [len((bundle / name).read_text("utf-8").splitlines()) for name in names]

    assert max(lines(("example.py", "example.mjs"))) <= 30


def test_what_is_not_there_or_was_changed_is_not_exported(place: Place, bundle: Path, tmp_path: Path) -> None:
    for words, code in (
        (("export", "shop", str(tmp_path / "a"), "--version", "99"), "E_NO_MODEL"),
        (("export", "shops", str(tmp_path / "a")), "E_NO_MODEL"),
        (("export", "shop", str(bundle)), "E_FOLDER"),
    ):
        with pytest.raises(TidemillError) as caught:
            run(*words, "--root", str(place.root), "--json")
        assert caught.value.code == code

    bad = register(place, 0.04, wrong_by=1e-6)
    with pytest.raises(TidemillError) as caught:
        write_bundle(place.registry, bad, tmp_path / "a")
    assert caught.value.code == "E_MODEL"
    assert not (tmp_path / "a").exists()


def test_a_version_whose_graph_gives_scores_alone_is_served_and_not_exported(place: Place, tmp_path: Path) -> None:
    older = register(place, 0.05, predicts=False)
    served = load_served(place.registry, older)
    outputs = served.scorer.outputs_of_rows([{name: ROWS[0][name] for name in served.scorer.inputs}])
    assert served.scorer.predicted(outputs, served.threshold).prediction.tolist() == [1.0]
    with pytest.raises(TidemillError, match="registered before graphs held the prediction") as caught:
        write_bundle(place.registry, older, tmp_path / "a")
    assert (caught.value.code, caught.value.exit_code) == ("E_MODEL", 65)
