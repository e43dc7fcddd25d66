"""Metrics of several classes against scikit-learn."""

import warnings
from dataclasses import astuple

import numpy as np
import pytest
from class_twin import classes_in_numpy
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn import metrics
from tidemill.stats.classes import Classes
from tidemill.stats.intervals import mean_interval

CLASSES = 4
SHAPES = ("ordinary", "one class", "ties", "constant", "certain")


def scored(rows: int, seed: int, shape: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities, among them degenerate ones."""
    dice = np.random.default_rng(seed)
    label = np.full(rows, 2) if shape == "one class" else dice.integers(CLASSES, size=rows)
    scores = dice.dirichlet(np.ones(CLASSES), rows)
    if shape == "ties":
        scores = np.round(scores * 4) + 1
    if shape == "constant":
        scores = np.ones((rows, CLASSES))
    if shape == "certain":
        scores = np.eye(CLASSES)[dice.integers(CLASSES, size=rows)]
    return label, scores / scores.sum(axis=1, keepdims=True)


def metrics_of(label: np.ndarray, scores: np.ndarray) -> Classes:
    found = classes_in_numpy(label, scores)
    assert found is not None
    return found


@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.sampled_from(SHAPES))
@example(60, 1, "ties")
@example(1, 1, "ordinary")
def test_metrics_equal_those_of_scikit_learn(rows: int, seed: int, shape: str) -> None:
    label, scores = scored(rows, seed, shape)
    found, decided = metrics_of(label, scores), scores.argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": metrics.accuracy_score(label, decided),
            "log_loss": metrics.log_loss(label, scores, labels=range(CLASSES)),
            "brier": float(np.mean(np.sum((scores - np.eye(CLASSES)[label]) ** 2, axis=1))),
        }
        for average in ("macro", "weighted"):
            values = metrics.precision_recall_fscore_support(label, decided, average=average, zero_division=0)[:3]
            expected |= {f"{name}_{average}": v for name, v in zip(("precision", "recall", "f1"), values, strict=True)}
    there = {"accuracy": found.accuracy, "log_loss": found.log_loss.estimate, "brier": found.brier}
    for name in ("precision", "recall", "f1"):
        there |= {f"{name}_{average}": getattr(getattr(found, name), average) for average in ("macro", "weighted")}
    assert there == pytest.approx(expected, abs=1e-9)
    assert found.confusion == tuple(
        map(tuple, metrics.confusion_matrix(label, decided, labels=range(CLASSES)).tolist())
    )
    assert found.majority_rate == np.bincount(label).max() / rows


@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.sampled_from(SHAPES))
def test_each_class_against_the_others(rows: int, seed: int, shape: str) -> None:
    label, scores = scored(rows, seed, shape)
    found = metrics_of(label, scores)
    sides = [(label == c, scores[:, c]) for c in range(CLASSES)]
    aucs = [metrics.roc_auc_score(*side) if 0 < side[0].sum() < rows else None for side in sides]
    precisions = [metrics.average_precision_score(*side) if 0 < side[0].sum() < rows else None for side in sides]
    assert [one.roc_auc for one in found.classes] == pytest.approx(aucs, abs=1e-9)
    assert [one.average_precision for one in found.classes] == pytest.approx(precisions, abs=1e-9)
    assert [one.rows for one in found.classes] == np.bincount(label, minlength=CLASSES).tolist()
    if None in aucs:
        assert found.roc_auc is None
    else:
        expected = metrics.roc_auc_score(label, scores, multi_class="ovr", average="macro")
        assert found.roc_auc == pytest.approx(expected, abs=1e-9)


def test_confidence_is_held_against_being_right() -> None:
    label = np.array([0, 0, 1, 2])
    scores = np.array([[0.8, 0.1, 0.1], [0.75, 0.2, 0.05], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    found = metrics_of(label, scores)
    kept = [(b.rows, b.mean_score, b.positive_rate) for b in found.calibration if b.rows]
    assert kept == [pytest.approx((4, 0.7875, 0.75))]
    assert found.expected_calibration_error == pytest.approx(0.0375)
    assert found.right == 3


def test_no_row_has_no_metric() -> None:
    none = np.empty(0, np.int64), np.empty((0, 3))
    assert classes_in_numpy(*none) is None


def test_a_mean_has_its_interval() -> None:
    values = np.array([0.1, 0.4, 0.9, 2.0])
    half = 1.959963984540054 * values.std(ddof=1) / 2
    expected = values.mean(), values.mean() - half, values.mean() + half
    assert astuple(mean_interval(values.sum(), (values**2).sum(), 4)) == pytest.approx(expected)
    assert mean_interval(3.0, 9.0, 4).low == 0  # of values that are at least 0 no mean is less
    assert astuple(mean_interval(0.5, 0.25, 1)) == (0.5, 0.5, 0.5)
