"""Metrics of several classes against scikit-learn, whole and from parts."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from tidemill.stats.classes import ClassSums, class_sums, classes_of, merge_class_sums

CLASSES = 4


@given(st.integers(1, 50), st.integers(0, 2**32 - 1), st.booleans(), st.integers(0, 50))
def test_metrics_whole_and_from_parts(rows: int, seed: int, one: bool, cut: int) -> None:
    dice = np.random.default_rng(seed)
    label = np.full(rows, 2) if one else dice.integers(CLASSES, size=rows)
    scores = np.round(dice.dirichlet(np.ones(CLASSES), rows), 2)
    scores = (scores + 1e-3) / (scores + 1e-3).sum(axis=1, keepdims=True)
    parts = [class_sums(label[:cut], scores[:cut]), class_sums(label[cut:], scores[cut:])]
    found = classes_of(merge_class_sums(parts))
    assert found is not None
    decided = scores.argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found.accuracy == pytest.approx(metrics.accuracy_score(label, decided), abs=1e-9)
        assert found.macro_f1 == pytest.approx(metrics.f1_score(label, decided, average="macro"), abs=1e-9)
        assert found.log_loss == pytest.approx(metrics.log_loss(label, scores, labels=range(CLASSES)), abs=1e-9)
    assert found.majority_rate == np.bincount(label).max() / rows


def test_no_row_has_no_metric() -> None:
    assert classes_of(ClassSums((0,) * 9, 0.0)) is None
