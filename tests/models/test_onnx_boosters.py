"""Graphs of XGBoost's boosters against XGBoost itself, without Spark: objectives, links and kinds of boosters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from booster_folders import NAMES, ROWS, TOLD, saved
from tidemill.core.errors import TidemillError
from tidemill.models.onnx_export import export
from tidemill.models.onnx_scoring import make_scorer
from xgboost import XGBClassifier, XGBRegressor

if TYPE_CHECKING:
    from pathlib import Path


def expit(margins: Any) -> Any:
    return 1 / (1 + np.exp(-margins))


def scores(folder: Path, model: Any, rows: np.ndarray[Any, Any]) -> Any:
    exported = export(saved(folder, model))
    scorer = make_scorer(exported.graph, exported.description())
    return scorer.score(pa.table({name: rows[:, place] for place, name in enumerate(NAMES)}))


def borderline(model: Any) -> np.ndarray[Any, Any]:
    """Rows at every split, and just beside it in single and in double precision; infinities and huge numbers."""
    found = []
    trees = json.loads(model.get_booster().save_raw("json"))["learner"]["gradient_booster"]
    for tree in trees.get("gbtree", trees)["model"]["trees"]:
        for left, feature, limit in zip(
            tree["left_children"], tree["split_indices"], tree["split_conditions"], strict=True
        ):
            single = np.float32(limit)
            near = [single, np.nextafter(single, np.float32(9e9)), np.nextafter(single, np.float32(-9e9))]
            values = [float(v) for v in near] + [np.nextafter(float(single), side) for side in (-9e9, 9e9)]
            found += [(feature, v) for v in values] if left != -1 else []
    rows = np.resize(ROWS, (len(found) + 16, 4)).copy()
    for row, (feature, value) in enumerate(found):
        rows[row, feature] = value
    for row, value in enumerate((np.inf, -np.inf, 1e300, -1e300)):
        rows[len(found) + 4 * row : len(found) + 4 * row + 4][np.diag_indices(4)] = value
    return rows


@pytest.mark.parametrize(
    ("objective", "exact", "more"),
    [
        ("reg:squarederror", True, {}),
        ("reg:squarederror", True, {"booster": "dart", "rate_drop": 0.5}),
        ("reg:squarederror", True, {"num_parallel_tree": 3}),
        ("reg:squarederror", True, {"max_depth": 0}),
        ("reg:squarederror", True, {"gamma": 2e6}),  # some branches are cut off again
        ("reg:squarederror", True, {"gamma": 1e30}),  # all of them
        ("reg:absoluteerror", True, {}),
        ("reg:pseudohubererror", True, {}),
        ("count:poisson", False, {}),
        ("reg:gamma", False, {}),
        ("reg:tweedie", False, {}),
        ("reg:logistic", False, {}),
    ],
)
def test_values(tmp_path: Path, objective: str, exact: bool, more: dict[str, Any]) -> None:
    linked = {"reg:logistic": expit(TOLD)}.get(objective, 1e5 + 1000 * TOLD if exact else np.exp(TOLD))
    parameters: dict[str, Any] = {"n_estimators": 30, "max_depth": 4, "n_jobs": 1, "tree_method": "hist", **more}
    model = XGBRegressor(objective=objective, **parameters).fit(ROWS, linked)
    rows = borderline(model)
    with np.errstate(over="ignore"):  # XGBoost's own: a large number becomes an infinity in single precision
        expected = model.predict(rows).astype(float)
    found = scores(tmp_path, model, rows)
    assert np.max(np.abs(found - expected) / np.maximum(1, np.abs(expected))) <= (0.0 if exact else 3e-7)


@pytest.mark.parametrize("objective", ["binary:logistic", "binary:logitraw"])
def test_probabilities(tmp_path: Path, objective: str) -> None:
    model = XGBClassifier(objective=objective, n_estimators=30, n_jobs=1, base_score=0.8, scale_pos_weight=9.0)
    model.fit(ROWS, (TOLD > 0).astype(int))
    rows = borderline(model)
    with np.errstate(over="ignore"):
        expected = expit(model.predict(rows, output_margin=True).astype(float))
    assert np.max(np.abs(scores(tmp_path, model, rows) - expected)) <= 1e-15


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"booster": "gblinear"}, "the booster gblinear has no trees"),
        ({"objective": "reg:squaredlogerror"}, "the link of the objective reg:squaredlogerror is not known"),
    ],
)
def test_what_has_no_graph_is_refused(tmp_path: Path, parameters: dict[str, Any], what: str) -> None:
    model = XGBRegressor(n_estimators=2, n_jobs=1, **parameters).fit(np.nan_to_num(ROWS), np.exp(TOLD))
    with pytest.raises(TidemillError) as caught:
        export(saved(tmp_path, model))
    assert (caught.value.code, caught.value.what) == ("E_EXPORT", what)
