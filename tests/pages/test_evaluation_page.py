"""The page of a training: its curves are scikit-learn's at the points drawn, and nothing on it breaks out."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from class_twin import classes_in_numpy
from sklearn.metrics import confusion_matrix, precision_score, recall_score, roc_auc_score
from tidemill.cli.evaluating import _top, evaluation_page
from tidemill.models.metric_values import as_values
from tidemill.stats.binary import binary_of
from tidemill.stats.residuals import regression, residual_sums

HTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
RANDOM = np.random.default_rng(5)
SCORE = RANDOM.permutation(np.linspace(0.01, 0.99, 400))
LABEL = (RANDOM.random(400) < SCORE).astype(float)


def card(**changed: Any) -> dict[str, Any]:
    made = {
        "use_case": "<b>retail",
        "as_of": "2011-11-01T00:00:00Z",
        "metric": "roc_auc",
        "family": "xgboost",
        "parameters": {"max_depth": 3},
        "gate_metrics": as_values(binary_of(LABEL, SCORE)),
        "slices": [
            {"column": "plan", "value": "<i>basic", "rows": 300, "roc_auc": 0.7321},
            {"column": "plan", "value": None, "rows": 12},
        ],
        "importance": {
            "rows": 400,
            "unit": "log-odds",
            "base": 0.1,
            "features": [{"name": f"f{number}", "mean": 1.0 / (number + 1)} for number in range(40)],
        },
    }
    return {**made, **changed}


def parsed(page: str) -> tuple[list[list[str]], list[str]]:
    """The cells of all tables, and the titles of all images."""
    root = ET.fromstring(page.partition("\n")[2])  # noqa: S314 - our own page
    rows = [["".join(cell.itertext()).strip() for cell in row] for row in root.iter(f"{HTML}tr")]
    return rows, [str(chart[0].text) for chart in root.iter(f"{SVG}svg")]


def test_the_page_shows_curves_decisions_importance_and_slices() -> None:
    page = evaluation_page(card())
    rows, titles = parsed(page)
    assert titles[:5] == ["ROC curve", "Precision and recall", "Predicted and observed", "Lift", "Gain"]
    assert titles[5:] == [f"f{number}" for number in range(30)]
    assert "the first 30 of 40 inputs" in page
    true, found = int(((SCORE >= 0.5) & (LABEL == 1)).sum()), int(((SCORE >= 0.5) & (LABEL == 0)).sum())
    assert rows[1][1:] == [str(true), str(int(LABEL.sum()) - true)]
    assert rows[2][1:] == [str(found), str(400 - int(LABEL.sum()) - found)]
    assert rows[-2:] == [["plan", "<i>basic", "300", "0.7321"], ["plan", "no value", "12", "n/a"]]
    assert "<b>retail" not in page
    assert "<i>basic" not in page
    assert "Learning curve" not in page


def test_figures_have_their_intervals_and_how_they_were_made() -> None:
    metrics = {"rows": 400, "roc_auc": 0.75, "roc_auc_low": 0.7, "roc_auc_high": 0.79, "brier": 0.2, "ks": 0.4}
    metrics |= {"brier_low": 0.1, "brier_high": 0.25}
    told = {"confidence": 0.95, "draws": 200, "drawn": "bootstrap", "units": 1200, "rows": 400}
    methods = {"roc_auc": "delong", "brier": "bootstrap"}
    page = evaluation_page(card(gate_metrics=metrics, gate_intervals={**told, "metrics": methods}))
    root = ET.fromstring(page.partition("\n")[2])  # noqa: S314 - our own page
    said = ["".join(found.itertext()) for found in root.iter(f"{HTML}dd")]
    assert said == ["400", "0.75 (0.7 to 0.79)", "0.2 (0.1 to 0.25)", "0.4"]
    assert (
        "Intervals are of 95%: roc_auc after DeLong; others are those of 1,200 entities with all their rows that were "
        "drawn anew 200 times."
    ) in page
    assert "Intervals" not in evaluation_page(card())


def test_points_are_those_of_scikit_learn() -> None:
    points = _top(card()["gate_metrics"])
    assert len(points) == 13
    for point in points:
        k = round(point.share * 400)
        decided = np.sort(SCORE)[400 - k] <= SCORE
        assert point.recall == pytest.approx(recall_score(LABEL, decided))
        assert point.precision == pytest.approx(precision_score(LABEL, decided))
        assert point.false_positive_rate == pytest.approx(recall_score(1 - LABEL, decided))
        assert point.lift == pytest.approx(point.precision / LABEL.mean())


def test_a_learning_curve_is_drawn_where_there_is_one() -> None:
    shares = [(0.125, None), (0.25, 0.61), (0.5, 0.64), (1.0, 0.65)]
    made = [{"share": s, "entities": int(800 * s), "rows": int(1600 * s), "value": v} for s, v in shares]
    rows, titles = parsed(evaluation_page(card(learning_curve=made)))
    assert "Learning curve" in titles
    assert ["12.5\xa0%", "100", "200", "n/a"] in rows
    assert ["0.6500"] in [row[-1:] for row in rows]


def test_several_classes_have_a_table_of_decisions_and_one_of_each() -> None:
    label, shares = RANDOM.integers(3, size=300), RANDOM.dirichlet(np.ones(3), 300)
    found = classes_in_numpy(label, shares)
    assert found is not None
    told = card(
        metric="log_loss", classes=["<i>a", "b", "c"], gate_metrics=as_values(found), slices=[], importance=None
    )
    page = evaluation_page(told)
    rows, titles = parsed(page)
    assert titles == ["Predicted and observed"]
    assert rows[0] == ["Label", "Decided <i>a", "Decided b", "Decided c"]
    matrix = confusion_matrix(label, shares.argmax(axis=1)).tolist()
    assert rows[1:4] == [[name, *map(str, row)] for name, row in zip(("<i>a", "b", "c"), matrix, strict=True)]
    assert rows[4] == ["Class", "Rows", "Precision", "Recall", "F1", "ROC AUC"]
    assert rows[5][:2] == ["<i>a", str((label == 0).sum())]
    assert rows[5][2] == f"{precision_score(label == 0, shares.argmax(axis=1) == 0):.4f}"
    assert rows[5][-1] == f"{roc_auc_score(label == 0, shares[:, 0]):.4f}"
    assert "Of the predicted class" in page
    assert "<i>a" not in page


def test_a_regression_and_one_class_have_no_curves() -> None:
    numbers = regression(residual_sums(LABEL, SCORE))
    assert numbers is not None
    plain = card(metric="rmse", gate_metrics=as_values(numbers), slices=[], importance=None)
    assert parsed(evaluation_page(plain)) == ([], [])
    one = as_values(binary_of(np.ones(5), np.linspace(0, 1, 5)))
    assert parsed(evaluation_page(card(gate_metrics=one, slices=[], importance=None)))[1] == []
    assert _top(as_values(binary_of(np.zeros(5), np.linspace(0, 1, 5)))) == ()
