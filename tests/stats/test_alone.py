"""One feature beside the label: against scikit-learn and NumPy, and on labels under other names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from tidemill.stats.alone import Alone, alone, alone_of_classes, correlation
from tidemill.stats.ranking import roc_auc

LABEL = np.array([1.0, 0.0, 0.0, 1.0, 0.0] * 20)
ALL = np.ones(100, dtype=bool)
NUMBERS = np.array([float(i % 7) for i in range(100)])
AMOUNTS = np.array([1.5 * (i % 7) for i in range(100)])


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([-1e300, -1.0, 0.0, 0.5, 2.0, float("inf")])), min_size=2).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    )
)
def test_roc_auc_is_that_of_scikit_learn(rows: list[tuple[bool, float]]) -> None:
    label = np.array([float(one) for one, _ in rows])
    score = np.array([value for _, value in rows])
    finite = np.where(np.isinf(score), 1e305, score)  # scikit-learn takes no infinity; the order is the same
    assert roc_auc(label, score) == pytest.approx(roc_auc_score(label, finite), abs=1e-12)


def test_correlation_is_pearsons() -> None:
    one = np.array([float(i * i % 23) for i in range(60)])
    other = np.array([float(i * 7 % 11) for i in range(60)])
    assert correlation(one, other) == pytest.approx(abs(np.corrcoef(one, other)[0, 1]), abs=1e-12)
    assert correlation(one, -3 * one + 2) == pytest.approx(1.0, abs=1e-12)
    assert correlation(one, np.zeros(60)) is None
    assert correlation(one[:10], other[:10]) is None


@pytest.mark.parametrize(
    "values",
    [LABEL, 1 - LABEL, LABEL * 7 - 3, np.where(LABEL == 1, "gone", "here").astype(object)],
    ids=["equal", "turned", "moved", "in words"],
)
def test_a_label_under_another_name_says_the_same(values: np.ndarray) -> None:
    assert alone(values, ALL, LABEL, binary=True) == Alone(100, 1.0, 1.0, None)


def test_a_feature_that_is_null_where_the_label_is_zero_tells_it_by_its_nulls() -> None:
    found = alone(NUMBERS, LABEL == 1, LABEL, binary=True)
    assert found.nulls == 1.0
    assert found.strength is None  # only one class has values
    assert alone(np.ones(100), LABEL == 1, LABEL, binary=True).same == 1.0  # a null is a level of its own


def test_other_features_say_less() -> None:
    assert alone(NUMBERS, ALL, LABEL, binary=True).same is None
    found = alone(np.where(np.arange(100) < 50, 1.0, 0.0), ALL, LABEL, binary=True)
    assert (found.strength, found.same, found.nulls) == (0.5, 0.5, None)


def test_a_rare_label_is_not_matched_by_what_never_happens() -> None:
    label = np.zeros(10_000)
    label[:10] = 1.0
    other = np.zeros(10_000)
    other[20:25] = 1.0  # both are zero in 99.85 % of the rows
    same = alone(other, np.ones(10_000, dtype=bool), label, binary=True).same
    assert same is not None
    assert same < 0.01
    amount = np.zeros(10_000)
    amount[:10] = 5.0
    equal = alone(other, np.ones(10_000, dtype=bool), amount, binary=False).same
    assert equal == 0.0


def test_a_regression_label_or_its_linear_transform_is_found() -> None:
    label = AMOUNTS
    assert alone(label, ALL, label, binary=False).same == 1.0
    assert alone(32 + 1.8 * label, ALL, label, binary=False).same == 1.0
    shifted = alone(np.roll(label, 1), ALL, label, binary=False)
    assert shifted.same == 0.0
    assert shifted.strength is not None
    assert shifted.strength < 0.5


def test_texts_with_a_value_a_row_are_not_judged() -> None:
    names = np.array([f"c{i}" for i in range(100)], dtype=object)
    assert alone(names, ALL, LABEL, binary=True) == Alone(100, None, None, None)


def test_few_rows_say_nothing() -> None:
    few = LABEL[:20]
    assert alone(few, ALL[:20], few, binary=True) == Alone(20, None, None, None)


CLASSES = np.array([0.0, 1.0, 2.0, 1.0, 0.0] * 20)


@pytest.mark.parametrize(
    "values",
    [
        CLASSES,
        7 - 2 * CLASSES,
        np.array(["x", "y", "z"], object)[CLASSES.astype(int)],
        np.where(CLASSES == 2, 1.0, 0.0),
    ],
    ids=["equal", "moved", "in words", "one of them"],
)
def test_a_class_under_another_name_says_the_same(values: np.ndarray) -> None:
    assert alone_of_classes(values, ALL, CLASSES) == Alone(100, 1.0, 1.0, None)


def test_of_several_classes_the_one_counts_of_which_most_is_told() -> None:
    found = alone_of_classes(np.roll(CLASSES, 1), ALL, CLASSES)
    rolled, binary = np.roll(CLASSES, 1), [np.where(number == CLASSES, 1.0, 0.0) for number in range(3)]
    sides = [alone(rolled, ALL, side, binary=True) for side in binary]
    assert found.strength == max(side.strength or 0.0 for side in sides) < 1
    assert found.same is not None
    assert found.same < 0.8
    assert alone_of_classes(np.ones(100), CLASSES != 1, CLASSES).nulls == 1.0
    assert alone_of_classes(NUMBERS, ALL, CLASSES).same is not None  # seven values, and three classes
    assert alone_of_classes(np.arange(100.0), ALL, CLASSES).same is None
