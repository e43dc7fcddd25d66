"""Explainers of XGBoost's boosters against the graphs' scores, without Spark: objectives, kinds, infinities."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from booster_folders import NAMES, ROWS, TOLD, saved
from scipy.special import logit
from tidemill.models.onnx_boosters import BOOSTER
from tidemill.models.onnx_export import export
from tidemill.models.onnx_scoring import make_scorer
from tidemill.models.reasons import NATIVE, load_explainer, read_parts
from tidemill.models.reasons_export import write_explainer
from tidemill.models.reasons_rows import totals_of_batches
from tidemill.models.saved_pipeline import read_stages
from tidemill.models.scoring_work import Graph, scored
from tidemill.models.xgb_native import native_booster
from xgboost import XGBClassifier, XGBRegressor

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, model: Any) -> Path:
    """The saved pipeline, with what explains it beside it."""
    pipeline = saved(folder / "pipeline", model)
    (folder / NATIVE).write_bytes(native_booster(read_stages(pipeline)[-1].text(BOOSTER)))
    write_explainer(pipeline, "<null>", folder)
    return pipeline


@pytest.mark.parametrize(
    ("model", "told", "unit"),
    [
        (XGBClassifier(n_estimators=10, n_jobs=1), (TOLD > 0).astype(int), "log-odds"),
        (XGBRegressor(n_estimators=10, n_jobs=1), TOLD, "value"),
        (XGBRegressor(n_estimators=10, n_jobs=1, booster="dart", rate_drop=0.5), TOLD, "value"),
        (XGBRegressor(n_estimators=10, n_jobs=1, objective="count:poisson"), np.exp(TOLD), "log"),
    ],
)
def test_contributions_add_up_to_the_margin(tmp_path: Path, model: Any, told: Any, unit: str) -> None:
    pipeline = written(tmp_path, model.fit(ROWS, told))
    rows = ROWS.copy()
    rows[[0, 1, 2], [0, 1, 2]] = np.inf, -np.inf, 1e300
    table = pa.table({name: rows[:, place] for place, name in enumerate(NAMES)})
    exported, explainer = export(pipeline), load_explainer(tmp_path)
    assert explainer is not None
    assert (explainer.unit, explainer.inputs) == (unit, tuple(NAMES))
    score = make_scorer(exported.graph, exported.description()).score(table)
    margin = {"log-odds": logit, "value": np.asarray, "log": np.log}[unit](score)
    assert np.abs(explainer.explain(table).sum(axis=1) + explainer.base - margin).max() <= 1e-5


def test_a_booster_of_several_classes_has_no_explainer(tmp_path: Path) -> None:
    written(tmp_path, XGBClassifier(n_estimators=2, n_jobs=1).fit(ROWS, np.digitize(TOLD, [-0.5, 0.5])))
    assert load_explainer(tmp_path) is None


def test_another_process_explains_without_spark(tmp_path: Path) -> None:
    written(tmp_path, XGBRegressor(n_estimators=2, n_jobs=1).fit(ROWS, TOLD))
    code = (
        "import sys, pathlib, pyarrow\n"
        "from tidemill.models.reasons import load_explainer\n"
        f"explainer = load_explainer(pathlib.Path({str(tmp_path)!r}))\n"
        f"found = explainer.explain(pyarrow.table({{name: [1.0] for name in {NAMES!r}}}))\n"
        "print(found.shape, {'pyspark', 'py4j', 'mlflow', 'onnx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(1, 4) set()\n"


def test_workers_explain_batch_by_batch(tmp_path: Path) -> None:
    written(tmp_path, XGBRegressor(n_estimators=5, n_jobs=1).fit(ROWS, TOLD))
    explainer, parts = load_explainer(tmp_path), read_parts(tmp_path)
    assert explainer is not None
    assert parts is not None
    names = [f"r{number}" for number in range(len(ROWS))]
    rows = pa.table({"id": names, **{name: ROWS[:, place] for place, name in enumerate(NAMES)}})
    alone = explainer.explain(rows)
    exported = export(tmp_path / "pipeline")
    graph = Graph(exported.graph, json.dumps(exported.description()), None, 2, tuple(parts.items()))
    batches = rows.to_batches(max_chunksize=150)
    found = pa.Table.from_batches(scored(batches, graph, ["id"], [("role", "champion")]))
    assert found.column_names == ["id", "score", "prediction", "probabilities", "reasons", "contributions", "role"]
    assert found["id"].to_pylist() == names
    most = [sorted(map(abs, values), reverse=True)[:2] for values in alone]
    assert [list(map(abs, values)) for values in found["contributions"].to_pylist()] == most
    first = [NAMES[place] for place in np.argmax(np.abs(alone), axis=1)]
    assert [reasons[0] for reasons in found["reasons"].to_pylist()] == first
    unexplained = pa.Table.from_batches(scored(batches, replace(graph, explainer=None), ["id"]))
    assert unexplained["reasons"].null_count == unexplained["contributions"].null_count == len(ROWS)
    assert unexplained["score"].equals(found["score"])
    totals = pa.Table.from_batches(totals_of_batches(batches, parts))
    summed = totals.group_by("feature").aggregate([("total", "sum"), ("rows", "sum")]).sort_by("feature")
    assert summed["total_sum"].to_pylist() == pytest.approx(np.abs(alone).sum(axis=0).tolist())
    assert summed["rows_sum"].to_pylist() == [len(ROWS)] * 4
